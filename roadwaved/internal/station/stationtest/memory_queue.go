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
// job that failed comes back after 10 ms, then 20 ms, and so on up to 1 s. Where
// jobs of both priorities wait, one of five is a normal one.
type Queue struct {
	mu      sync.Mutex
	jobs    map[string]*queued                 // those that wait or run
	waiting [station.PriorityHigh + 1][]string // the jobs to be had now by priority, the next one first
	taken   int                                // how many were given out so far
	wake    []chan struct{}                    // of workers that found nothing
}

type queued struct {
	priority station.Priority
	failed   int // how often
}

// Enqueue implements [station.Queue].
func (q *Queue) Enqueue(ctx context.Context, liveID string, p station.Priority) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if p < station.PriorityNormal || p > station.PriorityHigh {
		return fmt.Errorf("there is no priority %d", p)
	}
	if _, known := q.jobs[liveID]; known {
		return nil
	}
	if q.jobs == nil {
		q.jobs = make(map[string]*queued)
	}
	q.jobs[liveID] = &queued{priority: p}
	q.offer(liveID)
	return nil
}

// offer puts a job where workers find it.
func (q *Queue) offer(liveID string) {
	p := q.jobs[liveID].priority
	q.waiting[p] = append(q.waiting[p], liveID)
	for _, w := range q.wake {
		close(w)
	}
	q.wake = nil
}

// next gives a job that waits, if there is one.
func (q *Queue) next() (id string, ok bool) {
	order := []station.Priority{station.PriorityHigh, station.PriorityNormal}
	if q.taken%5 == 4 {
		order[0], order[1] = order[1], order[0]
	}
	for _, p := range order {
		if w := q.waiting[p]; len(w) > 0 {
			q.waiting[p] = w[1:]
			q.taken++
			return w[0], true
		}
	}
	return "", false
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
		if ctx.Err() == nil {
			if id, ok := q.next(); ok {
				q.mu.Unlock()
				return id, true
			}
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
		delete(q.jobs, id)
	case ctx.Err() != nil:
		q.offer(id)
	default:
		j := q.jobs[id]
		delay := min(10*time.Millisecond<<min(j.failed, 10), time.Second)
		j.failed++
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
