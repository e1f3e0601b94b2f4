package stationtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestChores checks who does what once per day. Every call of open gives an
// empty catalog, closed by the end of its test.
func TestChores(t *testing.T, open func(t *testing.T) station.Chores) {
	clean := station.Chore{Name: "ménage", Day: "2026-03-29"}
	begin := func(t *testing.T, c station.Chores, chore station.Chore, who string, now time.Time, want bool) {
		t.Helper()
		got, err := c.BeginChore(t.Context(), chore, who, now, time.Minute)
		ok(t, err)
		if got != want {
			t.Errorf("%s begins %v at %v: %v, want %v", who, chore, now, got, want)
		}
	}

	t.Run("once per day", func(t *testing.T) {
		c := open(t)
		begin(t, c, clean, "a", noon, true)
		begin(t, c, clean, "b", noon.Add(59*time.Second), false)
		ok(t, c.FinishChore(t.Context(), clean, "a", noon.Add(30*time.Second), "3 fichiers, 1,2 Go libérés"))
		begin(t, c, clean, "b", noon.Add(40*time.Second), false)
		begin(t, c, clean, "a", noon.Add(40*time.Second), false)
		begin(t, c, clean, "b", noon.Add(8*time.Hour), false) // long after the lease

		begin(t, c, station.Chore{Name: clean.Name, Day: "2026-03-30"}, "b", noon.Add(40*time.Second), true)
		begin(t, c, station.Chore{Name: "audit", Day: clean.Day}, "b", noon.Add(40*time.Second), true)
	})

	t.Run("taken over when the lease ends", func(t *testing.T) {
		c := open(t)
		begin(t, c, clean, "dead", noon, true)
		begin(t, c, clean, "b", noon.Add(2*time.Minute), true)
		begin(t, c, clean, "c", noon.Add(2*time.Minute+30*time.Second), false)
		is(t, c.FinishChore(t.Context(), clean, "dead", noon.Add(2*time.Minute), "late"), station.ErrFenced)
		begin(t, c, clean, "c", noon.Add(2*time.Minute+30*time.Second), false) // b is at it still
		ok(t, c.FinishChore(t.Context(), clean, "b", noon.Add(3*time.Minute), "done"))
		is(t, c.FinishChore(t.Context(), clean, "dead", noon.Add(3*time.Minute), "later"), station.ErrFenced)
		begin(t, c, clean, "c", noon.Add(time.Hour), false)
	})

	t.Run("late but not fenced", func(t *testing.T) {
		c := open(t)
		begin(t, c, clean, "a", noon, true)
		ok(t, c.FinishChore(t.Context(), clean, "a", noon.Add(time.Hour), "slow"))
		begin(t, c, clean, "b", noon.Add(time.Hour), false)
	})

	// A daemon that restarts need not wait for itself.
	t.Run("begun again by who holds it", func(t *testing.T) {
		c := open(t)
		begin(t, c, clean, "a", noon, true)
		begin(t, c, clean, "a", noon.Add(30*time.Second), true)
		begin(t, c, clean, "b", noon.Add(80*time.Second), false) // the lease is a new one
		ok(t, c.FinishChore(t.Context(), clean, "a", noon.Add(81*time.Second), ""))
	})

	t.Run("not begun", func(t *testing.T) {
		c := open(t)
		is(t, c.FinishChore(t.Context(), clean, "a", noon, "x"), station.ErrFenced)
		begin(t, c, clean, "b", noon, true)
	})

	t.Run("one of many", func(t *testing.T) {
		c := open(t)
		for round := range 3 { // the first take it from nobody, the others from who let go
			var began atomic.Int64
			atOnce(t, 20, func(i int) error {
				got, err := c.BeginChore(t.Context(), clean, fmt.Sprint(round, " ", i), noon.Add(time.Duration(round)*time.Hour), time.Minute)
				if got {
					began.Add(1)
				}
				return err
			})
			if n := began.Load(); n != 1 {
				t.Errorf("round %d: %d began it, want 1", round, n)
			}
		}
	})

	t.Run("done once by many", func(t *testing.T) {
		c := open(t)
		var done atomic.Int64
		atOnce(t, 20, func(i int) error {
			who := fmt.Sprint(i)
			begun, err := c.BeginChore(t.Context(), clean, who, noon.Add(time.Duration(i)*time.Hour), time.Minute)
			if err != nil || !begun {
				return err
			}
			err = c.FinishChore(t.Context(), clean, who, noon.Add(time.Duration(i)*time.Hour), "")
			if err == nil {
				done.Add(1)
			}
			if errors.Is(err, station.ErrFenced) {
				return nil
			}
			return err
		})
		if n := done.Load(); n != 1 {
			t.Errorf("%d finished it, want 1", n)
		}
	})
}

// TestSecrets checks what daemons share in secret. Every call of open gives an
// empty catalog, closed by the end of its test.
func TestSecrets(t *testing.T, open func(t *testing.T) station.Secrets) {
	t.Run("made once by many", func(t *testing.T) {
		s := open(t)
		var mu sync.Mutex
		seen := make(map[string]int)
		atOnce(t, 20, func(int) error {
			secret, err := s.Secret(t.Context(), "listeners")
			mu.Lock()
			defer mu.Unlock()
			seen[string(secret)]++
			return err
		})
		if len(seen) != 1 {
			t.Errorf("20 who asked got %d different secrets", len(seen))
		}
		later, err := s.Secret(t.Context(), "listeners")
		ok(t, err)
		if seen[string(later)] != 20 {
			t.Error("the secret changed")
		}
	})

	t.Run("shape", func(t *testing.T) {
		s := open(t)
		secrets := make(map[string]string)
		for _, name := range []string{"a", "b", "A", "été 🔑 o'neil \"%\\", strings.Repeat("n", 200)} {
			secret, err := s.Secret(t.Context(), name)
			ok(t, err)
			if len(secret) != 32 || bytes.Equal(secret, make([]byte, 32)) {
				t.Errorf("the secret %q has %d bytes, want 32 random ones", name, len(secret))
			}
			if other, taken := secrets[string(secret)]; taken {
				t.Errorf("%q and %q are the same secret", name, other)
			}
			secrets[string(secret)] = name
		}
	})

	t.Run("each call its own bytes", func(t *testing.T) {
		s := open(t)
		first, err := s.Secret(t.Context(), "a")
		ok(t, err)
		kept := bytes.Clone(first)
		clear(first)
		again, err := s.Secret(t.Context(), "a")
		ok(t, err)
		if !bytes.Equal(again, kept) {
			t.Error("a caller changed the secret of all")
		}
	})
}
