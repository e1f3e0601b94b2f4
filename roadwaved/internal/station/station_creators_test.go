package station_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestBusy(t *testing.T) {
	h := newHouse(t, station.Config{Node: "a", MaxLivesPerCreator: 2})
	elsewhere := station.Live{ID: "elsewhere", Node: "b", CreatorID: "léa"}
	if err := h.catalog.StartLive(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	here := h.open(t)
	busy := func() {
		t.Helper()
		if _, err := h.Open(t.Context(), station.Request{CreatorID: "léa"}); !errors.Is(err, station.ErrBusy) {
			t.Errorf("the third of two: %v, want ErrBusy", err)
		}
		if h.OnAir() != h.slots(t) {
			t.Errorf("%d on air, %d slots", h.OnAir(), h.slots(t))
		}
	}
	busy()
	if _, err := h.Open(t.Context(), station.Request{CreatorID: "noé"}); err != nil {
		t.Error("another creator:", err)
	}
	for range 5 {
		if _, err := h.Open(t.Context(), station.Request{}); err != nil {
			t.Error("somebody:", err)
		}
	}
	if err := h.Close(t.Context(), here.ID, station.End{}); err != nil {
		t.Fatal(err)
	}
	h.open(t)
	busy()
	if err := h.catalog.EndLive(t.Context(), elsewhere.ID, station.End{State: station.Ended}); err != nil {
		t.Fatal(err)
	}
	h.open(t)
	busy()
	h.catalog.fail(errCatalogAway)
	if _, err := h.Open(t.Context(), station.Request{CreatorID: "zoé"}); !errors.Is(err, station.ErrAway) {
		t.Errorf("the catalog away: %v, want ErrAway", err)
	}
}

// Whoever asks many times at once gets no more.
func TestBusyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{MaxLivesPerCreator: 3})
		var let atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, err := h.Open(t.Context(), station.Request{CreatorID: "léa"})
				switch {
				case err == nil:
					let.Add(1)
				case !errors.Is(err, station.ErrBusy):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if let.Load() != 3 || h.slots(t) != 3 {
			t.Errorf("%d let in, %d slots, want 3", let.Load(), h.slots(t))
		}
	})
}
