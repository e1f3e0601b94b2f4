package station_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A daemon that neither board nor catalog heard of finds that its live was closed,
// and ends it.
func TestLostHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		st.house(t, "b")
		var lost endLog
		var end func(id string)
		h, way := st.remote(t, station.Config{Node: "a", OnLost: func(id string) { lost.add(id); end(id) }})
		end = func(id string) {
			if err := h.Close(t.Context(), id, station.End{Reason: station.EndShutdown}); err != nil {
				t.Error(err)
			}
		}
		running(t, h.Run)
		time.Sleep(time.Second)
		l := h.open(t)
		time.Sleep(10 * time.Minute)
		if ids := lost.take(); len(ids) != 0 {
			t.Errorf("lost %v, with the board there", ids)
		}
		way.cutBoard(errAway)
		way.catalog.cut.fail(errAway)
		time.Sleep(4 * time.Minute)
		if got := st.state(t, l.ID); got != station.Lost {
			t.Fatalf("the live is %s, want others to have closed it", got)
		}
		way.catalog.cut.fail(nil)
		time.Sleep(time.Minute + time.Second)
		if ids := lost.take(); !slices.Equal(ids, []string{l.ID}) || h.OnAir() != 0 || !strings.Contains(h.log.String(), "believed this one to be dead") {
			t.Errorf("lost %v, %d on air; log:\n%s", ids, h.OnAir(), h.log)
		}
	})
}

// What nobody closed is not lost: the catalog away, lives that begin and end.
func TestNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost endLog
		h := newHouse(t, station.Config{Nodes: newStreet().nodes, OnLost: lost.add})
		h.run(t)
		h.open(t)
		for range 10 {
			time.Sleep(59*time.Second + 500*time.Millisecond)
			over := h.open(t)
			h.catalog.fail(errors.New("away"))
			_ = h.Close(t.Context(), over.ID, station.End{})
			time.Sleep(time.Second)
			h.catalog.fail(nil)
		}
		time.Sleep(5 * time.Minute)
		if ids := lost.take(); len(ids) != 0 || h.OnAir() != 1 {
			t.Errorf("lost %v, %d on air", ids, h.OnAir())
		}
	})
}

// A live that ends here while that is being looked for is not lost.
func TestEndsWhileLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost endLog
		catalog := &hastyCatalog{}
		s, err := station.New(station.Config{Lives: catalog, Board: &stationtest.Board{}, Nodes: &stationtest.Nodes{}, OnLost: lost.add})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Open(t.Context(), station.Request{})
		if err != nil {
			t.Fatal(err)
		}
		catalog.before = func() {
			if err := s.Close(t.Context(), l.ID, station.End{}); err != nil && !errors.Is(err, station.ErrNotFound) {
				t.Error(err)
			}
		}
		running(t, s.Run)
		time.Sleep(5 * time.Minute)
		if ids := lost.take(); len(ids) != 0 {
			t.Errorf("lost %v", ids)
		}
	})
}

// A hastyCatalog lets something happen before it lists the lives of a daemon.
type hastyCatalog struct {
	stationtest.Catalog
	before func()
}

func (c *hastyCatalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	if q.Node != "" {
		c.before()
	}
	return c.Catalog.ListLives(ctx, q)
}
