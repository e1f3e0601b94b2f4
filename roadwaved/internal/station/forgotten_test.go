package station_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// The board loses its memory: heartbeats bring the listeners back and the log
// the reactions; nothing that everybody sees goes down but for the listeners.
func TestBoardForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		left := s.join(t, "left")
		var all []string
		for i := range 50 {
			user := fmt.Sprint("user ", i)
			all = append(all, s.join(t, user))
			s.react(t, user, station.Like, true)
		}
		s.react(t, "user 1", station.Report, true)
		if err := s.Leave(t.Context(), "here", left); err != nil {
			t.Fatal(err)
		}
		s.listen(t, 2*time.Minute, all...)
		before := s.counters(t)
		s.board.Forget()
		time.Sleep(3 * time.Second)
		if c := s.counters(t); c.Likes != 50 || c.Reports != 1 || c.Visits != 51 {
			t.Errorf("right after: %+v, want the reactions and visits of before", c)
		}
		s.listen(t, 3*time.Minute, all...)
		if c := s.counters(t); c != before {
			t.Errorf("three minutes after: %+v, want %+v", c, before)
		}
		s.react(t, "user 1", station.Like, false)
		s.react(t, "user 51", station.Like, true)
		s.join(t, "user 51")
		time.Sleep(3 * time.Second)
		if c := s.counters(t); c.Likes != 51 || c.Visits != 52 || c.Listeners != 51 {
			t.Errorf("with one more: %+v", c)
		}
		if leaves := s.events(t, station.EventLeave); len(leaves) != 1 {
			t.Errorf("%d leaves are in the log, want one", len(leaves))
		}
	})
}

// Likes that are on their way to the catalog when the board forgets them are
// given back too.
func TestBoardForgetsWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		time.Sleep(2 * time.Minute)
		s.catalog.fail(fmt.Errorf("%w", station.ErrAway))
		s.react(t, "léa", station.Like, true)
		time.Sleep(3 * time.Second)
		s.board.Forget()
		time.Sleep(3 * time.Second)
		s.catalog.fail(nil)
		time.Sleep(2 * time.Minute)
		if c, known, err := s.board.Count(t.Context(), "here"); err != nil || !known || c.Likes != 1 {
			t.Errorf("the board counts %+v (%v, %v), want the like", c, known, err)
		}
	})
}

// The process dies under a live: the one that closes it finds the visits on the
// board, or at least in the log, and the figures in the samples.
func TestFinishOfTheDead(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprint("board lost too: ", lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, station.AudienceConfig{})
				a, b := s.join(t, "a"), s.join(t, "b")
				s.react(t, "a", station.Like, true)
				s.listen(t, 70*time.Second, a, b)
				if err := s.Leave(t.Context(), "here", b); err != nil {
					t.Fatal(err)
				}
				s.listen(t, 70*time.Second, a)
				s.mu.Lock()
				s.onAir = nil // it counts no more
				s.mu.Unlock()
				time.Sleep(5 * time.Minute)
				if lost {
					s.board.Forget()
				}
				other := beside(t, s.board, s.catalog, station.AudienceConfig{})
				running(t, other.Run)
				f := other.Finish(t.Context(), "here")
				if err := s.catalog.EndLive(t.Context(), "here", station.End{At: time.Now(), State: station.Lost}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if f.Peak != 2 || f.Visits != 2 || f.Likes != 1 {
					t.Errorf("the figures are %+v, want two visits and a like", f)
				}
				leaves := s.events(t, station.EventLeave)
				if len(leaves) != 2 {
					t.Errorf("the log has %+v, want both leaves", leaves)
				}
				// Of a board that forgot, the last sample is left.
				until := map[bool]time.Duration{false: 130 * time.Second, true: 120 * time.Second}[lost]
				for _, e := range leaves {
					if want := map[string]time.Duration{"a": until, "b": 70 * time.Second}[e.UserID]; e.Listened != want {
						t.Errorf("%s listened for %v, want %v", e.UserID, e.Listened, want)
					}
				}
			})
		})
	}
}
