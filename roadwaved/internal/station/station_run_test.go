package station_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{Lease: 30 * time.Second})
		h.run(t)
		h.open(t)
		over := h.open(t)
		time.Sleep(time.Hour)
		if h.slots(t) != 2 {
			t.Errorf("after an hour %d slots are held, want 2", h.slots(t))
		}
		if err := h.Close(t.Context(), over.ID, station.End{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if h.slots(t) != 1 {
			t.Errorf("after the end of one %d slots are held, want 1", h.slots(t))
		}
	})
}

func TestBoardAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{MaxLives: 3, Lease: 30 * time.Second})
		h.run(t)
		h.open(t)
		h.board.fail(errAway)
		time.Sleep(time.Minute)
		if h.OnAir() != 1 || h.slots(t) != 0 {
			t.Fatalf("%d lives and %d slots, want the live to go on with its slot lost", h.OnAir(), h.slots(t))
		}
		h.open(t)
		late := h.open(t)
		if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
			t.Errorf("without a board the limit is this daemon's own: got %v, want ErrFull", err)
		}
		if err := h.Close(t.Context(), late.ID, station.End{}); err != nil {
			t.Error("a live could not end for want of the board:", err)
		}
		h.board.fail(nil)
		time.Sleep(time.Minute)
		if h.slots(t) != 2 {
			t.Errorf("%d slots, want those of the two lives on air", h.slots(t))
		}
	})
}

// A board that answers slowly keeps a creator waiting for two seconds at most.
func TestBoardHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := station.New(station.Config{Lives: &stationtest.Catalog{}, Board: hangingBoard{}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		l, err := s.Open(t.Context(), station.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context(), l.ID, station.End{}); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited > 5*time.Second {
			t.Errorf("waited for %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Open(ctx, station.Request{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a creator who left: got %v, want the context's error", err)
		}
		if s.OnAir() != 0 {
			t.Error("the creator who left is on air")
		}
	})
}

type hangingBoard struct{ station.Board }

func (hangingBoard) Acquire(ctx context.Context, _ string, _ int, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangingBoard) Release(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// A live that ends while its slot is being renewed must not get it back.
func TestEndDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{})
		slow := &slowBoard{Board: &h.board.Board, entered: make(chan struct{}), leave: make(chan struct{})}
		s, err := station.New(station.Config{Lives: h.catalog, Board: slow})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Open(t.Context(), station.Request{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		<-slow.entered
		if err := s.Close(t.Context(), l.ID, station.End{}); err != nil {
			t.Fatal(err)
		}
		close(slow.leave)
		synctest.Wait()
		if h.slots(t) != 0 {
			t.Error("a live that is over holds a slot")
		}
		cancel()
		<-done
	})
}

type slowBoard struct {
	*stationtest.Board
	entered, leave chan struct{}
}

func (b *slowBoard) Renew(ctx context.Context, lease time.Duration, ids ...string) error {
	close(b.entered)
	<-b.leave
	return b.Board.Renew(ctx, lease, ids...)
}

// Lives open and close, twice and at the same time, while leases are renewed and
// the catalog comes and goes. Every one of them ends once, with a job.
func TestRush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{MaxLives: 1000, Lease: 3 * time.Second})
		h.run(t)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				l, err := h.Open(t.Context(), station.Request{})
				if err != nil {
					return // the catalog was away
				}
				time.Sleep(time.Duration(i%7) * time.Second)
				wg.Go(func() { h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator}) })
				h.Close(t.Context(), l.ID, station.End{Reason: station.EndVanished})
			})
		}
		for range 20 {
			h.catalog.fail(errAway)
			h.board.fail(errAway)
			time.Sleep(100 * time.Millisecond)
			h.catalog.fail(nil)
			h.board.fail(nil)
			time.Sleep(300 * time.Millisecond)
		}
		wg.Wait()
		time.Sleep(10 * time.Second)
		lives, err := h.catalog.ListLives(t.Context(), station.LiveQuery{Limit: station.MaxPage})
		if err != nil || len(lives) < 50 {
			t.Fatalf("%d lives were started (%v)", len(lives), err)
		}
		for _, l := range lives {
			if l.State == station.OnAir {
				t.Errorf("live %s is on air", l.ID)
			}
			if _, err := h.catalog.Job(t.Context(), l.ID); err != nil {
				t.Errorf("live %s has no job: %v", l.ID, err)
			}
		}
		if h.OnAir() != 0 || h.slots(t) != 0 {
			t.Errorf("%d lives and %d slots are left", h.OnAir(), h.slots(t))
		}
	})
}
