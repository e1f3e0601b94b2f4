package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const jobColumns = "live_id, node, priority, opened_at, state, attempts, worker, lease_until, step, progress, error, updated_at"

var jobStates = []station.JobState{
	station.JobUploading, station.JobPending, station.JobRunning, station.JobDone, station.JobEmpty, station.JobParked,
}

func scanJob(row pgx.CollectableRow) (station.Job, error) {
	var j station.Job
	var lease *time.Time
	err := row.Scan(&j.LiveID, &j.Node, &j.Priority, &j.Opened, &j.State, &j.Attempts, &j.Worker, &lease, &j.Step, &j.Progress, &j.Error,
		&j.Updated)
	j.Opened, j.Lease, j.Updated = j.Opened.UTC(), moment(lease), j.Updated.UTC()
	return j, err
}

// Job implements [station.Jobs].
func (c *Catalog) Job(ctx context.Context, liveID string) (station.Job, error) {
	j, err := one(ctx, c, scanJob, "SELECT "+jobColumns+" FROM replay_jobs WHERE live_id = $1", key(liveID))
	return j, c.wrap(err, "job of live %s", liveID)
}

// ListJobs implements [station.Jobs].
func (c *Catalog) ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error) {
	var f filter
	if len(q.States) > 0 {
		among(&f, "state", jobStates, q.States)
	}
	if q.Node != "" {
		f.and("node = ?", text(q.Node))
	}
	if !q.After.IsZero() {
		f.and("(opened_at, live_id) > (?, ?)", stamp(q.After), cursor(q.AfterID))
	}
	sql := "SELECT " + jobColumns + " FROM replay_jobs" + f.where() + " ORDER BY opened_at, live_id LIMIT " + f.arg(station.PageSize(q.Limit))
	jobs, err := list(ctx, c, scanJob, sql, f.args...)
	return jobs, c.wrap(err, "listing jobs")
}

// Deposited implements [station.Jobs].
func (c *Catalog) Deposited(ctx context.Context, liveID string, nothing bool) error {
	state, reason := station.JobPending, ""
	if nothing {
		state, reason = station.JobEmpty, "nothing was recorded"
	}
	done, err := changed(ctx, c.pool, "UPDATE replay_jobs SET state = $1, error = $2, updated_at = $3 WHERE live_id = $4 AND state = $5",
		state, reason, stamp(time.Now()), key(liveID), station.JobUploading)
	if err == nil && !done {
		_, err = jobState(ctx, c.pool, liveID)
	}
	return c.wrap(err, "ending the upload of live %s", liveID)
}

// Claim implements [station.Jobs]. Leases are counted by the server's clock: that
// of the worker may be wrong, and its lease would be over for the others.
func (c *Catalog) Claim(ctx context.Context, liveID, worker string, now time.Time, lease time.Duration) (station.Claim, error) {
	claim := station.Claim{LiveID: liveID}
	err := c.pool.QueryRow(ctx, `
		UPDATE replay_jobs
		SET state = $1, fence = fence + 1, attempts = attempts + 1, worker = $2, lease_until = coalesce($4, now()) + $3::interval,
			step = '', progress = 0, updated_at = coalesce($4, now())
		WHERE live_id = $5 AND (state = $6 OR (state = $1 AND lease_until < coalesce($4::timestamptz, now())))
		RETURNING fence`,
		station.JobRunning, text(worker), lease, c.clock(now), key(liveID), station.JobPending).Scan(&claim.Fence)
	if errors.Is(err, pgx.ErrNoRows) {
		err = c.refusal(ctx, liveID)
	}
	if err != nil {
		return station.Claim{}, c.wrap(err, "claiming the job of live %s", liveID)
	}
	return claim, nil
}

// refusal tells why a job cannot be claimed.
func (c *Catalog) refusal(ctx context.Context, liveID string) error {
	state, err := jobState(ctx, c.pool, liveID)
	if err != nil {
		return err
	}
	switch state {
	case station.JobDone, station.JobEmpty, station.JobParked:
		return station.ErrJobOver
	}
	return station.ErrClaimed // if it is pending, then since this moment
}

// Renew implements [station.Jobs].
func (c *Catalog) Renew(ctx context.Context, cl station.Claim, until time.Time, step string, progress float64) error {
	// What is left by the clock of who holds it is so by any other.
	until, now := until.Truncate(time.Microsecond), time.Now().Truncate(time.Microsecond)
	err := underFence(ctx, c.pool, cl, "lease_until = coalesce($4::timestamptz, now()) + $5::interval, step = $6, progress = $7",
		c.clock(now), until.Sub(now), text(step), progress)
	return c.wrap(err, "renewing the job of live %s", cl.LiveID)
}

// Publish implements [station.Jobs].
func (c *Catalog) Publish(ctx context.Context, cl station.Claim, r station.Replay) error {
	if r.LiveID != cl.LiveID {
		return fmt.Errorf("postgres: a replay of live %q cannot end the job of live %q", r.LiveID, cl.LiveID)
	}
	err := c.write(ctx, func(tx pgx.Tx) error {
		if err := underFence(ctx, tx, cl, "state = $4, lease_until = NULL, progress = 1, error = ''", station.JobDone); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO replays ("+replayColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			r.ID, r.LiveID, text(r.Title), r.GeoType, stamp(r.PublishedAt), r.Duration.Seconds(), r.Key, r.Loudness, r.Removed.Seconds())
		return err
	})
	return c.wrap(err, "publishing the job of live %s", cl.LiveID)
}

// Release implements [station.Jobs].
func (c *Catalog) Release(ctx context.Context, cl station.Claim, state station.JobState, reason string) error {
	var err error
	switch state {
	case station.JobPending, station.JobParked, station.JobEmpty:
	default:
		return fmt.Errorf("postgres: a job cannot be released as %q", state)
	}
	if state == station.JobPending && reason == "" {
		err = underFence(ctx, c.pool, cl, "state = $4, lease_until = NULL, attempts = attempts - 1", state)
	} else {
		err = underFence(ctx, c.pool, cl, "state = $4, lease_until = NULL, error = $5", state, text(reason))
	}
	return c.wrap(err, "releasing the job of live %s", cl.LiveID)
}

// Reopen implements [station.Jobs].
func (c *Catalog) Reopen(ctx context.Context, liveID string) error {
	reopened, err := changed(ctx, c.pool, `
		UPDATE replay_jobs SET state = $1, attempts = 0, step = '', progress = 0, error = '', updated_at = $2
		WHERE live_id = $3 AND state IN ($4, $5)`,
		station.JobPending, stamp(time.Now()), key(liveID), station.JobParked, station.JobEmpty)
	if err == nil && !reopened {
		var state station.JobState
		state, err = jobState(ctx, c.pool, liveID)
		if err == nil && state == station.JobDone {
			err = station.ErrJobOver
		}
	}
	return c.wrap(err, "reopening the job of live %s", liveID)
}

// underFence sets columns of a job while the claim on it holds. The first
// argument of set is $4.
func underFence(ctx context.Context, q querier, cl station.Claim, set string, args ...any) error {
	args = append([]any{key(cl.LiveID), cl.Fence, stamp(time.Now())}, args...)
	held, err := changed(ctx, q, "UPDATE replay_jobs SET "+set+", updated_at = $3 WHERE live_id = $1 AND fence = $2 AND state = 'running'", args...)
	if err != nil || held {
		return err
	}
	if _, err := jobState(ctx, q, cl.LiveID); err != nil {
		return err
	}
	return station.ErrFenced
}

func jobState(ctx context.Context, q querier, liveID string) (state station.JobState, err error) {
	err = q.QueryRow(ctx, "SELECT state FROM replay_jobs WHERE live_id = $1", key(liveID)).Scan(&state)
	return state, err
}
