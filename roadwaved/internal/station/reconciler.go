package station

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ReconcilerConfig makes a [Reconciler].
type ReconcilerConfig struct {
	Jobs  Jobs  // required
	Queue Queue // required
	// Interval is the time between two rounds, 1 s or more. Default 1 min.
	Interval time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger hears of rounds that failed. Default: nothing.
	Logger *slog.Logger
}

// A Reconciler asks the catalog which replays are unfinished and puts them into
// the queue again. It is what makes a queue that forgets safe: a job is late by
// one interval, never lost.
type Reconciler struct {
	cfg ReconcilerConfig
}

// NewReconciler makes a reconciler. It starts nothing: call [Reconciler.Run].
func NewReconciler(cfg ReconcilerConfig) (*Reconciler, error) {
	if cfg.Jobs == nil || cfg.Queue == nil {
		return nil, errors.New("station: ReconcilerConfig needs Jobs and Queue")
	}
	cfg.Interval = cmp.Or(cfg.Interval, time.Minute)
	if cfg.Interval < time.Second {
		return nil, fmt.Errorf("station: Interval is %v, it must be 1 s or more", cfg.Interval)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{cfg: cfg}, nil
}

// Run does a round at once and then one every interval, until ctx ends; then it
// returns nil. A round that fails is logged and left to the next.
func (r *Reconciler) Run(ctx context.Context) error {
	every(ctx, r.cfg.Interval, func(ctx context.Context) {
		if _, err := r.Round(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("unfinished replays not put back into the queue, trying again", "in", r.cfg.Interval, "err", err)
		}
	})
	return nil
}

// Round enqueues what is unfinished and tells how many jobs that was. It stops
// at the first error: a queue that is away for one job is away for all.
func (r *Reconciler) Round(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Interval)
	defer cancel()
	n := 0
	list := func(ctx context.Context, q JobQuery) ([]Job, error) {
		page, err := r.cfg.Jobs.ListJobs(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("station: listing unfinished jobs: %w", err)
		}
		return page, nil
	}
	err := EachJob(ctx, list, JobQuery{States: []JobState{JobPending, JobRunning}}, func(j Job) error {
		if !j.due(r.cfg.Now()) {
			return nil
		}
		if err := r.cfg.Queue.Enqueue(ctx, j.LiveID, j.Priority); err != nil {
			return fmt.Errorf("station: enqueueing the replay of live %s: %w", j.LiveID, err)
		}
		n++
		return nil
	})
	return n, err
}

// due tells whether the job needs a worker: it waits for one, or the one it had
// let the lease end.
func (j Job) due(now time.Time) bool {
	return j.State == JobPending || (j.State == JobRunning && j.Lease.Before(now))
}
