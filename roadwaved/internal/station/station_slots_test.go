package station_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// flush makes the board forget what the given part of it knows.
func (st *street) flush(t *testing.T, lives, nodes []string) {
	t.Helper()
	for _, id := range lives {
		if err := st.board.Board.Release(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	for _, name := range nodes {
		if err := st.nodes.Nodes.Absent(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}

// The board loses its memory with every slot taken: nobody new is let in, at
// whatever moment it happens and whoever of the daemons has presented itself
// again.
func TestLimitHoldsWhenBoardForgets(t *testing.T) {
	for name, nodes := range map[string][]string{"slots alone": nil, "everything": {"a", "b"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStreet()
				a, _ := st.house(t, "a")
				time.Sleep(5 * time.Second) // they renew at different times
				b, _ := st.house(t, "b")
				for range 60 {
					a.open(t)
				}
				for range 40 {
					b.open(t)
				}
				for range 20 {
					st.flush(t, append(a.Lives(), b.Lives()...), nodes)
					for range 12 {
						for _, h := range []*house{a, b} {
							if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
								t.Fatalf("one more: %v, want ErrFull", err)
							}
						}
						time.Sleep(time.Second)
					}
				}
				if n := a.slots(t); n != 100 {
					t.Errorf("%d slots are taken, want those of the lives", n)
				}
			})
		})
	}
}

// A daemon without lives sees it as well.
func TestLimitHoldsForIdleDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, _ := st.house(t, "a")
		b, _ := st.house(t, "b")
		for range 99 {
			a.open(t)
		}
		time.Sleep(time.Minute + time.Second)
		st.flush(t, a.Lives(), []string{"a", "b"})
		b.open(t)
		if _, err := b.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
			t.Errorf("the 101st: %v, want ErrFull", err)
		}
	})
}

// It presents itself again before the other one does: it still sees that the
// board forgot.
func TestLimitHoldsAfterPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		a, _ := st.house(t, "a") // present at whole tens of seconds
		for range 100 {
			a.open(t)
		}
		time.Sleep(5 * time.Second)
		b, _ := st.house(t, "b")
		time.Sleep(56 * time.Second)
		st.flush(t, a.Lives(), []string{"a", "b"})
		time.Sleep(5 * time.Second)
		if n, err := st.nodes.Nodes.ListNodes(t.Context()); err != nil || len(n) != 1 || n[0].Name != "b" {
			t.Fatalf("present are %v (%v), want b alone", n, err)
		}
		if _, err := b.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
			t.Errorf("the 101st: %v, want ErrFull", err)
		}
	})
}

// The slots of a daemon that died are free after one lease, though the catalog
// has its lives on air for longer.
func TestSlotsOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		dead, kill := st.house(t, "dead")
		b, _ := st.house(t, "b")
		for range 100 {
			dead.open(t)
		}
		time.Sleep(65 * time.Second)
		kill()
		time.Sleep(31 * time.Second)
		for range 100 {
			b.open(t)
		}
		if _, err := b.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
			t.Errorf("the 101st: %v, want ErrFull", err)
		}
	})
}
