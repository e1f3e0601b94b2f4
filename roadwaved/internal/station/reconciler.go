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
	jobs, err := r.cfg.Jobs.ListJobs(ctx, JobPending, JobRunning)
	if err != nil {
		return 0, fmt.Errorf("station: listing unfinished jobs: %w", err)
	}
	n := 0
	for _, id := range due(jobs, r.cfg.Now()) {
		if err := r.cfg.Queue.Enqueue(ctx, id); err != nil {
			return n, fmt.Errorf("station: enqueueing the replay of live %s: %w", id, err)
		}
		n++
	}
	return n, nil
}

// due picks the lives whose jobs need a worker: those that wait for one, and
// those whose worker let its lease end.
func due(jobs []Job, now time.Time) []string {
	var ids []string
	for _, j := range jobs {
		if j.State == JobPending || (j.State == JobRunning && j.Lease.Before(now)) {
			ids = append(ids, j.LiveID)
		}
	}
	return ids
}
