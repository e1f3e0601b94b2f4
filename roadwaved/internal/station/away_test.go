package station_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// The board is away: nobody notices, and nobody is counted out who could not be
// heard of.
func TestBoardAwayForListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		before := s.join(t, "before")
		gone := s.join(t, "gone")
		s.listen(t, 3*time.Minute, before, gone)
		s.board.SetAway(errAway)
		during := s.join(t, "during")
		s.react(t, "before", station.Like, true)
		s.react(t, "before", station.Like, true) // nobody can tell
		s.listen(t, 5*time.Minute, before, during)
		if c := s.counters(t); c.Listeners != 2 {
			t.Errorf("the last counters known are %+v, want two listeners", c)
		}
		s.board.SetAway(nil)
		time.Sleep(9 * time.Second)
		if c := s.counters(t); c.Listeners != 2 || c.Likes != 1 {
			t.Errorf("right after: %+v, want nobody counted out, and the like", c)
		}
		s.listen(t, time.Minute, before, during)
		if c := s.counters(t); c.Listeners != 2 || c.Visits != 3 || c.Likes != 1 {
			t.Errorf("a minute after: %+v, want the two who listen", c)
		}
		if likes := s.events(t, station.EventLike); len(likes) != 1 {
			t.Errorf("%d likes are in the log, want one", len(likes))
		}
		leaves := s.events(t, station.EventLeave)
		if len(leaves) != 1 || leaves[0].UserID != "gone" || leaves[0].Listened != 170*time.Second {
			t.Errorf("the log has %+v, want who left during it", leaves)
		}
	})
}

// A board that hangs costs a listener two seconds, the next ones nothing.
func TestBoardHangsForListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog := &flakyCatalog{}
		if err := catalog.StartLive(t.Context(), station.Live{ID: "here"}); err != nil {
			t.Fatal(err)
		}
		a, err := station.NewAudience(station.AudienceConfig{
			Attendance: hangingAttendance{}, Journal: quietLog{}, Records: catalog, Lives: catalog,
			Key: make([]byte, 32), OnAir: func() []string { return []string{"here"} },
		})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for range 1000 {
			if _, err := a.Join(t.Context(), station.Join{LiveID: "here"}); err != nil {
				t.Fatal(err)
			}
		}
		a.Finish(t.Context(), "here")
		if waited := time.Since(begin); waited > 5*time.Second {
			t.Errorf("waited for %v", waited)
		}
	})
}

type hangingAttendance struct{ station.Attendance }

func (hangingAttendance) Touch(ctx context.Context, _ station.Visit, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangingAttendance) Count(ctx context.Context, _ string) (station.Counters, bool, error) {
	<-ctx.Done()
	return station.Counters{}, false, ctx.Err()
}

type quietLog struct{}

func (quietLog) Add([]station.Event, []station.Sample) {}

func (quietLog) Flush(context.Context) error { return nil }

// The live ends with the board away: the last figures known count, and the
// listeners leave when it is back.
func TestFinishBoardAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		a := s.join(t, "a")
		s.listen(t, time.Minute, a)
		s.board.SetAway(errAway)
		time.Sleep(10 * time.Second)
		s.react(t, "a", station.Like, true)
		f := s.end(t)
		if want := (station.Figures{Counters: station.Counters{Listeners: 1, Visits: 1, Likes: 1}, Peak: 1}); f != want {
			t.Errorf("the figures are %+v, want %+v", f, want)
		}
		if leaves := s.events(t, station.EventLeave); len(leaves) != 0 {
			t.Errorf("the log has %+v, nobody can know who left", leaves)
		}
		time.Sleep(10 * time.Minute)
		s.board.SetAway(nil)
		time.Sleep(time.Minute)
		if leaves := s.events(t, station.EventLeave); len(leaves) != 1 || leaves[0].Listened != 70*time.Second {
			t.Errorf("the log has %+v, want one leave at the end of the live", leaves)
		}
		if d, err := s.board.Silent(t.Context(), "here", 0); err != nil || len(d) != 0 {
			t.Errorf("the board still has %v (%v)", d, err)
		}
	})
}

// The live is over here and the catalog cannot be told: nobody joins.
func TestFinishCatalogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		a := s.join(t, "a")
		s.mu.Lock()
		s.onAir = nil
		s.mu.Unlock()
		s.Finish(t.Context(), "here")
		for range 10 {
			if _, err := s.Join(t.Context(), station.Join{LiveID: "here"}); !errors.Is(err, station.ErrGone) {
				t.Errorf("joining: %v, want ErrGone", err)
			}
			if err := s.Beat(t.Context(), "here", a, "o"); !errors.Is(err, station.ErrGone) {
				t.Errorf("a heartbeat: %v, want ErrGone", err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// What cannot be written down is not done: the visits stay for whoever can.
func TestSilenceDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		s.join(t, "a")
		time.Sleep(time.Second)
		s.outbox.fail(errors.New("no space left on device"))
		time.Sleep(5 * time.Minute)
		if d, err := s.board.Silent(t.Context(), "here", 0); err != nil || len(d) != 1 {
			t.Errorf("the board has %v (%v), want the visit that nobody could log", d, err)
		}
		s.outbox.fail(nil)
		time.Sleep(time.Minute)
		if leaves := s.events(t, station.EventLeave); len(leaves) != 1 {
			t.Errorf("the log has %+v, want one leave", leaves)
		}
	})
}

// A process that stood still heard of nobody: that is not their silence.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		s := newStudio(t, station.AudienceConfig{Now: now})
		time.Sleep(time.Minute + time.Millisecond)
		s.join(t, "a")
		time.Sleep(24 * time.Second)
		ahead.Store(int64(time.Minute))
		time.Sleep(25 * time.Second)
		if c := s.counters(t); c.Listeners != 1 {
			t.Errorf("25 s after the standstill: %+v, want the listener", c)
		}
		time.Sleep(15 * time.Second)
		if c := s.counters(t); c.Listeners != 0 {
			t.Errorf("40 s after the standstill: %+v, want nobody", c)
		}
	})
}

// While nobody can tell who reacted, the rest is counted.
func TestCountUnseeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog := &flakyCatalog{}
		catalog.unread.fail(fmt.Errorf("%w", station.ErrAway))
		s := beside(t, &stationtest.Attendance{}, catalog, station.AudienceConfig{})
		s.goOnAir(t, "here")
		running(t, s.Run)
		a, b := s.join(t, "a"), s.join(t, "b")
		time.Sleep(3 * time.Second)
		if err := s.Leave(t.Context(), "here", b); err != nil {
			t.Fatal(err)
		}
		s.listen(t, time.Minute, a)
		if c := s.counters(t); c.Visits != 2 || c.Listeners != 1 {
			t.Errorf("the counters are %+v, want one listener of two visits", c)
		}
	})
}
