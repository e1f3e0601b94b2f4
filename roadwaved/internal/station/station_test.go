package station_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpenAndClose(t *testing.T) {
	paris := time.FixedZone("Paris", 2*60*60)
	now := time.Date(2026, 7, 14, 23, 30, 0, 987654321, paris)
	h := newHouse(t, station.Config{Node: "node-1", Now: func() time.Time { return now }})

	l, err := h.Open(t.Context(), station.Request{CreatorID: "léa", Title: "Feux d'artifice 🎆", ZoneGeo: "Nice", Tags: []string{"Été"}})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := uuid.Parse(l.ID); err != nil || id.Version() != 4 {
		t.Errorf("live id %q is not a uuid v4", l.ID)
	}
	if want := now.UTC().Truncate(time.Microsecond); l.StartedAt != want {
		t.Errorf("started at %v, want %v", l.StartedAt, want)
	}
	stored, err := h.catalog.Live(t.Context(), l.ID)
	if err != nil || fmt.Sprint(stored) != fmt.Sprint(l) {
		t.Errorf("the catalog has %+v (%v), Open gave %+v", stored, err, l)
	}
	if l.Message() != "" || h.slots(t) != 1 || h.OnAir() != 1 {
		t.Errorf("on air: message %q, %d slots, %d lives here", l.Message(), h.slots(t), h.OnAir())
	}

	now = now.Add(time.Hour)
	stats := station.LiveStats{Duration: time.Hour, Packets: 180_000, Lost: 3}
	if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator, Stats: stats}); err != nil {
		t.Fatal(err)
	}
	stored, err = h.catalog.Live(t.Context(), l.ID)
	if err != nil || stored.State != station.Ended || stored.EndReason != station.EndCreator || stored.Stats != stats ||
		!stored.EndedAt.Equal(now.Truncate(time.Microsecond)) || stored.Message() != station.MessageEnded || stored.CreatorMessage() != station.MessageEnded {
		t.Errorf("after the end the catalog has %+v (%v)", stored, err)
	}
	if got := h.ends.take(); !slices.Equal(got, []string{l.ID}) {
		t.Errorf("told of the end of %v, want the live that ended", got)
	}
	if h.slots(t) != 0 || h.OnAir() != 0 {
		t.Errorf("after the end: %d slots, %d lives here", h.slots(t), h.OnAir())
	}
}

func TestEndStates(t *testing.T) {
	h := newHouse(t, station.Config{})
	for reason, want := range map[station.EndReason]station.LiveState{
		station.EndCreator:  station.Ended,
		station.EndVanished: station.Ended,
		station.EndShutdown: station.Ended,
		station.EndFailed:   station.Lost,
		station.EndCrash:    station.Lost,
	} {
		l := h.open(t)
		if err := h.Close(t.Context(), l.ID, station.End{Reason: reason}); err != nil {
			t.Fatal(err)
		}
		if got, _ := h.catalog.Live(t.Context(), l.ID); got.State != want {
			t.Errorf("a live that ended by %q is %q, want %q", reason, got.State, want)
		}
	}
	l := h.open(t)
	if err := h.Close(t.Context(), l.ID, station.End{State: station.OnAir}); err == nil {
		t.Error("a live was closed as on air")
	}
	if h.OnAir() != 1 {
		t.Error("the refused end was kept")
	}
}

func TestCloseTwice(t *testing.T) {
	h := newHouse(t, station.Config{})
	l := h.open(t)
	for _, reason := range []station.EndReason{station.EndVanished, station.EndCreator} {
		if err := h.Close(t.Context(), l.ID, station.End{Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := h.catalog.Live(t.Context(), l.ID); got.EndReason != station.EndVanished {
		t.Errorf("the live ended by %q, want the first end", got.EndReason)
	}
	if err := h.Close(t.Context(), uuid.NewString(), station.End{}); !errors.Is(err, station.ErrNotFound) {
		t.Errorf("closing an unknown live: %v, want ErrNotFound", err)
	}
}

// A request whose creator has hung up must still end the live.
func TestCloseWithEndedContext(t *testing.T) {
	h := newHouse(t, station.Config{})
	l := h.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Close(ctx, l.ID, station.End{Reason: station.EndCreator}); err != nil {
		t.Fatal(err)
	}
	if h.slots(t) != 0 || len(h.ends.take()) != 1 {
		t.Error("the end was not carried through")
	}
}

func TestFull(t *testing.T) {
	h := newHouse(t, station.Config{MaxLives: 2})
	first := h.open(t)
	h.open(t)
	_, err := h.Open(t.Context(), station.Request{})
	if !errors.Is(err, station.ErrFull) {
		t.Fatalf("the third of two: %v, want ErrFull", err)
	}
	if all, _ := h.catalog.ListLives(t.Context(), station.LiveQuery{}); len(all) != 2 {
		t.Errorf("the catalog has %d lives, want the two that were let in", len(all))
	}
	if err := h.Close(t.Context(), first.ID, station.End{}); err != nil {
		t.Fatal(err)
	}
	h.open(t)
}

// The limit is that of all daemons: the board says so when this one has room.
func TestFullElsewhere(t *testing.T) {
	h := newHouse(t, station.Config{MaxLives: 1})
	if err := h.board.Acquire(t.Context(), "on another node", 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if h.OnAir() != 0 {
		t.Error("the refused live is counted")
	}
}

func TestOpenMany(t *testing.T) {
	h := newHouse(t, station.Config{MaxLives: 10})
	var wg sync.WaitGroup
	var mu sync.Mutex
	in, out := 0, 0
	for range 50 {
		wg.Go(func() {
			_, err := h.Open(t.Context(), station.Request{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				in++
			case errors.Is(err, station.ErrFull):
				out++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in != 10 || out != 40 || h.slots(t) != 10 || h.OnAir() != 10 {
		t.Errorf("%d in, %d refused, %d slots, %d on air; want 10, 40, 10, 10", in, out, h.slots(t), h.OnAir())
	}
}

func TestNewRefuses(t *testing.T) {
	good := station.Config{Lives: &stationtest.Catalog{}, Board: &stationtest.Board{}}
	if _, err := station.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*station.Config){
		"no lives":    func(c *station.Config) { c.Lives = nil },
		"no board":    func(c *station.Config) { c.Board = nil },
		"hasty watch": func(c *station.Config) { c.NodePatience = time.Second },
		"no capacity": func(c *station.Config) { c.MaxLives = -1 },
		"no creators": func(c *station.Config) { c.MaxLivesPerCreator = -1 },
		"short lease": func(c *station.Config) { c.Lease = time.Second },
	} {
		cfg := good
		change(&cfg)
		if _, err := station.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
