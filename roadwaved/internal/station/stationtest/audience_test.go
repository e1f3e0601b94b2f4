package stationtest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestMemoryAttendance(t *testing.T) {
	TestAttendance(t, func(*testing.T) AttendanceBoard {
		a := &Attendance{}
		return AttendanceBoard{a, a.Forget}
	}, time.Sleep)
}

// A live is remembered for an hour after it was last touched, and for an hour
// after it was dismissed, whatever comes then.
func TestMemoryAttendanceForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Attendance{}
		live, over := uuid.NewString(), uuid.NewString()
		for _, id := range []string{live, over} {
			ok(t, a.Seed(t.Context(), id, station.Like, "anna"))
			ok(t, a.Show(t.Context(), id, station.Counters{Likes: 1}))
		}
		ok(t, a.Dismiss(t.Context(), over))
		time.Sleep(time.Hour - time.Second)
		ok(t, a.Touch(t.Context(), visit(live), 0))
		ok(t, a.Touch(t.Context(), visit(over), 0))
		ok(t, a.Show(t.Context(), live, station.Counters{Likes: 2}))
		time.Sleep(2 * time.Second)
		counts(t, a, live, station.Counters{Listeners: 1, Likes: 1, Visits: 1}, true)
		counts(t, a, over, station.Counters{}, false)
		shown, err := a.Shown(t.Context(), live, over)
		ok(t, err)
		same(t, shown, map[string]station.Counters{live: {Likes: 2}, over: {}})
	})
}

func TestMemoryAttendanceAway(t *testing.T) {
	a := &Attendance{}
	away := errors.New("away")
	a.SetAway(away)
	is(t, a.Seed(t.Context(), "live", station.Like), away)
	a.SetAway(nil)
	ok(t, a.Seed(t.Context(), "live", station.Like))
}
