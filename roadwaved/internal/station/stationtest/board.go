package stationtest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestBoard checks a board. Every call of open gives an empty one; advance lets
// the time pass by which its leases run.
func TestBoard(t *testing.T, open func(t *testing.T) station.Board, advance func(d time.Duration)) {
	const (
		long  = 10 * time.Minute
		short = 100 * time.Millisecond
	)
	holds := func(t *testing.T, b station.Board, want int) {
		t.Helper()
		n, err := b.Count(t.Context())
		ok(t, err)
		if n != want {
			t.Errorf("%d slots are taken, want %d", n, want)
		}
	}

	t.Run("limit", func(t *testing.T) {
		b := open(t)
		holds(t, b, 0)
		for _, id := range []string{"a", "b", "c"} {
			ok(t, b.Acquire(t.Context(), id, 3, long))
		}
		is(t, b.Acquire(t.Context(), "d", 3, long), station.ErrFull)
		holds(t, b, 3)
		ok(t, b.Acquire(t.Context(), "d", 4, long)) // the limit is each caller's
		is(t, b.Acquire(t.Context(), "e", 2, long), station.ErrFull)
		holds(t, b, 4)
	})

	t.Run("limit under a rush", func(t *testing.T) {
		b := open(t)
		errs := race(200, func(int) error { return b.Acquire(t.Context(), uuid.NewString(), 50, long) })
		if in, out := count(t, errs, nil), count(t, errs, station.ErrFull); in != 50 || out != 150 {
			t.Errorf("%d let in and %d refused, want 50 and 150", in, out)
		}
		holds(t, b, 50)
	})

	t.Run("a live keeps its slot", func(t *testing.T) {
		b := open(t)
		atOnce(t, 20, func(int) error { return b.Acquire(t.Context(), "a", 1, long) })
		holds(t, b, 1)
		is(t, b.Acquire(t.Context(), "b", 1, long), station.ErrFull)
	})

	t.Run("acquired again, leased again", func(t *testing.T) {
		b := open(t)
		ok(t, b.Acquire(t.Context(), "a", 1, short))
		ok(t, b.Acquire(t.Context(), "a", 1, long))
		advance(2 * short)
		holds(t, b, 1)
	})

	t.Run("release", func(t *testing.T) {
		b := open(t)
		ok(t, b.Acquire(t.Context(), "a", 1, long))
		ok(t, b.Release(t.Context(), "a"))
		holds(t, b, 0)
		ok(t, b.Acquire(t.Context(), "b", 1, long))
		ok(t, b.Release(t.Context(), "a")) // again
		ok(t, b.Release(t.Context(), "never had one"))
		holds(t, b, 1)
	})

	t.Run("a lease that ends gives the slot back", func(t *testing.T) {
		b := open(t)
		ok(t, b.Acquire(t.Context(), "dead", 2, short))
		ok(t, b.Acquire(t.Context(), "alive", 2, long))
		advance(2 * short)
		holds(t, b, 1)
		ok(t, b.Acquire(t.Context(), "new", 2, long))
		is(t, b.Acquire(t.Context(), "one more", 2, long), station.ErrFull)
	})

	t.Run("renew", func(t *testing.T) {
		b := open(t)
		for _, id := range []string{"a", "b", "c"} {
			ok(t, b.Acquire(t.Context(), id, 3, short))
		}
		ok(t, b.Renew(t.Context(), long, "a", "c"))
		ok(t, b.Renew(t.Context(), long))
		advance(2 * short)
		holds(t, b, 2)
	})

	t.Run("a lost lease is taken again beyond the limit", func(t *testing.T) {
		b := open(t)
		ok(t, b.Acquire(t.Context(), "cut off", 1, short))
		advance(2 * short)
		ok(t, b.Acquire(t.Context(), "new", 1, long))
		ok(t, b.Renew(t.Context(), long, "cut off"))
		holds(t, b, 2)
		ok(t, b.Release(t.Context(), "new"))
		is(t, b.Acquire(t.Context(), "next", 1, long), station.ErrFull)
		ok(t, b.Release(t.Context(), "cut off"))
		ok(t, b.Acquire(t.Context(), "next", 1, long))
	})

	t.Run("all at the same time", func(t *testing.T) {
		b := open(t)
		atOnce(t, 50, func(int) error {
			id := uuid.NewString()
			for range 5 {
				if err := b.Acquire(t.Context(), id, 50, long); err != nil {
					return err
				}
				if err := b.Renew(t.Context(), long, id); err != nil {
					return err
				}
				if err := b.Release(t.Context(), id); err != nil {
					return err
				}
			}
			return nil
		})
		holds(t, b, 0)
	})
}
