package station_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A wayOut is how one daemon reaches what it shares with the others; the way to
// either can be cut.
type wayOut struct {
	catalog *cutCatalog
	board   *cutBoard
	nodes   *flakyNodes
}

type cutCatalog struct {
	*flakyCatalog
	cut flaky
}

func (c *cutCatalog) Sign(ctx context.Context, n station.Node, place string, now time.Time) (string, error) {
	if err := c.cut.broken(); err != nil {
		return "", err
	}
	return c.flakyCatalog.Sign(ctx, n, place, now)
}

func (c *cutCatalog) ListSigns(ctx context.Context, now time.Time) ([]station.Sign, error) {
	if err := c.cut.broken(); err != nil {
		return nil, err
	}
	return c.flakyCatalog.ListSigns(ctx, now)
}

func (c *cutCatalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	if err := c.cut.broken(); err != nil {
		return nil, err
	}
	return c.flakyCatalog.ListLives(ctx, q)
}

func (c *cutCatalog) Unsign(ctx context.Context, name, place string) error {
	if err := c.cut.broken(); err != nil {
		return err
	}
	return c.flakyCatalog.Unsign(ctx, name, place)
}

type cutBoard struct {
	*flakyBoard
	cut flaky
}

func (b *cutBoard) Acquire(ctx context.Context, id string, limit int, lease time.Duration) error {
	if err := b.cut.broken(); err != nil {
		return err
	}
	return b.flakyBoard.Acquire(ctx, id, limit, lease)
}

func (b *cutBoard) Renew(ctx context.Context, lease time.Duration, ids ...string) error {
	if err := b.cut.broken(); err != nil {
		return err
	}
	return b.flakyBoard.Renew(ctx, lease, ids...)
}

// cutBoard cuts the daemon off from the board, or not any more with nil.
func (w *wayOut) cutBoard(err error) {
	w.board.cut.fail(err)
	w.nodes.fail(err)
}

// remote is a daemon of the street with a way of its own, not started.
func (st *street) remote(t *testing.T, cfg station.Config) (*house, *wayOut) {
	t.Helper()
	w := &wayOut{&cutCatalog{flakyCatalog: st.catalog}, &cutBoard{flakyBoard: st.board}, &flakyNodes{Nodes: st.nodes.Nodes}}
	h := &house{catalog: st.catalog, board: st.board, ends: &endLog{}, log: &logText{}}
	cfg.Lives, cfg.Board, cfg.Nodes, cfg.Signs = w.catalog, w.board, w.nodes, w.catalog
	cfg.OnEnd, cfg.Logger = h.ends.add, slog.New(slog.NewTextHandler(h.log, nil))
	s, err := station.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Station = s
	return h, w
}

// A daemon that only the board does not hear of, or only the catalog, is not
// dead: its lives go on, known to all, and keep their slots.
func TestCutOff(t *testing.T) {
	for name, cut := range map[string]func(w *wayOut, err error){
		"from the board":   (*wayOut).cutBoard,
		"from the catalog": func(w *wayOut, err error) { w.catalog.cut.fail(err) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStreet()
				var lost endLog
				a, way := st.remote(t, station.Config{Node: "a", NodeURL: "http://a", MaxLives: 2, OnLost: lost.add})
				running(t, a.Run)
				b, _ := st.remote(t, station.Config{Node: "b", MaxLives: 2})
				running(t, b.Run)
				time.Sleep(time.Second)
				l := a.open(t)
				b.open(t)
				cut(way, errAway)
				time.Sleep(10 * time.Minute)
				if got := st.state(t, l.ID); got != station.OnAir || a.OnAir() != 1 {
					t.Errorf("the live is %s, %d on air", got, a.OnAir())
				}
				if n, elsewhere := b.Peer(t.Context(), l.ID); !elsewhere || n.URL != "http://a" {
					t.Errorf("its daemon is %+v %v", n, elsewhere)
				}
				late, _ := st.remote(t, station.Config{Node: "late", MaxLives: 2}) // knows nobody yet
				running(t, late.Run)
				synctest.Wait()
				if n, elsewhere := late.Peer(t.Context(), l.ID); !elsewhere || n.URL != "http://a" {
					t.Errorf("to a daemon that began now, its daemon is %+v %v", n, elsewhere)
				}
				if _, err := b.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
					t.Errorf("the third live of two: %v", err)
				}
				cut(way, nil)
				time.Sleep(10 * time.Minute)
				if got := st.state(t, l.ID); got != station.OnAir || a.slots(t) != 2 || len(lost.take()) != 0 {
					t.Errorf("back again the live is %s, %d slots are taken", got, a.slots(t))
				}
			})
		})
	}
}

// Without the board every daemon counts the lives of all whose daemon lives, by
// what it last knew when the catalog does not list them.
func TestLimitWithoutBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		cfg := station.Config{MaxLives: 4}
		open := func(h *house) error {
			t.Helper()
			_, err := h.Open(t.Context(), station.Request{})
			return err
		}
		cfg.Node = "dead"
		dead, last := st.remote(t, cfg)
		kill := running(t, dead.Run)
		cfg.Node = "a"
		a, way := st.remote(t, cfg)
		running(t, a.Run)
		cfg.Node = "b"
		b, _ := st.remote(t, cfg)
		running(t, b.Run)
		time.Sleep(time.Second)
		for _, h := range []*house{dead, a} {
			if err := open(h); err != nil {
				t.Error(err)
			}
		}
		st.board.fail(errAway)
		st.nodes.fail(errAway)
		last.catalog.cut.fail(errAway) // no goodbye
		kill()
		for _, h := range []*house{a, b} {
			if err := open(h); err != nil {
				t.Error(err)
			}
		}
		for _, h := range []*house{a, b} {
			if err := open(h); !errors.Is(err, station.ErrFull) {
				t.Errorf("the fifth live of four: %v", err)
			}
		}
		time.Sleep(40 * time.Second) // those of the dead one do not count any more
		if err := open(b); err != nil {
			t.Error(err)
		}
		time.Sleep(11 * time.Second) // everybody has looked
		way.catalog.cut.fail(errAway)
		for _, h := range []*house{a, b} {
			if err := open(h); !errors.Is(err, station.ErrFull) {
				t.Errorf("one more: %v", err)
			}
		}
		if n := a.OnAir() + b.OnAir(); n != 4 {
			t.Errorf("%d on air, want 4", n)
		}
	})
}

// A live that a crash cut was over at the last sign of life, or when the last was
// recorded; it does not matter when that is found.
func TestEndOfCrash(t *testing.T) {
	for name, tt := range map[string]struct {
		recorded time.Duration // after the start, 0 for never
		want     time.Duration
	}{
		"by the catalog":              {0, 20 * time.Second},
		"by the recording":            {27 * time.Second, 27 * time.Second},
		"silent before":               {7 * time.Second, 20 * time.Second},
		"a recording from the future": {10 * time.Hour, 3*time.Hour + 25*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStreet()
				began := time.Now()
				a, kill := st.house(t, "a")
				l := a.open(t)
				time.Sleep(25 * time.Second)
				kill()
				time.Sleep(3 * time.Hour)
				again, _ := st.remote(t, station.Config{Node: "a", Journal: st.journal, LastRecorded: func(id string) time.Time {
					if tt.recorded == 0 || id != l.ID {
						return time.Time{}
					}
					return began.Add(tt.recorded)
				}})
				if lost, err := again.CloseOrphans(t.Context()); err != nil || len(lost) != 1 {
					t.Fatalf("lost %v (%v)", lost, err)
				}
				got, err := st.catalog.Live(t.Context(), l.ID)
				if err != nil || got.EndedAt.Sub(l.StartedAt) != tt.want || got.Stats.Duration != tt.want {
					t.Errorf("it ended after %v and lasted %v (%v), want %v", got.EndedAt.Sub(l.StartedAt), got.Stats.Duration, err, tt.want)
				}
				ends := st.journal.of(station.EventLiveEnd)
				if len(ends) != 1 || !ends[0].At.Equal(got.EndedAt) || ends[0].Stats.Duration != tt.want {
					t.Errorf("the log has %+v", ends)
				}
			})
		})
	}
}

// A daemon died while the catalog was away: the board has heard of it after its
// last sign of life.
func TestEndOfCrashInOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, kill := st.house(t, "a")
		st.house(t, "b")
		l := a.open(t)
		time.Sleep(time.Minute)
		st.catalog.fail(errAway)
		time.Sleep(4*time.Minute + 5*time.Second)
		kill()
		time.Sleep(time.Minute)
		st.catalog.fail(nil)
		time.Sleep(5 * time.Minute)
		got, err := st.catalog.Live(t.Context(), l.ID)
		lasted := got.EndedAt.Sub(l.StartedAt)
		if err != nil || got.State != station.Lost || lasted < 4*time.Minute || lasted > 5*time.Minute+5*time.Second {
			t.Errorf("it is %s and lasted %v (%v)", got.State, lasted, err)
		}
	})
}

// A live that began after the last sign of its daemon did not end before.
func TestEndOfCrashAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		_, kill := st.house(t, "a")
		synctest.Wait()
		kill()
		time.Sleep(5 * time.Second)
		a, _ := st.remote(t, station.Config{Node: "a", Place: "nowhere"})
		l := a.open(t)
		time.Sleep(time.Hour)
		again, _ := st.remote(t, station.Config{Node: "a"})
		if _, err := again.CloseOrphans(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := st.catalog.Live(t.Context(), l.ID); err != nil || !got.EndedAt.Equal(l.StartedAt) || got.Stats.Duration != 0 {
			t.Errorf("it is %+v (%v)", got, err)
		}
	})
}

// A second daemon of the same name does not start, and closes no live.
func TestTwinAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, _ := st.remote(t, station.Config{Node: "a", Place: "here"})
		running(t, a.Run)
		l := a.open(t)
		time.Sleep(time.Minute)
		twin, _ := st.remote(t, station.Config{Node: "a", NodeFile: "/copy/node", Place: "there"})
		if _, err := twin.CloseOrphans(t.Context()); !errors.Is(err, station.ErrTwin) || !strings.Contains(err.Error(), "delete /copy/node") {
			t.Errorf("got %v", err)
		}
		if got := st.state(t, l.ID); got != station.OnAir {
			t.Errorf("the live is %s", got)
		}
	})
}

// Who comes back is no twin: in its place at once, elsewhere when the one before
// has been silent for a lease, or said goodbye.
func TestNoTwin(t *testing.T) {
	for name, tt := range map[string]struct {
		place   string
		goodbye bool
		wait    time.Duration
	}{
		"in its place":      {"here", false, 0},
		"moved":             {"there", false, 24 * time.Second}, // to a lease after its last sign
		"moved and stopped": {"there", true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStreet()
				a, way := st.remote(t, station.Config{Node: "a", Place: "here"})
				stop := running(t, a.Run)
				l := a.open(t)
				time.Sleep(65 * time.Second)
				if !tt.goodbye {
					way.catalog.cut.fail(errAway)
				}
				stop()
				time.Sleep(time.Second)
				begin := time.Now()
				again, _ := st.remote(t, station.Config{Node: "a", Place: tt.place})
				lost, err := again.CloseOrphans(t.Context())
				if err != nil || len(lost) != 1 || lost[0].ID != l.ID {
					t.Errorf("lost %v (%v)", lost, err)
				}
				if waited := time.Since(begin); waited != tt.wait {
					t.Errorf("it waited for %v, want %v", waited, tt.wait)
				}
			})
		})
	}
}

// Two that started at the same time both say so, once; nothing else is said so of.
func TestTwinsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		var twins []*house
		for _, place := range []string{"here", "there"} {
			h, _ := st.remote(t, station.Config{Node: "a", NodeFile: place + "/node", Place: place})
			running(t, h.Run)
			twins = append(twins, h)
			time.Sleep(3 * time.Second)
		}
		other, _ := st.remote(t, station.Config{Node: "b"})
		running(t, other.Run)
		time.Sleep(10 * time.Minute)
		told := func(h *house) int { return strings.Count(h.log.String(), "delete ") }
		if got := []int{told(twins[0]), told(twins[1]), told(other)}; !slices.Equal(got, []int{1, 1, 0}) {
			t.Errorf("it was said %v times, want 1, 1 and 0:\n%s", got, twins[0].log)
		}
	})
}
