package station_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A pickyBoard refuses, for a reason of its own, what concerns some lives or users.
type pickyBoard struct {
	stationtest.Attendance
	mu       sync.Mutex
	refuses  map[string]bool
	closings error // what CloseVisits answers
}

var errPicky = errors.New("WRONGTYPE operation against a key holding the wrong kind of value")

func (b *pickyBoard) refuse(what ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuses = make(map[string]bool)
	for _, w := range what {
		b.refuses[w] = true
	}
}

func (b *pickyBoard) failClosings(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closings = err
}

func (b *pickyBoard) verdict(about ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range about {
		if b.refuses[a] {
			return errPicky
		}
	}
	return nil
}

func (b *pickyBoard) React(ctx context.Context, live string, r station.Reaction, user, origin string, per int) (bool, error) {
	if err := b.verdict(live, user); err != nil {
		return false, err
	}
	return b.Attendance.React(ctx, live, r, user, origin, per)
}

func (b *pickyBoard) Silent(ctx context.Context, live string, silence time.Duration) ([]station.Departure, error) {
	if err := b.verdict(live); err != nil {
		return nil, err
	}
	return b.Attendance.Silent(ctx, live, silence)
}

func (b *pickyBoard) CloseVisits(ctx context.Context, live string, ids ...string) error {
	b.mu.Lock()
	err := b.closings
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Attendance.CloseVisits(ctx, live, ids...)
}

func pickyStudio(t *testing.T) (*studio, *pickyBoard) {
	t.Helper()
	board := &pickyBoard{}
	s := beside(t, &board.Attendance, &flakyCatalog{}, station.AudienceConfig{Attendance: board})
	return s, board
}

// What was answered is in the outbox: the process may die the moment after.
func TestReactionIsOnDiskWhenAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		s.catalog.fail(errAway)
		s.outbox.fail(errors.New("no space left on device"))
		like := station.Reacting{LiveID: "here", UserID: "léa", Origin: "o", Reaction: station.Like}
		if _, err := s.React(t.Context(), like); !errors.Is(err, station.ErrAway) {
			t.Errorf("the disk takes nothing: %v, want ErrAway", err)
		}
		s.outbox.fail(nil)
		// The board says that it is not the first. It is sent again all the same.
		s.react(t, "léa", station.Like, false)
		s.react(t, "léa", station.Report, true)
		if b := s.journal.Backlog(); b.Memory != 0 || b.Outbox < 2 {
			t.Errorf("the backlog is %+v, want everything on disk", b)
		}
		s.catalog.fail(nil)
		time.Sleep(time.Minute)
		if likes, reports := s.events(t, station.EventLike), s.events(t, station.EventReport); len(likes) != 1 || len(reports) != 1 {
			t.Errorf("the log has %v and %v, want one of each", likes, reports)
		}
	})
}

// The process died when the board had the like and the disk had not: sent again,
// it is in the log.
func TestReactionSentAgainAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		if _, err := s.board.React(t.Context(), "here", station.Like, "léa", "o", 0); err != nil {
			t.Fatal(err)
		}
		s.react(t, "léa", station.Like, false)
		if likes := s.events(t, station.EventLike); len(likes) != 1 {
			t.Errorf("the log has %v, want the like", likes)
		}
	})
}

// One user on two networks while the board is away is one user.
func TestLateReactionFromTwoAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		time.Sleep(3 * time.Second)
		s.board.SetAway(errAway)
		for _, origin := range []string{"at home", "on the bus"} {
			if _, err := s.React(t.Context(), station.Reacting{LiveID: "here", UserID: "léa", Origin: origin, Reaction: station.Like}); err != nil {
				t.Fatal(err)
			}
		}
		if f := s.end(t); f.Likes != 1 {
			t.Errorf("%d likes, want one", f.Likes)
		}
	})
}

// What the board refuses for one user or one live holds nobody else up.
func TestBoardRefusesSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, board := pickyStudio(t)
		s.goOnAir(t, "ill")
		s.goOnAir(t, "here")
		running(t, s.Run)
		time.Sleep(3 * time.Second) // the board is told who reacted
		gone := s.join(t, "gone")
		board.SetAway(errAway)
		for _, user := range []string{"poison", "léa", "tom"} {
			s.react(t, user, station.Like, true)
		}
		board.refuse("ill", "poison")
		board.SetAway(nil)
		time.Sleep(5 * time.Second)
		if c := s.counters(t); c.Likes != 2 {
			t.Errorf("the counters are %+v, want the two likes behind the refused one", c)
		}
		if log := s.log.String(); !strings.Contains(log, "refuses a reaction") {
			t.Error("nobody was told")
		}
		time.Sleep(time.Minute)
		if c := s.counters(t); c.Listeners != 0 || c.Visits != 1 {
			t.Errorf("the counters are %+v, want who fell silent to be out", c)
		}
		if err := s.Beat(t.Context(), "here", gone, "o"); !errors.Is(err, station.ErrGone) {
			t.Errorf("who fell silent: %v, want ErrGone", err)
		}
		if strings.Contains(s.log.String(), "level=WARN msg=\"the board does not answer\"") {
			t.Error("a refusal made the board be away")
		}
	})
}

// A board that refuses everything for minutes has heard of nobody: when it is
// well again, nobody is counted out at once.
func TestBoardRefusesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		a := s.join(t, "a")
		s.listen(t, time.Minute, a)
		s.board.SetAway(errors.New("NOAUTH authentication required"))
		s.listen(t, 5*time.Minute, a)
		time.Sleep(4500 * time.Millisecond) // the sweep is the next to ask
		s.board.SetAway(nil)
		time.Sleep(time.Second)
		s.listen(t, time.Minute, a)
		if c := s.counters(t); c.Listeners != 1 || c.Visits != 1 {
			t.Errorf("the counters are %+v, want the listener who was there all the time", c)
		}
	})
}

// The log has the leave but the board would not close the visit, and then the
// listener is back: the leave stands, they are told to join again, and the log
// has two visits.
func TestLeaveLoggedVisitNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, board := pickyStudio(t)
		s.goOnAir(t, "here")
		running(t, s.Run)
		time.Sleep(time.Minute + time.Millisecond)
		joined := time.Now()
		id := s.join(t, "léa")
		board.failClosings(errAway)
		time.Sleep(36 * time.Second)
		if err := s.Beat(t.Context(), "here", id, "o"); err != nil {
			t.Fatal(err)
		}
		board.failClosings(nil)
		time.Sleep(6 * time.Second)
		if err := s.Beat(t.Context(), "here", id, "o"); !errors.Is(err, station.ErrGone) {
			t.Fatalf("a heartbeat after the leave is in the log: %v, want ErrGone", err)
		}
		again := s.join(t, "léa")
		s.listen(t, 20*time.Second, again)
		s.end(t)
		leaves := s.events(t, station.EventLeave)
		if len(leaves) != 2 || leaves[0].Listened != 0 || leaves[1].Listened != 20*time.Second || leaves[0].At.Sub(joined).Abs() > time.Second {
			t.Errorf("the leaves are %+v, want both visits as they were", leaves)
		}
	})
}
