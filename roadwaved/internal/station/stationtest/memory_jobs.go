package stationtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

type memoryJob struct {
	station.Job
	fence int64
}

// Job implements [station.Jobs].
func (c *Catalog) Job(ctx context.Context, liveID string) (station.Job, error) {
	j, err := find(ctx, c, &c.jobs, liveID)
	if err != nil {
		return station.Job{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return j.Job, nil
}

// ListJobs implements [station.Jobs].
func (c *Catalog) ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var jobs []station.Job
	for _, j := range c.jobs {
		if (len(q.States) == 0 || slices.Contains(q.States, j.State)) && (q.Node == "" || j.Node == q.Node) &&
			(q.After.IsZero() || orderAsc(j.Opened, micro(q.After), j.LiveID, q.AfterID) > 0) {
			jobs = append(jobs, j.Job)
		}
	}
	slices.SortFunc(jobs, func(a, b station.Job) int { return orderAsc(a.Opened, b.Opened, a.LiveID, b.LiveID) })
	return jobs[:min(len(jobs), station.PageSize(q.Limit))], ctx.Err()
}

// Deposited implements [station.Jobs].
func (c *Catalog) Deposited(ctx context.Context, liveID string, nothing bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	j, known := c.jobs[liveID]
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !known:
		return station.ErrNotFound
	case j.State == station.JobUploading:
		j.State, j.Updated = station.JobPending, micro(time.Now())
		if nothing {
			j.State, j.Error = station.JobEmpty, "nothing was recorded"
		}
	}
	return nil
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
	case j.State == station.JobUploading, j.State == station.JobRunning && !j.Lease.Before(micro(now)):
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
	case j.State == station.JobDone:
		return station.ErrJobOver
	case j.State == station.JobParked || j.State == station.JobEmpty:
		j.State, j.Attempts, j.Step, j.Progress, j.Error, j.Updated = station.JobPending, 0, "", 0, "", micro(time.Now())
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
