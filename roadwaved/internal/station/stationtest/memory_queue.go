package stationtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Queue = (*Queue)(nil)

// A Queue is a [station.Queue] in memory. Its zero value is empty and ready. A
// job that failed comes back after 10 ms, then 20 ms, and so on up to 1 s.
type Queue struct {
	mu      sync.Mutex
	failed  map[string]int  // of every job that waits or runs, how often it has failed
	waiting []string        // the jobs to be had now, the next one first
	wake    []chan struct{} // of workers that found nothing
}

// Enqueue implements [station.Queue].
func (q *Queue) Enqueue(ctx context.Context, liveID string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, known := q.failed[liveID]; known {
		return nil
	}
	if q.failed == nil {
		q.failed = make(map[string]int)
	}
	q.failed[liveID] = 0
	q.offer(liveID)
	return nil
}

// offer puts a job where workers find it.
func (q *Queue) offer(liveID string) {
	q.waiting = append(q.waiting, liveID)
	for _, w := range q.wake {
		close(w)
	}
	q.wake = nil
}

// Work implements [station.Queue].
func (q *Queue) Work(ctx context.Context, n int, handle func(ctx context.Context, liveID string) error) error {
	if n < 1 {
		return fmt.Errorf("cannot work on %d jobs at a time", n)
	}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				id, ok := q.take(ctx)
				if !ok {
					return
				}
				q.settle(ctx, id, guarded(ctx, id, handle))
			}
		})
	}
	wg.Wait()
	return nil
}

// take waits for a job; it gives none once ctx has ended.
func (q *Queue) take(ctx context.Context) (id string, ok bool) {
	for {
		q.mu.Lock()
		if ctx.Err() == nil && len(q.waiting) > 0 {
			id, q.waiting = q.waiting[0], q.waiting[1:]
			q.mu.Unlock()
			return id, true
		}
		wake := make(chan struct{})
		q.wake = append(q.wake, wake)
		q.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return "", false
		}
	}
}

// settle does what follows from how a handler ended.
func (q *Queue) settle(ctx context.Context, id string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err == nil:
		delete(q.failed, id)
	case ctx.Err() != nil:
		q.offer(id)
	default:
		delay := min(10*time.Millisecond<<min(q.failed[id], 10), time.Second)
		q.failed[id]++
		time.AfterFunc(delay, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.offer(id)
		})
	}
}

// guarded turns a panic of the handler into an error.
func guarded(ctx context.Context, id string, handle func(context.Context, string) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return handle(ctx, id)
}
