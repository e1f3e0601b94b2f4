package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const jobColumns = "live_id, node, priority, opened_at, state, attempts, worker, lease_until, step, progress, error, updated_at"

func scanJob(r row) (station.Job, error) {
	var j station.Job
	err := r.Scan(&j.LiveID, &j.Node, &j.Priority, timeColumn{&j.Opened}, &j.State, &j.Attempts, &j.Worker, timeColumn{&j.Lease},
		&j.Step, &j.Progress, &j.Error, timeColumn{&j.Updated})
	return j, err
}

// Job implements [station.Jobs].
func (c *Catalog) Job(ctx context.Context, liveID string) (station.Job, error) {
	j, err := scanJob(c.reader.QueryRowContext(ctx, "SELECT "+jobColumns+" FROM replay_jobs WHERE live_id = ?", liveID))
	if err != nil {
		return station.Job{}, fmt.Errorf("sqlite: job of live %s: %w", liveID, missing(err))
	}
	return j, nil
}

// ListJobs implements [station.Jobs].
func (c *Catalog) ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error) {
	var f filter
	in(&f, "state", q.States)
	f.equal("node", q.Node)
	if !q.After.IsZero() {
		f.add("(opened_at, live_id) > (?, ?)", stamp(q.After), q.AfterID)
	}
	rows, err := c.reader.QueryContext(ctx,
		"SELECT "+jobColumns+" FROM replay_jobs"+f.where()+" ORDER BY opened_at, live_id LIMIT ?", f.with(station.PageSize(q.Limit))...)
	jobs, err := collect(rows, err, scanJob)
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing jobs: %w", later(err))
	}
	return jobs, nil
}

// Deposited implements [station.Jobs].
func (c *Catalog) Deposited(ctx context.Context, liveID string, nothing bool) error {
	state, reason := station.JobPending, ""
	if nothing {
		state, reason = station.JobEmpty, "nothing was recorded"
	}
	err := c.write(ctx, func(tx *sql.Tx) error {
		deposited, err := changed(ctx, tx, "UPDATE replay_jobs SET state = ?, error = ?, updated_at = ? WHERE live_id = ? AND state = ?",
			state, reason, stamp(time.Now()), liveID, station.JobUploading)
		if err == nil && !deposited {
			_, err = jobState(ctx, tx, liveID)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: ending the upload of live %s: %w", liveID, err)
	}
	return nil
}

// Claim implements [station.Jobs].
func (c *Catalog) Claim(ctx context.Context, liveID, worker string, now time.Time, lease time.Duration) (station.Claim, error) {
	claim := station.Claim{LiveID: liveID}
	err := c.write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `
			UPDATE replay_jobs
			SET state = ?, fence = fence + 1, attempts = attempts + 1, worker = ?, lease_until = ?, step = '', progress = 0, updated_at = ?
			WHERE live_id = ? AND (state = ? OR (state = ? AND lease_until < ?))
			RETURNING fence`,
			station.JobRunning, worker, stamp(now.Add(lease)), stamp(now),
			liveID, station.JobPending, station.JobRunning, stamp(now)).Scan(&claim.Fence)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		state, err := jobState(ctx, tx, liveID)
		if err != nil {
			return err
		}
		if state == station.JobRunning || state == station.JobUploading {
			return station.ErrClaimed
		}
		return station.ErrJobOver
	})
	if err != nil {
		return station.Claim{}, fmt.Errorf("sqlite: claiming the job of live %s: %w", liveID, err)
	}
	return claim, nil
}

// Renew implements [station.Jobs].
func (c *Catalog) Renew(ctx context.Context, cl station.Claim, until time.Time, step string, progress float64) error {
	return c.underFence(ctx, "renewing", cl, nil,
		"lease_until = ?, step = ?, progress = ?", stamp(until), step, progress)
}

// Publish implements [station.Jobs].
func (c *Catalog) Publish(ctx context.Context, cl station.Claim, r station.Replay) error {
	if r.LiveID != cl.LiveID {
		return fmt.Errorf("sqlite: a replay of live %q cannot end the job of live %q", r.LiveID, cl.LiveID)
	}
	insert := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO replays ("+replayColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			r.ID, r.LiveID, r.Title, r.GeoType, stamp(r.PublishedAt), r.Duration.Seconds(), r.Key, r.Loudness, r.Removed.Seconds())
		return err
	}
	return c.underFence(ctx, "publishing", cl, insert,
		"state = ?, lease_until = NULL, progress = 1, error = ''", station.JobDone)
}

// Release implements [station.Jobs].
func (c *Catalog) Release(ctx context.Context, cl station.Claim, state station.JobState, reason string) error {
	switch state {
	case station.JobPending, station.JobParked, station.JobEmpty:
	default:
		return fmt.Errorf("sqlite: a job cannot be released as %q", state)
	}
	if state == station.JobPending && reason == "" {
		return c.underFence(ctx, "releasing", cl, nil,
			"state = ?, lease_until = NULL, attempts = attempts - 1", state)
	}
	return c.underFence(ctx, "releasing", cl, nil,
		"state = ?, lease_until = NULL, error = ?", state, reason)
}

// Reopen implements [station.Jobs].
func (c *Catalog) Reopen(ctx context.Context, liveID string) error {
	err := c.write(ctx, func(tx *sql.Tx) error {
		reopened, err := changed(ctx, tx, `
			UPDATE replay_jobs SET state = ?, attempts = 0, step = '', progress = 0, error = '', updated_at = ?
			WHERE live_id = ? AND state IN (?, ?)`,
			station.JobPending, stamp(time.Now()), liveID, station.JobParked, station.JobEmpty)
		if err != nil || reopened {
			return err
		}
		state, err := jobState(ctx, tx, liveID)
		if err == nil && state == station.JobDone {
			err = station.ErrJobOver
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: reopening the job of live %s: %w", liveID, err)
	}
	return nil
}

// underFence sets columns of a job while the claim on it holds, and does more in
// the same transaction.
func (c *Catalog) underFence(ctx context.Context, doing string, cl station.Claim, more func(*sql.Tx) error, set string, args ...any) error {
	args = append(args, stamp(time.Now()), cl.LiveID, cl.Fence, station.JobRunning)
	err := c.write(ctx, func(tx *sql.Tx) error {
		held, err := changed(ctx, tx, "UPDATE replay_jobs SET "+set+", updated_at = ? WHERE live_id = ? AND fence = ? AND state = ?", args...)
		if err != nil {
			return err
		}
		if !held {
			if _, err := jobState(ctx, tx, cl.LiveID); err != nil {
				return err
			}
			return station.ErrFenced
		}
		if more == nil {
			return nil
		}
		return more(tx)
	})
	if err != nil {
		return fmt.Errorf("sqlite: %s the job of live %s: %w", doing, cl.LiveID, err)
	}
	return nil
}

func jobState(ctx context.Context, tx *sql.Tx, liveID string) (station.JobState, error) {
	var s station.JobState
	err := tx.QueryRowContext(ctx, "SELECT state FROM replay_jobs WHERE live_id = ?", liveID).Scan(&s)
	return s, missing(err)
}
