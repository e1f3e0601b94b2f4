package stationtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// patience is how long the suite waits for what must come. It is not how long
// anything takes.
const patience = 30 * time.Second

// TestQueue checks a queue. Every call of open gives an empty one, which must
// redeliver a job that failed once within a second or so.
//
// That the job of a worker that died comes back is for each adapter to test: how
// to die is its own affair.
func TestQueue(t *testing.T, open func(t *testing.T) station.Queue) {
	for name, test := range map[string]func(t *testing.T, q station.Queue){
		"delivers":                      queueDelivers,
		"delivers to all workers":       queueShares,
		"no more than n at a time":      queueConcurrency,
		"n must be positive":            queueNoWorkers,
		"once while waiting":            queueOnceWaiting,
		"once while being worked on":    queueOnceRunning,
		"once while waiting to retry":   queueOnceRetrying,
		"once when enqueued by many":    queueOnceRush,
		"again after an error":          queueRetries,
		"again after a panic":           queuePanics,
		"enqueued again when done":      queueAgain,
		"work waits for its handlers":   queueStops,
		"what was interrupted resumes":  queueResumes,
		"an idle worker stops":          queueIdle,
		"another worker after the last": queueSuccessor,
		"high priority first":           queueHighFirst,
		"normal priority moves on":      queueNormalMovesOn,
		"an unknown priority":           queueUnknownPriority,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// A crew works on a queue in the background of a test and keeps the log.
type crew struct {
	t    *testing.T
	stop func()

	mu        sync.Mutex
	delivered map[string]int
	changed   chan struct{} // closed and replaced whenever delivered changes
}

// hire starts Work; handle may be nil. The crew stops with the test, or before.
func hire(t *testing.T, q station.Queue, n int, handle func(ctx context.Context, id string) error) *crew {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &crew{t: t, delivered: make(map[string]int), changed: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		done <- q.Work(ctx, n, func(ctx context.Context, id string) error {
			c.mu.Lock()
			c.delivered[id]++
			close(c.changed)
			c.changed = make(chan struct{})
			c.mu.Unlock()
			if handle == nil {
				return nil
			}
			return handle(ctx, id)
		})
	}()
	c.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Work returned %v", err)
			}
		case <-time.After(patience):
			t.Error("Work did not return")
		}
	})
	t.Cleanup(c.stop)
	return c
}

// wait waits until the log is as cond wants it.
func (c *crew) wait(what string, cond func(delivered map[string]int) bool) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		met, changed := cond(c.delivered), c.changed
		c.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("waited in vain for %s: delivered %v", what, c.log())
		}
	}
}

func (c *crew) waitFor(id string, times int) {
	c.t.Helper()
	c.wait(fmt.Sprintf("%d deliveries of %s", times, id), func(d map[string]int) bool { return d[id] >= times })
}

func (c *crew) log() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.delivered)
}

// exactly tells that id came that often and does not come again: a job enqueued
// later has been through, and some time has passed.
func (c *crew) exactly(q station.Queue, id string, times int) {
	c.t.Helper()
	c.waitFor(id, times)
	marker := enqueue(c.t, q)
	c.waitFor(marker, 1)
	time.Sleep(200 * time.Millisecond)
	if got := c.log()[id]; got != times {
		c.t.Errorf("the job came %d times, want %d", got, times)
	}
}

func enqueue(t *testing.T, q station.Queue) string {
	t.Helper()
	id := uuid.NewString()
	ok(t, q.Enqueue(t.Context(), id, station.PriorityNormal))
	return id
}

func queueDelivers(t *testing.T, q station.Queue) {
	before := enqueue(t, q)
	c := hire(t, q, 2, nil)
	c.waitFor(before, 1)
	c.waitFor(enqueue(t, q), 1)
}

func queueShares(t *testing.T, q station.Queue) {
	var ids [60]string
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	atOnce(t, len(ids), func(i int) error { return q.Enqueue(t.Context(), ids[i], station.PriorityNormal) })
	var both sync.WaitGroup
	both.Add(2)
	handler := func() func(context.Context, string) error {
		arrived := sync.OnceFunc(both.Done)
		return func(context.Context, string) error {
			arrived()
			both.Wait() // neither crew does everything
			return nil
		}
	}
	a, b := hire(t, q, 2, handler()), hire(t, q, 2, handler())
	deadline := time.Now().Add(patience)
	for {
		seen := a.log()
		maps.Copy(seen, b.log())
		if len(seen) == len(ids) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d jobs were delivered", len(seen), len(ids))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func queueConcurrency(t *testing.T, q station.Queue) {
	const n, jobs = 3, 9
	for range jobs {
		enqueue(t, q)
	}
	var now, most atomic.Int64
	full := make(chan struct{})
	c := hire(t, q, n, func(ctx context.Context, _ string) error {
		running := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if running <= m || most.CompareAndSwap(m, running) {
				break
			}
		}
		if running == n {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		select {
		case <-full: // the first ones wait until there are n of them
		case <-ctx.Done():
		}
		return nil
	})
	c.wait("every job", func(d map[string]int) bool { return len(d) == jobs })
	c.stop()
	if most.Load() != n {
		t.Errorf("%d jobs at a time, want %d", most.Load(), n)
	}
}

func queueNoWorkers(t *testing.T, q station.Queue) {
	for _, n := range []int{0, -1} {
		if err := q.Work(t.Context(), n, func(context.Context, string) error { return nil }); err == nil {
			t.Errorf("worked on %d jobs at a time", n)
		}
	}
}

func queueOnceWaiting(t *testing.T, q station.Queue) {
	id := enqueue(t, q)
	ok(t, q.Enqueue(t.Context(), id, station.PriorityNormal))
	ok(t, q.Enqueue(t.Context(), id, station.PriorityNormal))
	hire(t, q, 1, nil).exactly(q, id, 1)
}

func queueOnceRunning(t *testing.T, q station.Queue) {
	release := make(chan struct{})
	id := enqueue(t, q)
	c := hire(t, q, 2, func(ctx context.Context, got string) error {
		if got == id {
			<-release
		}
		return nil
	})
	c.waitFor(id, 1)
	ok(t, q.Enqueue(t.Context(), id, station.PriorityNormal))
	close(release)
	c.exactly(q, id, 1)
}

func queueOnceRetrying(t *testing.T, q station.Queue) {
	var mended atomic.Bool
	succeeded := make(chan struct{}, 100)
	id := enqueue(t, q)
	c := hire(t, q, 1, func(_ context.Context, got string) error {
		switch {
		case got != id:
			return nil
		case !mended.Load():
			return errors.New("the disk is full")
		}
		succeeded <- struct{}{}
		return nil
	})
	c.waitFor(id, 1)
	for range 5 { // while it fails, waits, and fails again
		ok(t, q.Enqueue(t.Context(), id, station.PriorityNormal))
		c.waitFor(enqueue(t, q), 1)
	}
	mended.Store(true)
	select {
	case <-succeeded:
	case <-time.After(patience):
		t.Fatal("the job did not come again")
	}
	c.exactly(q, id, c.log()[id])
}

func queueOnceRush(t *testing.T, q station.Queue) {
	id := uuid.NewString()
	atOnce(t, 20, func(int) error { return q.Enqueue(t.Context(), id, station.PriorityNormal) })
	hire(t, q, 4, nil).exactly(q, id, 1)
}

func queueRetries(t *testing.T, q station.Queue) {
	var tries atomic.Int64
	id := enqueue(t, q)
	c := hire(t, q, 1, func(_ context.Context, got string) error {
		if got == id && tries.Add(1) <= 3 {
			return errors.New("the disk is full")
		}
		return nil
	})
	c.exactly(q, id, 4)
}

func queuePanics(t *testing.T, q station.Queue) {
	var tries atomic.Int64
	id := enqueue(t, q)
	c := hire(t, q, 1, func(_ context.Context, got string) error {
		if got == id && tries.Add(1) == 1 {
			panic("index out of range")
		}
		return nil
	})
	c.exactly(q, id, 2)
}

func queueAgain(t *testing.T, q station.Queue) {
	c := hire(t, q, 1, nil)
	id := enqueue(t, q)
	for times := 1; times <= 3; times++ {
		c.waitFor(id, times)
		c.waitFor(enqueue(t, q), 1) // by now the queue knows that it is done
		if times < 3 {
			ok(t, q.Enqueue(t.Context(), id, station.PriorityNormal))
		}
	}
}

func queueStops(t *testing.T, q station.Queue) {
	var finished atomic.Int64
	ids := []string{enqueue(t, q), enqueue(t, q)}
	c := hire(t, q, 2, func(ctx context.Context, _ string) error {
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // to put things in order
		finished.Add(1)
		return ctx.Err()
	})
	for _, id := range ids {
		c.waitFor(id, 1)
	}
	c.stop()
	if finished.Load() != 2 {
		t.Errorf("Work returned with %d of 2 handlers finished", finished.Load())
	}
	if d := c.log(); d[ids[0]] != 1 || d[ids[1]] != 1 {
		t.Errorf("a worker that stops was given more: %v", d)
	}
}

func queueResumes(t *testing.T, q station.Queue) {
	id := enqueue(t, q)
	first := hire(t, q, 1, func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return fmt.Errorf("stopped half way: %w", ctx.Err())
	})
	first.waitFor(id, 1)
	first.stop()
	hire(t, q, 1, nil).exactly(q, id, 1)
}

func queueIdle(t *testing.T, q station.Queue) {
	hire(t, q, 4, nil).stop()
}

func queueSuccessor(t *testing.T, q station.Queue) {
	for range 2 {
		c := hire(t, q, 1, nil)
		c.waitFor(enqueue(t, q), 1)
		c.stop()
	}
	late := enqueue(t, q)
	hire(t, q, 1, nil).waitFor(late, 1)
}

// Twenty jobs of each priority wait for one worker: on the whole, those of high
// priority come first.
func queueHighFirst(t *testing.T, q station.Queue) {
	const n = 20
	priorities := make(map[string]station.Priority)
	for _, p := range []station.Priority{station.PriorityNormal, station.PriorityHigh} {
		for range n {
			id := uuid.NewString()
			priorities[id] = p
			ok(t, q.Enqueue(t.Context(), id, p))
		}
	}
	var place, normal, high int // the sums of the places in the order of delivery
	c := hire(t, q, 1, func(_ context.Context, id string) error {
		place++
		if priorities[id] == station.PriorityHigh {
			high += place
		} else {
			normal += place
		}
		return nil
	})
	c.wait("every job", func(d map[string]int) bool { return len(d) == 2*n })
	c.stop()
	if high >= normal {
		t.Errorf("jobs of high priority came in place %d on average, the others in place %d", high/n, normal/n)
	}
}

// Jobs of high priority never end, and one of normal priority comes all the same.
func queueNormalMovesOn(t *testing.T, q station.Queue) {
	ok(t, q.Enqueue(t.Context(), uuid.NewString(), station.PriorityHigh))
	normal := enqueue(t, q)
	var moved atomic.Bool
	c := hire(t, q, 1, func(ctx context.Context, id string) error {
		if id == normal {
			moved.Store(true)
		}
		if moved.Load() {
			return nil
		}
		return q.Enqueue(ctx, uuid.NewString(), station.PriorityHigh)
	})
	c.waitFor(normal, 1)
}

func queueUnknownPriority(t *testing.T, q station.Queue) {
	for _, p := range []station.Priority{-1, station.PriorityHigh + 1} {
		if err := q.Enqueue(t.Context(), uuid.NewString(), p); err == nil {
			t.Errorf("enqueued with priority %d", p)
		}
	}
}
