package stationtest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An AttendanceBoard is what [TestAttendance] needs of an implementation.
type AttendanceBoard struct {
	station.Attendance
	Forget func() // loses everything
}

// TestAttendance checks an attendance. Every call of open gives an empty one;
// pass lets the time pass by which its silences run.
func TestAttendance(t *testing.T, open func(t *testing.T) AttendanceBoard, pass func(d time.Duration)) {
	for name, test := range map[string]func(t *testing.T, a AttendanceBoard){
		"joins and leaves":              audienceJoins,
		"a visit is found":              audienceVisit,
		"any text for a name":           audienceNames,
		"closed for good":               audienceClosed,
		"lives apart":                   audienceApart,
		"per origin":                    audienceOrigin,
		"per origin under a rush":       audienceOriginRush,
		"an origin never goes negative": audienceOriginTwice,
		"a rush of beats":               audienceRush,
		"silent in pages":               audienceSilentPages,
		"one reaction per user":         audienceReacts,
		"one reaction in a rush":        audienceReactsRush,
		"reactions per origin":          audienceReactOrigin,
		"unknown reaction":              audienceUnknownReaction,
		"seed":                          audienceSeed,
		"forgotten and told again":      audienceForgotten,
		"show":                          audienceShow,
		"dismiss":                       audienceDismiss,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	t.Run("silent", func(t *testing.T) { audienceSilent(t, open(t), pass) })
}

func visit(liveID string) station.Visit {
	return station.Visit{ID: uuid.NewString(), LiveID: liveID, UserID: "u-" + uuid.NewString(), Origin: uuid.NewString(), JoinedAt: noon}
}

func joined(t *testing.T, a station.Attendance, liveID string) station.Visit {
	t.Helper()
	v := visit(liveID)
	ok(t, a.Touch(t.Context(), v, 0))
	return v
}

// counts checks what Count gives.
func counts(t *testing.T, a station.Attendance, liveID string, want station.Counters, wantKnown bool) {
	t.Helper()
	c, known, err := a.Count(t.Context(), liveID)
	ok(t, err)
	if c != want || known != wantKnown {
		t.Errorf("counted %+v, known %v; want %+v, %v", c, known, want, wantKnown)
	}
}

func audienceJoins(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	counts(t, a, live, station.Counters{}, false)
	v, other := joined(t, a, live), joined(t, a, live)
	for range 3 {
		ok(t, a.Touch(t.Context(), v, 0))
	}
	counts(t, a, live, station.Counters{Listeners: 2, Visits: 2}, false)
	ok(t, a.CloseVisits(t.Context(), live, v.ID))
	counts(t, a, live, station.Counters{Listeners: 1, Visits: 2}, false)
	joined(t, a, live)
	counts(t, a, live, station.Counters{Listeners: 2, Visits: 3}, false)
	ok(t, a.CloseVisits(t.Context(), live, other.ID, v.ID, uuid.NewString()))
	ok(t, a.CloseVisits(t.Context(), live))
	counts(t, a, live, station.Counters{Listeners: 1, Visits: 3}, false)
}

func audienceVisit(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	_, err := openVisit(t, a, live, uuid.NewString())
	is(t, err, station.ErrNotFound)
	begin := time.Now()
	v := joined(t, a, live)
	_, err = openVisit(t, a, live, uuid.NewString())
	is(t, err, station.ErrNotFound)
	d, err := openVisit(t, a, live, v.ID)
	ok(t, err)
	v.JoinedAt = micro(v.JoinedAt)
	same(t, d.Visit, v)
	// The board keeps its own clock, to the millisecond or better.
	if d.LastHeard.Before(begin.Add(-time.Second)) || d.LastHeard.After(time.Now().Add(time.Second)) {
		t.Errorf("last heard at %v, it is %v", d.LastHeard, time.Now())
	}
	if d.LastHeard.Location() != time.UTC {
		t.Errorf("last heard in %v, want UTC", d.LastHeard.Location())
	}
	// A second Touch does not change what is known.
	again := v
	again.UserID, again.Origin, again.JoinedAt = "another", "elsewhere", noon.Add(time.Hour)
	ok(t, a.Touch(t.Context(), again, 0))
	d, err = openVisit(t, a, live, v.ID)
	ok(t, err)
	same(t, d.Visit, v)
	ok(t, a.CloseVisits(t.Context(), live, v.ID))
	_, err = openVisit(t, a, live, v.ID)
	is(t, err, station.ErrNotFound)
}

func audienceNames(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	for _, name := range []string{"", " ", "a b", "1|2 3\n4", "é\x00\xff", "%s {x} \"'", "-1"} {
		for _, origin := range []string{"", " ", "2001:db8::/64", "|\n0"} {
			v := visit(live)
			v.UserID, v.Origin = name, origin
			v.JoinedAt = time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC) // before any epoch
			ok(t, a.Touch(t.Context(), v, 0))
			d, err := openVisit(t, a, live, v.ID)
			ok(t, err)
			same(t, d.Visit, v)
			ok(t, a.CloseVisits(t.Context(), live, v.ID))
		}
	}
	counts(t, a, live, station.Counters{Visits: 7 * 4}, false)
}

func audienceClosed(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	v := joined(t, a, live)
	never := visit(live)
	ok(t, a.CloseVisits(t.Context(), live, v.ID, never.ID, v.ID))
	for range 2 {
		is(t, a.Touch(t.Context(), v, 0), station.ErrGone)
		is(t, a.Touch(t.Context(), never, 1), station.ErrGone)
	}
	counts(t, a, live, station.Counters{Visits: 1}, false)
	silent, err := a.Silent(t.Context(), live, 0)
	ok(t, err)
	if len(silent) != 0 {
		t.Errorf("closed visits are still silent: %v", silent)
	}
}

func audienceApart(t *testing.T, a AttendanceBoard) {
	one, two := uuid.NewString(), uuid.NewString()
	v := joined(t, a, one)
	here := v
	here.LiveID = two
	ok(t, a.Touch(t.Context(), here, 1))
	ok(t, a.CloseVisits(t.Context(), one, v.ID))
	_, err := a.React(t.Context(), one, station.Like, "user", "o", 1)
	ok(t, err)
	ok(t, a.Seed(t.Context(), two, station.Report))
	counts(t, a, one, station.Counters{Likes: 1, Visits: 1}, false)
	counts(t, a, two, station.Counters{Listeners: 1, Visits: 1}, true)
}

func audienceOrigin(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	from := func(origin string) station.Visit {
		v := visit(live)
		v.Origin = origin
		return v
	}
	in := from("bus")
	ok(t, a.Touch(t.Context(), in, 2))
	ok(t, a.Touch(t.Context(), from("bus"), 2))
	out := from("bus")
	is(t, a.Touch(t.Context(), out, 2), station.ErrCrowded)
	ok(t, a.Touch(t.Context(), in, 1)) // who is in stays in
	ok(t, a.Touch(t.Context(), from("home"), 2))
	counts(t, a, live, station.Counters{Listeners: 3, Visits: 3}, false)
	ok(t, a.CloseVisits(t.Context(), live, in.ID))
	ok(t, a.Touch(t.Context(), out, 2))
	is(t, a.Touch(t.Context(), from("bus"), 2), station.ErrCrowded)
	ok(t, a.Touch(t.Context(), from("bus"), 3)) // the limit is each caller's
	ok(t, a.Touch(t.Context(), from("bus"), 0)) // none
	for range 5 {
		ok(t, a.Touch(t.Context(), from(""), 1)) // nobody knows from where: no limit
	}
}

func audienceOriginTwice(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	v := visit(live)
	ok(t, a.Touch(t.Context(), v, 1))
	for range 3 { // once is enough
		ok(t, a.CloseVisits(t.Context(), live, v.ID, v.ID))
	}
	next, late := visit(live), visit(live)
	next.Origin, late.Origin = v.Origin, v.Origin
	ok(t, a.Touch(t.Context(), next, 1))
	is(t, a.Touch(t.Context(), late, 1), station.ErrCrowded)
}

func audienceOriginRush(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	errs := race(60, func(int) error {
		v := visit(live)
		v.Origin = "stadium"
		return a.Touch(t.Context(), v, 20)
	})
	if in, out := count(t, errs, nil), count(t, errs, station.ErrCrowded); in != 20 || out != 40 {
		t.Errorf("%d let in and %d refused, want 20 and 40", in, out)
	}
	counts(t, a, live, station.Counters{Listeners: 20, Visits: 20}, false)
}

// Beats, joins and leaves at the same time: nothing is counted twice.
func audienceRush(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	stays := joined(t, a, live)
	atOnce(t, 60, func(i int) error {
		switch i % 3 {
		case 0:
			return a.Touch(t.Context(), stays, 1)
		case 1:
			v := visit(live)
			return errors.Join(a.Touch(t.Context(), v, 1), a.Touch(t.Context(), v, 1))
		default:
			v := visit(live)
			return errors.Join(a.Touch(t.Context(), v, 1), a.CloseVisits(t.Context(), live, v.ID))
		}
	})
	counts(t, a, live, station.Counters{Listeners: 21, Visits: 41}, false)
}

func audienceSilent(t *testing.T, a AttendanceBoard, pass func(d time.Duration)) {
	const silence = 200 * time.Millisecond
	live := uuid.NewString()
	first, second := joined(t, a, live), joined(t, a, live)
	pass(silence + 10*time.Millisecond)
	third := joined(t, a, live)
	ok(t, a.Touch(t.Context(), second, 0))
	silent, err := a.Silent(t.Context(), live, time.Hour)
	ok(t, err)
	same(t, ids(silent), nil)
	// A slow machine may find all of them silent, but in this order.
	silent, err = a.Silent(t.Context(), live, silence)
	ok(t, err)
	if len(silent) == 0 || silent[0].ID != first.ID {
		t.Fatalf("%v are silent, want %s", ids(silent), first.ID)
	}
	first.JoinedAt = micro(first.JoinedAt)
	same(t, silent[0].Visit, first)
	d, err := openVisit(t, a, live, first.ID)
	ok(t, err)
	same(t, d, silent[0])

	silent, err = a.Silent(t.Context(), live, 0)
	ok(t, err)
	got := ids(silent)
	slices.Sort(got)
	want := []string{first.ID, second.ID, third.ID}
	slices.Sort(want)
	same(t, got, want)
	counts(t, a, live, station.Counters{Listeners: 3, Visits: 3}, false) // until they are closed
}

func ids(ds []station.Departure) (ids []string) {
	for _, d := range ds {
		ids = append(ids, d.ID)
	}
	return ids
}

func audienceSilentPages(t *testing.T, a AttendanceBoard) {
	const listeners, page = 2300, 1000
	live := uuid.NewString()
	for from := 0; from < listeners; from += 50 {
		atOnce(t, 50, func(int) error { return a.Touch(t.Context(), visit(live), 0) })
	}
	counts(t, a, live, station.Counters{Listeners: listeners, Visits: listeners}, false)
	var sizes []int
	for range 4 {
		silent, err := a.Silent(t.Context(), live, 0)
		ok(t, err)
		sizes = append(sizes, len(silent))
		ok(t, a.CloseVisits(t.Context(), live, ids(silent)...))
	}
	same(t, sizes, []int{page, page, listeners - 2*page, 0})
	counts(t, a, live, station.Counters{Visits: listeners}, false)
}

// reacts checks whether a reaction is a user's first.
func reacts(t *testing.T, a station.Attendance, live string, r station.Reaction, user string, want bool) {
	t.Helper()
	first, err := a.React(t.Context(), live, r, user, "", 0)
	ok(t, err)
	if first != want {
		t.Errorf("%s of %s: first is %v, want %v", r, user, first, want)
	}
}

func audienceReacts(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	reacts(t, a, live, station.Like, "anna", true)
	reacts(t, a, live, station.Like, "anna", false)
	reacts(t, a, live, station.Like, "", true) // a name like any other
	reacts(t, a, live, station.Report, "anna", true)
	reacts(t, a, live, station.Report, "anna", false)
	counts(t, a, live, station.Counters{Likes: 2, Reports: 1}, false)
}

func audienceReactsRush(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	firsts := make([]bool, 60)
	atOnce(t, len(firsts), func(i int) (err error) {
		firsts[i], err = a.React(t.Context(), live, station.Like, fmt.Sprint("user", i%3), "", 0)
		return err
	})
	n := 0
	for _, first := range firsts {
		if first {
			n++
		}
	}
	if n != 3 {
		t.Errorf("3 users were the first %d times", n)
	}
	counts(t, a, live, station.Counters{Likes: 3}, false)
}

func audienceReactOrigin(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	react := func(r station.Reaction, user, origin string, limit int) (bool, error) {
		return a.React(t.Context(), live, r, user, origin, limit)
	}
	for _, user := range []string{"a", "b"} {
		first, err := react(station.Like, user, "bus", 2)
		ok(t, err)
		same(t, first, true)
	}
	first, err := react(station.Like, "c", "bus", 2)
	is(t, err, station.ErrCrowded)
	same(t, first, false)
	first, err = react(station.Like, "a", "bus", 2) // who is in is in
	ok(t, err)
	same(t, first, false)
	for _, r := range []struct {
		reaction     station.Reaction
		user, origin string
		limit        int
	}{
		{station.Report, "c", "bus", 2},
		{station.Like, "c", "home", 2},
		{station.Like, "d", "bus", 3},
		{station.Like, "e", "bus", 0},
	} {
		first, err := react(r.reaction, r.user, r.origin, r.limit)
		ok(t, err)
		same(t, first, true)
	}
	ok(t, a.Touch(t.Context(), station.Visit{ID: uuid.NewString(), LiveID: live, Origin: "bus"}, 1)) // listeners count apart
	counts(t, a, live, station.Counters{Listeners: 1, Likes: 5, Reports: 1, Visits: 1}, false)
}

func audienceUnknownReaction(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	if _, err := a.React(t.Context(), live, "applause", "anna", "", 0); err == nil {
		t.Error("there is no applause")
	}
	if err := a.Seed(t.Context(), live, "applause", "anna"); err == nil {
		t.Error("there is no applause to seed")
	}
	counts(t, a, live, station.Counters{}, false)
}

func audienceSeed(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	joined(t, a, live)
	reacts(t, a, live, station.Like, "early", true)
	counts(t, a, live, station.Counters{Listeners: 1, Likes: 1, Visits: 1}, false)
	users := []string{"early", "anna"}
	for i := range 2500 {
		users = append(users, fmt.Sprint("user", i))
	}
	ok(t, a.Seed(t.Context(), live, station.Like, users...))
	ok(t, a.Seed(t.Context(), live, station.Like, "anna"))
	ok(t, a.Seed(t.Context(), live, station.Report))
	counts(t, a, live, station.Counters{Listeners: 1, Likes: 2502, Visits: 1}, true)
	reacts(t, a, live, station.Like, "anna", false)
	reacts(t, a, live, station.Like, "user2499", false)
	first, err := a.React(t.Context(), live, station.Like, "new", "bus", 1)
	ok(t, err)
	same(t, first, true)

	quiet := uuid.NewString()
	ok(t, a.Seed(t.Context(), quiet, station.Report))
	counts(t, a, quiet, station.Counters{}, true)
}

func audienceForgotten(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	ok(t, a.Seed(t.Context(), live, station.Like))
	v := joined(t, a, live)
	ok(t, a.Show(t.Context(), live, station.Counters{Listeners: 1}))
	counts(t, a, live, station.Counters{Listeners: 1, Visits: 1}, true)
	a.Forget()
	counts(t, a, live, station.Counters{}, false)
	ok(t, a.Touch(t.Context(), v, 1))
	reacts(t, a, live, station.Like, "anna", true)
	counts(t, a, live, station.Counters{Listeners: 1, Likes: 1, Visits: 1}, false)
	d, err := openVisit(t, a, live, v.ID)
	ok(t, err)
	v.JoinedAt = micro(v.JoinedAt)
	same(t, d.Visit, v)
	ok(t, a.Seed(t.Context(), live, station.Like, "anna", "bert"))
	counts(t, a, live, station.Counters{Listeners: 1, Likes: 2, Visits: 1}, true)
}

func audienceShow(t *testing.T, a AttendanceBoard) {
	one, two, none := uuid.NewString(), uuid.NewString(), uuid.NewString()
	ok(t, a.Show(t.Context(), one, station.Counters{Listeners: 1, Likes: 2, Reports: 3, Visits: 4}))
	ok(t, a.Show(t.Context(), two, station.Counters{Listeners: 9}))
	ok(t, a.Show(t.Context(), two, station.Counters{Listeners: 10_000, Likes: 1 << 40}))
	shown, err := a.Shown(t.Context(), one, two, none)
	ok(t, err)
	same(t, shown, map[string]station.Counters{
		one:  {Listeners: 1, Likes: 2, Reports: 3}, // visits have no key
		two:  {Listeners: 10_000, Likes: 1 << 40},
		none: {},
	})
	shown, err = a.Shown(t.Context())
	ok(t, err)
	same(t, len(shown), 0)
	counts(t, a, one, station.Counters{}, false) // what is shown is not what is counted
}

func audienceDismiss(t *testing.T, a AttendanceBoard) {
	live := uuid.NewString()
	ok(t, a.Dismiss(t.Context(), live)) // unknown
	ok(t, a.Seed(t.Context(), live, station.Like, "anna"))
	v := joined(t, a, live)
	ok(t, a.Dismiss(t.Context(), live))
	ok(t, a.Dismiss(t.Context(), live))
	// For an hour it is there.
	counts(t, a, live, station.Counters{Listeners: 1, Likes: 1, Visits: 1}, true)
	ok(t, a.Touch(t.Context(), v, 0))
	ok(t, a.CloseVisits(t.Context(), live, v.ID))
	is(t, a.Touch(t.Context(), v, 0), station.ErrGone)
}

// openVisit finds one among the open visits of a live.
func openVisit(t *testing.T, a station.Attendance, live, id string) (station.Departure, error) {
	t.Helper()
	all, err := a.Silent(t.Context(), live, 0)
	for _, d := range all {
		if d.ID == id {
			return d, err
		}
	}
	return station.Departure{}, cmp.Or(err, station.ErrNotFound)
}
