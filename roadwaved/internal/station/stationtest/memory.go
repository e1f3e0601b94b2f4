package stationtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Catalog = (*Catalog)(nil)

// A Catalog is a [station.Catalog] in memory. Its zero value is empty and ready.
type Catalog struct {
	mu      sync.Mutex
	lives   map[string]station.Live
	replays map[string]station.Replay // by live id
	jobs    map[string]*memoryJob
}

type memoryJob struct {
	station.Job
	opened time.Time
	fence  int64
}

// StartLive implements [station.Lives].
func (c *Catalog) StartLive(ctx context.Context, l station.Live) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, known := c.lives[l.ID]; known {
		return fmt.Errorf("live %s exists", l.ID)
	}
	if c.lives == nil {
		c.lives = make(map[string]station.Live)
		c.replays = make(map[string]station.Replay)
		c.jobs = make(map[string]*memoryJob)
	}
	l.StartedAt, l.Tags, l.State = micro(l.StartedAt), slices.Clone(l.Tags), station.OnAir
	c.lives[l.ID] = l
	return nil
}

// EndLive implements [station.Lives].
func (c *Catalog) EndLive(ctx context.Context, id string, e station.End) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.State != station.Ended && e.State != station.Lost {
		return fmt.Errorf("a live does not end as %q", e.State)
	}
	l, known := c.lives[id]
	if !known {
		return station.ErrNotFound
	}
	if l.State != station.OnAir {
		return nil
	}
	l.State, l.EndedAt, l.EndReason, l.Stats = e.State, micro(e.At), e.Reason, e.Stats
	c.lives[id] = l
	c.jobs[id] = &memoryJob{
		Job:    station.Job{LiveID: id, State: station.JobPending, Updated: l.EndedAt},
		opened: l.EndedAt,
	}
	return nil
}

// Live implements [station.Lives].
func (c *Catalog) Live(ctx context.Context, id string) (station.Live, error) {
	return find(ctx, c, c.lives, id)
}

// ListLives implements [station.Lives].
func (c *Catalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	return list(ctx, c, c.lives, q.Limit,
		func(l station.Live) bool {
			return (q.State == "" || l.State == q.State) && (q.Node == "" || l.Node == q.Node) &&
				(q.Before.IsZero() || orderDesc(micro(q.Before), l.StartedAt, q.BeforeID, l.ID) < 0)
		},
		func(a, b station.Live) int { return orderDesc(a.StartedAt, b.StartedAt, a.ID, b.ID) })
}

// Replay implements [station.Replays].
func (c *Catalog) Replay(ctx context.Context, id string) (station.Replay, error) {
	all, err := list(ctx, c, c.replays, 1, func(r station.Replay) bool { return r.ID == id }, nil)
	if err == nil && len(all) == 0 {
		err = station.ErrNotFound
	}
	if err != nil {
		return station.Replay{}, err
	}
	return all[0], nil
}

// ReplayOf implements [station.Replays].
func (c *Catalog) ReplayOf(ctx context.Context, liveID string) (station.Replay, error) {
	return find(ctx, c, c.replays, liveID)
}

// ListReplays implements [station.Replays].
func (c *Catalog) ListReplays(ctx context.Context, q station.ReplayQuery) ([]station.Replay, error) {
	return list(ctx, c, c.replays, q.Limit,
		func(r station.Replay) bool {
			return q.Before.IsZero() || orderDesc(micro(q.Before), r.PublishedAt, q.BeforeID, r.ID) < 0
		},
		func(a, b station.Replay) int { return orderDesc(a.PublishedAt, b.PublishedAt, a.ID, b.ID) })
}

// Job implements [station.Jobs].
func (c *Catalog) Job(ctx context.Context, liveID string) (station.Job, error) {
	j, err := find(ctx, c, c.jobs, liveID)
	if err != nil {
		return station.Job{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return j.Job, nil
}

// ListJobs implements [station.Jobs].
func (c *Catalog) ListJobs(ctx context.Context, states ...station.JobState) ([]station.Job, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*memoryJob
	for _, j := range c.jobs {
		if len(states) == 0 || slices.Contains(states, j.State) {
			found = append(found, j)
		}
	}
	slices.SortFunc(found, func(a, b *memoryJob) int { return orderDesc(b.opened, a.opened, b.LiveID, a.LiveID) })
	var jobs []station.Job
	for _, j := range found {
		jobs = append(jobs, j.Job)
	}
	return jobs, ctx.Err()
}

// Claim implements [station.Jobs].
func (c *Catalog) Claim(ctx context.Context, liveID, worker string, now time.Time, lease time.Duration) (station.Claim, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	j, known := c.jobs[liveID]
	switch {
	case ctx.Err() != nil:
		return station.Claim{}, ctx.Err()
	case !known:
		return station.Claim{}, station.ErrNotFound
	case j.State == station.JobRunning && !j.Lease.Before(micro(now)):
		return station.Claim{}, station.ErrClaimed
	case j.State != station.JobRunning && j.State != station.JobPending:
		return station.Claim{}, station.ErrJobOver
	}
	j.fence++
	j.Attempts++
	j.State, j.Worker, j.Lease, j.Step, j.Progress, j.Updated = station.JobRunning, worker, micro(now.Add(lease)), "", 0, micro(now)
	return station.Claim{LiveID: liveID, Fence: j.fence}, nil
}

// Renew implements [station.Jobs].
func (c *Catalog) Renew(ctx context.Context, cl station.Claim, until time.Time, step string, progress float64) error {
	return c.held(ctx, cl, func(j *memoryJob) error {
		j.Lease, j.Step, j.Progress = micro(until), step, progress
		return nil
	})
}

// Publish implements [station.Jobs].
func (c *Catalog) Publish(ctx context.Context, cl station.Claim, r station.Replay) error {
	if r.LiveID != cl.LiveID {
		return fmt.Errorf("a replay of live %q cannot end the job of live %q", r.LiveID, cl.LiveID)
	}
	return c.held(ctx, cl, func(j *memoryJob) error {
		for _, other := range c.replays {
			if other.ID == r.ID {
				return fmt.Errorf("replay %s exists", r.ID)
			}
		}
		r.PublishedAt = micro(r.PublishedAt)
		c.replays[r.LiveID] = r
		j.State, j.Lease, j.Progress, j.Error = station.JobDone, time.Time{}, 1, ""
		return nil
	})
}

// Release implements [station.Jobs].
func (c *Catalog) Release(ctx context.Context, cl station.Claim, state station.JobState, reason string) error {
	if state != station.JobPending && state != station.JobParked && state != station.JobEmpty {
		return fmt.Errorf("a job cannot be released as %q", state)
	}
	return c.held(ctx, cl, func(j *memoryJob) error {
		if state == station.JobPending && reason == "" {
			j.Attempts--
		} else {
			j.Error = reason
		}
		j.State, j.Lease = state, time.Time{}
		return nil
	})
}

// Reopen implements [station.Jobs].
func (c *Catalog) Reopen(ctx context.Context, liveID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	j, known := c.jobs[liveID]
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !known:
		return station.ErrNotFound
	case j.State == station.JobDone || j.State == station.JobEmpty:
		return station.ErrJobOver
	case j.State == station.JobParked:
		j.State, j.Attempts, j.Step, j.Progress, j.Updated = station.JobPending, 0, "", 0, micro(time.Now())
	}
	return nil
}

// held changes a job while the claim on it holds.
func (c *Catalog) held(ctx context.Context, cl station.Claim, change func(j *memoryJob) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	j, known := c.jobs[cl.LiveID]
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !known:
		return station.ErrNotFound
	case j.State != station.JobRunning || j.fence != cl.Fence:
		return station.ErrFenced
	}
	j.Updated = micro(time.Now())
	return change(j)
}

// Ping implements [station.Catalog].
func (c *Catalog) Ping(ctx context.Context) error { return ctx.Err() }

// Close implements [station.Catalog].
func (c *Catalog) Close() error { return nil }

func find[T any](ctx context.Context, c *Catalog, in map[string]T, id string) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, known := in[id]
	if !known {
		return v, cmp.Or(ctx.Err(), station.ErrNotFound)
	}
	return v, ctx.Err()
}

func list[T any](ctx context.Context, c *Catalog, in map[string]T, limit int, match func(T) bool, order func(a, b T) int) ([]T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []T
	for _, v := range in {
		if match(v) {
			all = append(all, v)
		}
	}
	if order != nil {
		slices.SortFunc(all, order)
	}
	return all[:min(len(all), station.PageSize(limit))], ctx.Err()
}

// micro is a time as every catalog keeps it.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
