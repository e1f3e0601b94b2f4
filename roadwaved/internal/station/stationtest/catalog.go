package stationtest

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestCatalog checks a catalog. Every call of open gives an empty one, closed by
// the end of its test.
func TestCatalog(t *testing.T, open func(t *testing.T) station.Catalog) {
	for name, test := range map[string]func(t *testing.T, c station.Catalog){
		"ping":                     ping,
		"live/round trip":          liveRoundTrip,
		"live/known id":            liveKnownID,
		"live/unknown":             liveUnknown,
		"live/end":                 liveEnd,
		"live/end is final":        liveEndIsFinal,
		"live/end needs a state":   liveEndNeedsState,
		"live/list":                liveList,
		"live/list pages":          liveListPages,
		"live/list limits":         liveListLimits,
		"live/ended by many":       liveEndedByMany,
		"live/search text":         liveText,
		"live/search together":     liveSearch,
		"live/search pages":        liveSearchPages,
		"job/opened by the end":    jobOpened,
		"job/deposited":            jobDeposited,
		"job/nothing recorded":     jobNothing,
		"job/list":                 jobList,
		"job/list pages":           jobListPages,
		"job/claim":                jobClaim,
		"job/claimed by many":      jobClaimedByMany,
		"job/lease":                jobLease,
		"job/progress":             jobProgress,
		"job/fenced":               jobFenced,
		"job/late but not fenced":  jobLate,
		"job/failed":               jobFailed,
		"job/interrupted":          jobInterrupted,
		"job/parked and reopened":  jobReopened,
		"job/empty":                jobEmpty,
		"job/unknown":              jobUnknown,
		"job/other states":         jobOtherStates,
		"replay/round trip":        replayRoundTrip,
		"replay/unknown":           replayUnknown,
		"replay/published once":    replayOnce,
		"replay/published by many": replayPublishedByMany,
		"replay/of another live":   replayOfAnotherLive,
		"replay/taken id":          replayTakenID,
		"replay/list pages":        replayListPages,
		"a cancelled context":      cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// noon is when the tests take place: any time will do, so long as it has more
// digits than a catalog keeps and is not in UTC.
var noon = time.Date(2026, 3, 29, 12, 0, 0, 123456789, time.FixedZone("Paris", 2*60*60))

func sample() station.Live {
	return station.Live{
		ID:                uuid.NewString(),
		CreatorID:         "créateur-42",
		Title:             "Bouchons sur l'A7 🚗💨 — « ça roule » \\ 'ici' \"là\" %_",
		StartedAt:         noon,
		ZoneGeo:           "Rhône-Alpes",
		Tags:              []string{"été", "a7", "zèbre 🦓", "bouchons", "été indien"},
		ClassificationAge: "tout public",
		Premium:           true,
		State:             station.OnAir,
		Node:              "node-1",
	}
}

func start(t *testing.T, c station.Catalog, l station.Live) station.Live {
	t.Helper()
	ok(t, c.StartLive(t.Context(), l))
	return l
}

func startAt(t *testing.T, c station.Catalog, at time.Time) station.Live {
	t.Helper()
	l := sample()
	l.StartedAt = at
	return start(t, c, l)
}

// uploading starts a live and ends it, which leaves a job without a recording.
func uploading(t *testing.T, c station.Catalog, l station.Live, at time.Time) string {
	t.Helper()
	l.StartedAt = at.Add(-time.Hour)
	start(t, c, l)
	ok(t, c.EndLive(t.Context(), l.ID, station.End{At: at, State: station.Ended, Reason: station.EndCreator}))
	return l.ID
}

// ended goes one step further: the job is pending.
func ended(t *testing.T, c station.Catalog, at time.Time) string {
	t.Helper()
	id := uploading(t, c, sample(), at)
	ok(t, c.Deposited(t.Context(), id, false))
	return id
}

func ping(t *testing.T, c station.Catalog) {
	ok(t, c.Ping(t.Context()))
}

func liveRoundTrip(t *testing.T, c station.Catalog) {
	l := start(t, c, sample())
	l.StartedAt = micro(l.StartedAt)
	got, err := c.Live(t.Context(), l.ID)
	ok(t, err)
	same(t, got, l)
	if got.StartedAt.Location() != time.UTC {
		t.Errorf("start is in %v, want UTC", got.StartedAt.Location())
	}

	bare := station.Live{ID: uuid.NewString(), StartedAt: noon, State: station.OnAir}
	start(t, c, bare)
	got, err = c.Live(t.Context(), bare.ID)
	ok(t, err)
	if len(got.Tags) != 0 || got.Title != "" || !got.EndedAt.IsZero() {
		t.Errorf("a live without title, tags and end came back as %+v", got)
	}
}

func liveKnownID(t *testing.T, c station.Catalog) {
	l := start(t, c, sample())
	again := l
	again.Title = "another"
	if err := c.StartLive(t.Context(), again); err == nil {
		t.Error("a live id was taken twice")
	}
	got, err := c.Live(t.Context(), l.ID)
	ok(t, err)
	if got.Title != l.Title {
		t.Errorf("the title became %q", got.Title)
	}
}

func liveUnknown(t *testing.T, c station.Catalog) {
	_, err := c.Live(t.Context(), uuid.NewString())
	is(t, err, station.ErrNotFound)
	err = c.EndLive(t.Context(), uuid.NewString(), station.End{At: noon, State: station.Ended})
	is(t, err, station.ErrNotFound)
}

func liveEnd(t *testing.T, c station.Catalog) {
	for _, state := range []station.LiveState{station.Ended, station.Lost} {
		l := start(t, c, sample())
		e := station.End{
			At:     noon.Add(time.Hour),
			State:  state,
			Reason: station.EndVanished,
			Stats: station.LiveStats{
				Duration: time.Hour + 123456*time.Microsecond, Packets: 180_006, Lost: 17,
				Visits: 1 << 40, PeakListeners: 10_000, Likes: 321, Reports: 2,
			},
		}
		ok(t, c.EndLive(t.Context(), l.ID, e))
		l.StartedAt, l.EndedAt = micro(l.StartedAt), micro(e.At)
		l.State, l.EndReason, l.Stats = e.State, e.Reason, e.Stats
		got, err := c.Live(t.Context(), l.ID)
		ok(t, err)
		same(t, got, l)
	}
}

func liveEndIsFinal(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	claim, err := c.Claim(t.Context(), id, "w1", noon, time.Minute)
	ok(t, err)
	before, err := c.Live(t.Context(), id)
	ok(t, err)

	ok(t, c.EndLive(t.Context(), id, station.End{At: noon.Add(time.Hour), State: station.Lost, Reason: station.EndCrash}))
	after, err := c.Live(t.Context(), id)
	ok(t, err)
	same(t, after, before)
	ok(t, c.Publish(t.Context(), claim, replayOf(id))) // its job was left alone, too
}

func liveEndNeedsState(t *testing.T, c station.Catalog) {
	l := start(t, c, sample())
	for _, state := range []station.LiveState{"", station.OnAir, "gone"} {
		if err := c.EndLive(t.Context(), l.ID, station.End{At: noon, State: state}); err == nil {
			t.Errorf("a live ended as %q", state)
		}
	}
	got, err := c.Live(t.Context(), l.ID)
	ok(t, err)
	if got.State != station.OnAir {
		t.Errorf("the live is %q", got.State)
	}
	_, err = c.Job(t.Context(), l.ID)
	is(t, err, station.ErrNotFound)
}

func liveList(t *testing.T, c station.Catalog) {
	old := startAt(t, c, noon)
	over := ended(t, c, noon.Add(2*time.Hour)) // started one hour after noon
	elsewhere := sample()
	elsewhere.StartedAt, elsewhere.Node = noon.Add(3*time.Hour), "node-2"
	start(t, c, elsewhere)

	for _, tt := range []struct {
		name string
		q    station.LiveQuery
		want []string
	}{
		{"all", station.LiveQuery{}, []string{elsewhere.ID, over, old.ID}},
		{"on air", station.LiveQuery{State: station.OnAir}, []string{elsewhere.ID, old.ID}},
		{"ended", station.LiveQuery{State: station.Ended}, []string{over}},
		{"lost", station.LiveQuery{State: station.Lost}, nil},
		{"node", station.LiveQuery{Node: "node-1"}, []string{over, old.ID}},
		{"node and state", station.LiveQuery{Node: "node-1", State: station.OnAir}, []string{old.ID}},
		{"before", station.LiveQuery{Before: noon.Add(3 * time.Hour)}, []string{over, old.ID}},
		{"before, state", station.LiveQuery{Before: noon.Add(3 * time.Hour), State: station.OnAir}, []string{old.ID}},
		{"limit", station.LiveQuery{Limit: 1}, []string{elsewhere.ID}},
	} {
		got, err := c.ListLives(t.Context(), tt.q)
		ok(t, err)
		if ids := liveIDs(got); !slices.Equal(ids, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, ids, tt.want)
		}
	}
	got, err := c.ListLives(t.Context(), station.LiveQuery{Limit: 1})
	ok(t, err)
	elsewhere.StartedAt = micro(elsewhere.StartedAt)
	same(t, got[0], elsewhere)
}

// Seven lives, of which four start in the same microsecond: pages of two, made
// with Before and BeforeID, give each of them once.
func liveListPages(t *testing.T, c station.Catalog) {
	for i := range 7 {
		startAt(t, c, noon.Add(time.Duration(min(i, 3))*time.Microsecond))
	}
	whole, err := c.ListLives(t.Context(), station.LiveQuery{})
	ok(t, err)
	newestFirst := slices.IsSortedFunc(whole, func(a, b station.Live) int {
		return orderDesc(a.StartedAt, b.StartedAt, a.ID, b.ID)
	})
	if len(whole) != 7 || !newestFirst {
		t.Fatalf("7 lives, newest first: got %v", whole)
	}
	var paged []station.Live
	q := station.LiveQuery{Limit: 2}
	for range 10 {
		page, err := c.ListLives(t.Context(), q)
		ok(t, err)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		q.Before, q.BeforeID = page[len(page)-1].StartedAt, page[len(page)-1].ID
	}
	same(t, liveIDs(paged), liveIDs(whole))

	q = station.LiveQuery{Before: whole[0].StartedAt}
	page, err := c.ListLives(t.Context(), q)
	ok(t, err)
	if want := liveIDs(whole[4:]); !slices.Equal(liveIDs(page), want) {
		t.Errorf("without BeforeID: got %v, want only those started before: %v", liveIDs(page), want)
	}
}

func liveListLimits(t *testing.T, c station.Catalog) {
	for i := range station.MaxPage + 5 {
		startAt(t, c, noon.Add(time.Duration(i)*time.Second))
	}
	for limit, want := range map[int]int{0: 50, 1: 1, 60: 60, station.MaxPage: station.MaxPage, 100_000: station.MaxPage, -1: 50} {
		got, err := c.ListLives(t.Context(), station.LiveQuery{Limit: limit})
		ok(t, err)
		if len(got) != want {
			t.Errorf("limit %d gave %d lives, want %d", limit, len(got), want)
		}
	}
}

func liveEndedByMany(t *testing.T, c station.Catalog) {
	l := start(t, c, sample())
	atOnce(t, 16, func(i int) error {
		return c.EndLive(t.Context(), l.ID, station.End{At: noon, State: station.Ended, Stats: station.LiveStats{Packets: int64(i)}})
	})
	jobs, err := c.ListJobs(t.Context(), station.JobQuery{})
	ok(t, err)
	if len(jobs) != 1 {
		t.Errorf("one live has %d jobs", len(jobs))
	}
}

func cancelled(t *testing.T, c station.Catalog) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := sample()
	if err := c.StartLive(ctx, l); err == nil {
		t.Error("a cancelled StartLive succeeded")
	}
	_, err := c.ListLives(ctx, station.LiveQuery{})
	is(t, err, context.Canceled)
	start(t, c, l) // and the catalog goes on working
}

func liveIDs(lives []station.Live) []string {
	var ids []string
	for _, l := range lives {
		ids = append(ids, l.ID)
	}
	return ids
}

// The helpers below keep the laws above readable.

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func same[T any](t testing.TB, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// atOnce runs f n times at the same time; every one must succeed.
func atOnce(t testing.TB, n int, f func(i int) error) {
	t.Helper()
	for i, err := range race(n, f) {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// race runs f n times at the same time.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	ready, done := make(chan struct{}), make(chan struct{})
	for i := range n {
		go func() {
			<-ready
			errs[i] = f(i)
			done <- struct{}{}
		}()
	}
	close(ready)
	for range n {
		<-done
	}
	return errs
}

// count tells how many errors are want (nil counts successes); any other error
// but want and nil is a failure.
func count(t testing.TB, errs []error, want error) int {
	t.Helper()
	n := 0
	for i, err := range errs {
		switch {
		case err == nil && want == nil, want != nil && errors.Is(err, want):
			n++
		case err != nil && want != nil:
			t.Errorf("call %d: %v", i, err)
		}
	}
	return n
}

// orderAsc puts the oldest first, orderDesc the newest: by time, then by id.
func orderAsc(a, b time.Time, aID, bID string) int {
	return cmp.Or(a.Compare(b), cmp.Compare(aID, bID))
}

func orderDesc(a, b time.Time, aID, bID string) int { return orderAsc(b, a, bID, aID) }
