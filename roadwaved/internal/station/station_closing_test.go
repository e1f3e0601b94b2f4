package station_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// Start and end are in the log, once however often they are told, and the
// orphans of a crash have both.
func TestLiveEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &eventList{}
		audience := figures{Peak: 9, Counters: station.Counters{Visits: 40, Likes: 3}}
		cfg := station.Config{Journal: log, Audience: audience}
		h := newHouse(t, cfg)
		h.run(t)
		l, err := h.Open(t.Context(), station.Request{CreatorID: "léa", ZoneGeo: "Nice"})
		if err != nil {
			t.Fatal(err)
		}
		h.catalog.fail(errAway)
		stats := station.LiveStats{Duration: time.Hour, Packets: 180_000}
		for range 2 {
			if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator, Stats: stats}); err == nil {
				t.Error("the end was written without a catalog")
			}
		}
		h.catalog.fail(nil)
		time.Sleep(time.Minute)
		stats.Visits, stats.PeakListeners, stats.Likes = 40, 9, 3
		if got, _ := h.catalog.Live(t.Context(), l.ID); got.Stats != stats {
			t.Errorf("the figures are %+v, want %+v", got.Stats, stats)
		}
		starts, ends := log.of(station.EventLiveStart), log.of(station.EventLiveEnd)
		if len(starts) != 1 || len(ends) != 1 || log.told != 2 {
			t.Fatalf("the log has %v and %v, told %d times", starts, ends, log.told)
		}
		if e := starts[0]; e.LiveID != l.ID || e.UserID != "léa" || e.ZoneGeo != "Nice" || !e.At.Equal(l.StartedAt) {
			t.Errorf("the start is %+v", e)
		}
		if e := ends[0]; e.LiveID != l.ID || e.UserID != "léa" || e.Stats != stats {
			t.Errorf("the end is %+v", e)
		}

		orphan := h.open(t)
		log.events = nil // they were in memory when the process died
		h.restart(t, cfg)
		if _, err := h.CloseOrphans(t.Context()); err != nil {
			t.Fatal(err)
		}
		starts, ends = log.of(station.EventLiveStart), log.of(station.EventLiveEnd)
		if len(starts) != 1 || len(ends) != 1 || starts[0].LiveID != orphan.ID || ends[0].Stats.Visits != 40 {
			t.Errorf("after the crash the log has %v and %v", starts, ends)
		}
	})
}

// The end is on disk before the catalog has it: a crash in between loses nothing.
func TestEndWrittenDownFirst(t *testing.T) {
	log := &eventList{}
	h := newHouse(t, station.Config{Journal: log})
	l := h.open(t)
	h.catalog.fail(errAway)
	if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator}); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	if len(log.of(station.EventLiveEnd)) != 1 || log.flushes.Load() != 1 {
		t.Errorf("the log has %v after %d flushes", log.events, log.flushes.Load())
	}
}

// The second to end a live waits for the figures that the first one counts, and
// so does Run.
func TestEndsWaitForFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{Audience: slowFigures{}})
		h.run(t)
		l := h.open(t)
		time.Sleep(9 * time.Second) // Run looks for ends in a second
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got, _ := h.catalog.Live(t.Context(), l.ID); got.Stats.Visits != 12 {
			t.Errorf("the figures are %+v, want those of the audience", got.Stats)
		}
	})
}

type slowFigures struct{}

func (slowFigures) Finish(context.Context, string) station.Figures {
	time.Sleep(4 * time.Second)
	return station.Figures{Counters: station.Counters{Visits: 12}}
}

// A live that could not start has neither.
func TestNoEventsOfNoLive(t *testing.T) {
	log := &eventList{}
	h := newHouse(t, station.Config{Journal: log})
	h.catalog.deaf.fail(errAway)
	if _, err := h.Open(t.Context(), station.Request{}); err == nil {
		t.Fatal("the live started")
	}
	if log.told != 0 {
		t.Errorf("the log has %v", log.events)
	}
}

// A catalog that hangs keeps a creator waiting for five seconds, and is no
// fault of theirs; what it wrote all the same is closed later. So it is with a
// board that hangs too.
func TestCatalogHangs(t *testing.T) {
	for _, board := range []station.Board{&stationtest.Board{}, hangingBoard{}} {
		t.Run(fmt.Sprintf("%T", board), func(t *testing.T) { catalogHangs(t, board) })
	}
}

func catalogHangs(t *testing.T, board station.Board) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowCatalog{}
		s, err := station.New(station.Config{Lives: slow, Board: board})
		if err != nil {
			t.Fatal(err)
		}
		running(t, s.Run)
		begin := time.Now()
		_, err = s.Open(t.Context(), station.Request{})
		if waited := time.Since(begin); !errors.Is(err, station.ErrAway) || waited > 5*time.Second {
			t.Errorf("after %v: %v, want ErrAway in five seconds", waited, err)
		}
		if s.OnAir() != 0 || len(s.Lives()) != 0 {
			t.Error("it is on air")
		}
		time.Sleep(time.Minute)
		all, err := slow.ListLives(t.Context(), station.LiveQuery{})
		if err != nil || len(all) != 1 || all[0].State != station.Lost {
			t.Errorf("the catalog has %+v (%v), want one live that is lost", all, err)
		}
	})
}

// A slowCatalog writes a live but never says so.
type slowCatalog struct{ stationtest.Catalog }

func (c *slowCatalog) StartLive(ctx context.Context, l station.Live) error {
	if err := c.Catalog.StartLive(ctx, l); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
