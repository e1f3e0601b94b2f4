package station_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

var errCatalogAway = fmt.Errorf("connection refused: %w", station.ErrAway)

func TestPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, killA := st.house(t, "a")
		b, _ := st.house(t, "b")
		time.Sleep(time.Second)
		l, unknown := a.open(t), uuid.NewString()
		isAt(t, b, l.ID, "http://a")
		for what, h := range map[string]*house{l.ID: a, unknown: b, "nowhere": b, "urn:uuid:" + l.ID: b} {
			if n, ok := h.Peer(t.Context(), what); ok {
				t.Errorf("%s is at %+v", what, n)
			}
		}
		asked := st.catalog.lookups.Load()
		for range 1000 {
			b.Peer(t.Context(), l.ID)
			b.Peer(t.Context(), unknown)
			b.Peer(t.Context(), "nowhere")
		}
		if n := st.catalog.lookups.Load() - asked; n != 0 {
			t.Errorf("the catalog was asked %d times more", n)
		}
		over := a.open(t)
		if err := a.Close(t.Context(), over.ID, station.End{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(linger - time.Second)
		isAt(t, b, over.ID, "http://a")
		if n, ok := a.Peer(t.Context(), over.ID); ok {
			t.Errorf("where it was, a live that is over is at %+v", n)
		}
		time.Sleep(2 * time.Second)
		if n, ok := b.Peer(t.Context(), over.ID); ok {
			t.Errorf("a live that is over is at %+v", n)
		}
		killA()
		time.Sleep(time.Minute)
		isAt(t, b, l.ID, "http://a") // nobody knows better
		time.Sleep(90 * time.Second)
		if n, ok := b.Peer(t.Context(), l.ID); ok {
			t.Errorf("a live that was lost is at %+v", n)
		}
	})
}

func isAt(t *testing.T, h *house, id, url string) {
	t.Helper()
	if n, ok := h.Peer(t.Context(), id); !ok || n.URL != url {
		t.Errorf("the live is at %+v (%v), want %q", n, ok, url)
	}
}

// Catalog and board go away, one or both: every daemon knows where lives are,
// also those that nobody asked it for before, and what they are.
func TestPeersWhileServicesAreAway(t *testing.T) {
	for name, gone := range map[string]func(st *street) []*flaky{
		"catalog": func(st *street) []*flaky { return []*flaky{&st.catalog.flaky} },
		"board":   func(st *street) []*flaky { return []*flaky{&st.board.flaky, &st.nodes.flaky} },
		"both":    func(st *street) []*flaky { return []*flaky{&st.catalog.flaky, &st.board.flaky, &st.nodes.flaky} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStreet()
				a, _ := st.house(t, "a")
				b, _ := st.house(t, "b")
				time.Sleep(time.Second)
				asked, unasked := a.open(t), a.open(t)
				isAt(t, b, asked.ID, "http://a")
				time.Sleep(11 * time.Second)
				for _, f := range gone(st) {
					f.fail(errCatalogAway)
				}
				for range 20 {
					time.Sleep(time.Minute)
					for _, l := range []station.Live{asked, unasked} {
						isAt(t, b, l.ID, "http://a")
						for where, h := range map[string]*house{"here": a, "elsewhere": b} {
							if got, err := h.Live(t.Context(), l.ID); err != nil || got.State != station.OnAir || got.Title != l.Title {
								t.Errorf("read %s it is %+v (%v)", where, got, err)
							}
						}
					}
				}
				for _, f := range gone(st) {
					f.fail(nil)
				}
				if err := a.Close(t.Context(), asked.ID, station.End{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(linger)
				if n, ok := b.Peer(t.Context(), asked.ID); ok {
					t.Errorf("a live that is over is at %+v", n)
				}
				if got, err := b.Live(t.Context(), asked.ID); err != nil || got.State != station.Ended {
					t.Errorf("it is %+v (%v), want it over", got, err)
				}
			})
		})
	}
}

// People join a live on another daemon while the catalog is away or hangs, and
// none that was never seen or is over.
func TestJoinElsewhereCatalogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		elsewhere := map[string]bool{"there": true}
		s := newStudio(t, station.AudienceConfig{OnAirElsewhere: func(id string) bool { return elsewhere[id] }})
		join := func(id string) error {
			_, err := s.Join(t.Context(), station.Join{LiveID: id})
			return err
		}
		s.catalog.fail(errCatalogAway)
		for range 10 {
			if err := join("there"); err != nil {
				t.Error(err)
			}
			if err := join("who knows"); !errors.Is(err, station.ErrAway) {
				t.Errorf("joining what was never seen: %v, want ErrAway", err)
			}
			time.Sleep(time.Minute)
		}
		s.catalog.fail(nil)
		if err := join("there"); !errors.Is(err, station.ErrNotFound) {
			t.Errorf("the catalog knows better: %v, want ErrNotFound", err)
		}

		hanging := &hangingCatalog{hang: true}
		a, err := station.NewAudience(station.AudienceConfig{
			Attendance: s.board, Journal: quietLog{}, Records: hanging, Lives: hanging,
			Key: make([]byte, 32), OnAir: func() []string { return nil }, OnAirElsewhere: func(string) bool { return true },
		})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := a.Join(t.Context(), station.Join{LiveID: "there"}); err != nil || time.Since(begin) > 3*time.Second {
			t.Errorf("with a catalog that hangs: %v after %v", err, time.Since(begin))
		}
		time.Sleep(10 * time.Second) // nobody waits for that answer any more
	})
}

// A board that was emptied knows nobody until all have presented themselves.
func TestPeerBoardForgot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, _ := st.house(t, "a")
		b, _ := st.house(t, "b")
		time.Sleep(11 * time.Second) // all have seen each other
		l := a.open(t)
		for range 100 {
			if err := st.nodes.Absent(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(700 * time.Millisecond)
			isAt(t, b, l.ID, "http://a")
		}
	})
}

// Nobody can tell: that is not a live nobody knows.
func TestPeerCannotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, way := st.remote(t, station.Config{Node: "a", NodeURL: "http://a"})
		way.catalog.cut.fail(errCatalogAway) // no sign of life there
		running(t, a.Run)
		l := a.open(t)
		st.nodes.fail(errCatalogAway)
		b, _ := st.house(t, "b") // has never seen a
		time.Sleep(time.Second)
		isAt(t, b, l.ID, "")
		st.nodes.fail(nil)
		time.Sleep(11 * time.Second)
		isAt(t, b, l.ID, "http://a")

		st.catalog.fail(errCatalogAway)
		isAt(t, b, uuid.NewString(), "")
		if _, err := b.Live(t.Context(), uuid.NewString()); !errors.Is(err, station.ErrAway) {
			t.Errorf("reading it: %v, want ErrAway", err)
		}
		if _, err := b.Live(t.Context(), "nowhere"); !errors.Is(err, station.ErrNotFound) {
			t.Errorf("reading what is no id: %v, want ErrNotFound", err)
		}
		if _, err := b.ListLives(t.Context(), station.LiveQuery{}); !errors.Is(err, station.ErrAway) {
			t.Errorf("listing: %v, want ErrAway", err)
		}
	})
}

// A catalog that hangs keeps nobody waiting for what is known.
func TestPeersCatalogHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog := &hangingCatalog{}
		nodes := &stationtest.Nodes{}
		s, err := station.New(station.Config{Lives: catalog, Board: &stationtest.Board{}, Nodes: nodes, Node: "b"})
		if err != nil {
			t.Fatal(err)
		}
		id := uuid.NewString()
		if err := catalog.StartLive(t.Context(), station.Live{ID: id, Node: "a"}); err != nil {
			t.Fatal(err)
		}
		if err := nodes.Present(t.Context(), station.Node{Name: "a", URL: "http://a"}, time.Hour); err != nil {
			t.Fatal(err)
		}
		running(t, s.Run)
		time.Sleep(time.Second)
		catalog.hang = true
		begin := time.Now()
		for range 1000 {
			if n, ok := s.Peer(t.Context(), id); !ok || n.URL != "http://a" {
				t.Fatalf("at %+v (%v)", n, ok)
			}
		}
		if waited := time.Since(begin); waited > 0 {
			t.Errorf("waited for %v", waited)
		}
		if l, err := s.Live(t.Context(), id); err != nil || l.State != station.OnAir || time.Since(begin) > 3*time.Second {
			t.Errorf("%+v (%v) after %v", l, err, time.Since(begin))
		}
		if n, ok := s.Peer(t.Context(), uuid.NewString()); !ok || n.URL != "" || time.Since(begin) > 6*time.Second {
			t.Errorf("unknown, at %+v (%v) after %v", n, ok, time.Since(begin))
		}
		catalog.hang = false
	})
}

type hangingCatalog struct {
	stationtest.Catalog
	hang bool
}

func (c *hangingCatalog) Live(ctx context.Context, id string) (station.Live, error) {
	if c.hang {
		<-ctx.Done()
	}
	return c.Catalog.Live(ctx, id)
}

// Made-up ids cost the catalog so much and no more, and lives nothing.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, _ := st.house(t, "a")
		b, _ := st.house(t, "b")
		l := a.open(t)
		time.Sleep(11 * time.Second)
		asked := st.catalog.lookups.Load()
		for range 5000 {
			b.Peer(t.Context(), uuid.NewString())
			if _, err := b.Live(t.Context(), uuid.NewString()); !errors.Is(err, station.ErrNotFound) && !errors.Is(err, station.ErrAway) {
				t.Fatal(err)
			}
		}
		if n := st.catalog.lookups.Load() - asked; n > 400 {
			t.Errorf("10000 strangers at once cost %d questions", n)
		}
		isAt(t, b, l.ID, "http://a")
		if got, err := b.Live(t.Context(), l.ID); err != nil || got.ID != l.ID {
			t.Errorf("the live is %+v (%v)", got, err)
		}
		time.Sleep(2 * time.Second)
		if n, ok := b.Peer(t.Context(), uuid.NewString()); ok {
			t.Errorf("later an unknown live is at %+v", n)
		}
	})
}

// A live of this process needs nobody to be read, nor does its end.
func TestOwnLive(t *testing.T) {
	h := newHouse(t, station.Config{})
	l := h.open(t)
	h.catalog.fail(errCatalogAway)
	if got, err := h.Live(t.Context(), l.ID); err != nil || fmt.Sprint(got) != fmt.Sprint(l) {
		t.Errorf("it is %+v (%v), want %+v", got, err, l)
	}
	stats := station.LiveStats{Duration: time.Minute}
	if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator, Stats: stats}); !errors.Is(err, station.ErrAway) {
		t.Fatal(err)
	}
	got, err := h.Live(t.Context(), l.ID)
	if err != nil || got.State != station.Ended || got.EndReason != station.EndCreator || got.EndedAt.IsZero() || got.Stats != stats {
		t.Errorf("over, it is %+v (%v)", got, err)
	}
}
