package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// serverNow is the server's clock.
func serverNow(t *testing.T, c *Catalog) time.Time {
	t.Helper()
	now, err := one(t.Context(), c, pgx.RowTo[time.Time], "SELECT now()")
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// Hosts whose clocks are an hour behind and an hour ahead: neither is taken for
// dead, and neither takes others for dead.
func TestLeasesByTheServersClock(t *testing.T) {
	c := fresh(t)
	id := pendingJob(t, c)
	behind, ahead := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	holds := func(lease time.Duration) {
		t.Helper()
		j, err := c.Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		// It was given before now, by no more than this test takes.
		if left := j.Lease.Sub(serverNow(t, c)); left > lease || left < lease-time.Minute {
			t.Errorf("a lease of %v ends in %v", lease, left)
		}
	}
	claim, err := c.Claim(t.Context(), id, "behind", behind, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	holds(10 * time.Minute)
	if _, err := c.Claim(t.Context(), id, "ahead", ahead, 10*time.Minute); !errors.Is(err, station.ErrClaimed) {
		t.Errorf("by a clock that is ahead: %v", err)
	}
	if err := c.Renew(t.Context(), claim, time.Now().Add(20*time.Minute), "encode", 0.5); err != nil {
		t.Fatal(err)
	}
	holds(20 * time.Minute)
	if err := c.Renew(t.Context(), claim, time.Now().Add(-time.Second), "encode", 0.6); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Claim(t.Context(), id, "other", behind, time.Minute); err != nil {
		t.Errorf("the lease is over, but for a clock that is behind: %v", err)
	}

	cleaning := station.Chore{Name: "cleaning", Day: "2026-11-01"}
	for _, step := range []struct {
		who   string
		now   time.Time
		lease time.Duration
		want  bool
	}{
		{"behind", behind, 10 * time.Minute, true},
		{"ahead", ahead, 10 * time.Minute, false},
		{"behind", behind, -time.Second, true},
		{"other", behind.Add(-time.Hour), time.Minute, true},
	} {
		got, err := c.BeginChore(t.Context(), cleaning, step.who, step.now, step.lease)
		if err != nil || got != step.want {
			t.Errorf("the chore for %s: %v (%v), want %v", step.who, got, err, step.want)
		}
	}
}

// pendingJob opens a job for workers.
func pendingJob(t *testing.T, c *Catalog) (liveID string) {
	t.Helper()
	l := liveCalled("t")
	for _, err := range []error{
		c.StartLive(t.Context(), l),
		c.EndLive(t.Context(), l.ID, station.End{At: newestStart, State: station.Ended}),
		c.Deposited(t.Context(), l.ID, false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return l.ID
}
