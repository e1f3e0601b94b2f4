package station_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestCatalogAwayAtStart(t *testing.T) {
	h := newHouse(t, station.Config{})
	h.catalog.fail(errAway)
	if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, errAway) {
		t.Fatalf("got %v, want the catalog's error", err)
	}
	if h.OnAir() != 0 {
		t.Error("a live nobody wrote down is on air")
	}
	h.catalog.fail(nil)
	h.open(t)
}

// The catalog wrote the live but its answer was lost. Nobody broadcasts: the live
// must not stay on air in the lists.
func TestCatalogAnswerLost(t *testing.T) {
	h := newHouse(t, station.Config{})
	h.catalog.deaf.fail(errAway)
	if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, errAway) {
		t.Fatalf("got %v, want the catalog's error", err)
	}
	all, err := h.catalog.ListLives(t.Context(), station.LiveQuery{})
	if err != nil || len(all) != 1 || all[0].State != station.Lost {
		t.Errorf("the catalog has %+v (%v), want one live that is lost", all, err)
	}
	if h.slots(t) != 0 {
		t.Error("it kept its slot")
	}
}

func TestCatalogAwayAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{})
		h.run(t)
		l := h.open(t)
		h.catalog.fail(errAway)
		ended := time.Now()
		for _, reason := range []station.EndReason{station.EndVanished, station.EndShutdown} {
			if err := h.Close(t.Context(), l.ID, station.End{Reason: reason}); !errors.Is(err, errAway) {
				t.Fatalf("got %v, want the catalog's error", err)
			}
		}
		time.Sleep(5 * time.Minute)
		if h.OnAir() != 0 || len(h.ends.take()) != 0 {
			t.Error("the live is over, but its job is not open yet")
		}
		h.catalog.fail(nil)
		time.Sleep(time.Minute)
		got, err := h.catalog.Live(t.Context(), l.ID)
		if err != nil || got.EndReason != station.EndVanished || !got.EndedAt.Equal(ended.Truncate(time.Microsecond)) {
			t.Errorf("the catalog has %+v (%v), want the first end, at its own time", got, err)
		}
		if ids := h.ends.take(); !slices.Equal(ids, []string{l.ID}) || h.slots(t) != 0 {
			t.Errorf("told of the end of %v with %d slots taken, want the live and no slot", ids, h.slots(t))
		}
	})
}

func TestCloseOrphans(t *testing.T) {
	h := newHouse(t, station.Config{Node: "node-1", MaxLives: 500})
	var before []string
	for range station.MaxPage + 3 { // more than one page
		before = append(before, h.open(t).ID)
	}
	h.restart(t, station.Config{Node: "node-2", MaxLives: 500})
	elsewhere := h.open(t)
	h.restart(t, station.Config{Node: "node-1", MaxLives: 500})
	fresh := h.open(t)
	h.ends.take()

	orphans, err := h.CloseOrphans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, l := range orphans {
		found = append(found, l.ID)
	}
	slices.Sort(before)
	slices.Sort(found)
	if !slices.Equal(found, before) {
		t.Errorf("found %d orphans, want the %d lives of the process before", len(found), len(before))
	}
	if n := len(h.ends.take()); n != len(before) {
		t.Errorf("told of %d ends, want %d", n, len(before))
	}
	got, err := h.catalog.Live(t.Context(), before[0])
	if err != nil || got.State != station.Lost || got.EndReason != station.EndCrash || got.Message() != station.MessageLost || got.CreatorMessage() != station.MessageCut {
		t.Errorf("an orphan is %+v (%v)", got, err)
	}
	for _, l := range []station.Live{elsewhere, fresh} {
		if got, _ := h.catalog.Live(t.Context(), l.ID); got.State != station.OnAir {
			t.Errorf("the live of %s was closed", l.Node)
		}
	}
	if h.slots(t) != 2 {
		t.Errorf("%d slots are taken, want 2", h.slots(t))
	}
	if again, err := h.CloseOrphans(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("the second time found %v (%v)", again, err)
	}
}

func TestCloseOrphansCatalogAway(t *testing.T) {
	h := newHouse(t, station.Config{})
	h.open(t)
	h.restart(t, station.Config{})
	h.catalog.fail(errAway)
	if _, err := h.CloseOrphans(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("got %v, want the catalog's error", err)
	}
	h.catalog.fail(nil)
	if orphans, err := h.CloseOrphans(t.Context()); err != nil || len(orphans) != 1 {
		t.Errorf("got %v (%v), want the orphan", orphans, err)
	}
}
