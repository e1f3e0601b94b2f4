package station_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A queueLog is a queue of which only the entrance matters.
type queueLog struct {
	station.Queue
	flaky
	ids        []string
	priorities []station.Priority
}

func (q *queueLog) Enqueue(_ context.Context, id string, p station.Priority) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.ids, q.priorities = append(q.ids, id), append(q.priorities, p)
	}
	return q.err
}

func (q *queueLog) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := q.ids
	q.ids, q.priorities = nil, nil
	return ids
}

// pendingJobs ends that many lives, one second after the other.
func pendingJobs(t *testing.T, c station.Catalog, n int) []string {
	t.Helper()
	var ids []string
	for i := range n {
		id := string(rune('a' + i))
		at := time.Now().Add(time.Duration(i) * time.Second)
		if err := c.StartLive(t.Context(), station.Live{ID: id, StartedAt: at}); err != nil {
			t.Fatal(err)
		}
		if err := c.EndLive(t.Context(), id, station.End{At: at, State: station.Ended}); err != nil {
			t.Fatal(err)
		}
		if err := c.Deposited(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func newReconciler(t *testing.T, c station.Jobs, q station.Queue) *station.Reconciler {
	t.Helper()
	r, err := station.NewReconciler(station.ReconcilerConfig{Jobs: c, Queue: q})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReconcilerRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := &stationtest.Catalog{}, &queueLog{}
		ids := pendingJobs(t, c, 6)
		claim := func(id string, lease time.Duration) station.Claim {
			cl, err := c.Claim(t.Context(), id, "w", time.Now(), lease)
			if err != nil {
				t.Fatal(err)
			}
			return cl
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		claim("b", time.Minute) // its worker died: the lease ends
		claim("c", time.Hour)   // at work
		must(c.Publish(t.Context(), claim("d", time.Minute), station.Replay{ID: "r", LiveID: "d"}))
		must(c.Release(t.Context(), claim("e", time.Minute), station.JobParked, "five attempts"))
		must(c.Release(t.Context(), claim("f", time.Minute), station.JobEmpty, "silence"))
		r := newReconciler(t, c, q)
		for _, tt := range []struct {
			after time.Duration
			want  []string
		}{
			{0, []string{"a"}},
			{time.Minute, []string{"a"}}, // the lease ends now: not before now
			{time.Microsecond, []string{"a", "b"}},
			{time.Hour, []string{"a", "b", "c"}},
		} {
			time.Sleep(tt.after)
			n, err := r.Round(t.Context())
			if got := q.take(); err != nil || n != len(tt.want) || !slices.Equal(got, tt.want) {
				t.Errorf("%v later: enqueued %d: %v (%v), want %v of %v", tt.after, n, got, err, tt.want, ids)
			}
		}
	})
}

// More jobs than a page holds, of both priorities, while some are not uploaded.
func TestReconcilerPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := &stationtest.Catalog{}, &queueLog{}
		n := 2*station.MaxPage + 3
		for i := range n {
			id, at := fmt.Sprintf("live-%03d", i), time.Now().Add(time.Duration(i/7)*time.Second)
			if err := c.StartLive(t.Context(), station.Live{ID: id, StartedAt: at, Premium: i%10 == 0}); err != nil {
				t.Fatal(err)
			}
			if err := c.EndLive(t.Context(), id, station.End{At: at, State: station.Ended}); err != nil {
				t.Fatal(err)
			}
			if i == 5 {
				continue
			}
			if err := c.Deposited(t.Context(), id, false); err != nil {
				t.Fatal(err)
			}
		}
		done, err := newReconciler(t, c, q).Round(t.Context())
		if err != nil || done != n-1 || slices.Contains(q.ids, "live-005") {
			t.Errorf("enqueued %d (%v), want %d", done, err, n-1)
		}
		for i, id := range q.ids {
			if high := strings.HasSuffix(id, "0"); (q.priorities[i] == station.PriorityHigh) != high {
				t.Errorf("%s has priority %d", id, q.priorities[i])
			}
		}
		slices.Sort(q.ids)
		if got := len(slices.Compact(q.ids)); got != n-1 {
			t.Errorf("%d different jobs were enqueued, want %d", got, n-1)
		}
	})
}

func TestReconcilerRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := &stationtest.Catalog{}, &queueLog{}
		pendingJobs(t, c, 2)
		q.fail(errAway)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- newReconciler(t, c, q).Run(ctx) }()

		time.Sleep(5*time.Minute - time.Second)
		if got := q.take(); len(got) != 0 {
			t.Errorf("enqueued %v with the queue away", got)
		}
		q.fail(nil)
		time.Sleep(2 * time.Second)
		if got := q.take(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("enqueued %v when the queue was back, want both", got)
		}
		time.Sleep(10 * time.Minute)
		if got := q.take(); len(got) != 20 {
			t.Errorf("enqueued %d times in ten minutes, want twice each", len(got))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
	})
}

func TestReconcilerAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := &stationtest.Catalog{}, &queueLog{}
		pendingJobs(t, c, 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- newReconciler(t, c, q).Run(ctx) }()
		synctest.Wait()
		if got := q.take(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("enqueued %v at start, want what was pending", got)
		}
		cancel()
		<-done
	})
}

func TestNewReconcilerRefuses(t *testing.T) {
	for name, cfg := range map[string]station.ReconcilerConfig{
		"no jobs":  {Queue: &queueLog{}},
		"no queue": {Jobs: &stationtest.Catalog{}},
		"too fast": {Jobs: &stationtest.Catalog{}, Queue: &queueLog{}, Interval: time.Millisecond},
	} {
		if _, err := station.NewReconciler(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
