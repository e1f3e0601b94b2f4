package relive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// What may be away, or broken.
const (
	theCatalog = "the catalog"
	theStore   = "the object store"
	theDisk    = "the disk"
)

// The pauses between two tries double from one to the other.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// answerTime is how long the catalog may take to answer one question.
const answerTime = 20 * time.Second

// A lack is what was not there for a job that did not fail by itself.
type lack struct {
	what string
	err  error
}

func (l *lack) Error() string { return "relive: without " + l.what + ": " + l.err.Error() }
func (l *lack) Unwrap() error { return l.err }

// patiently tries again while a service is away.
func (j *job) patiently(ctx context.Context, who string, patience time.Duration, try func() error) error {
	var since time.Time
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try()
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, station.ErrAway):
			if !since.IsZero() {
				j.log.Info("going on: "+who+" answers again", "after", time.Since(since).Round(time.Second))
			}
			return err
		case since.IsZero():
			since = time.Now()
			j.log.Warn("waiting: "+who+" does not answer", "patience", patience, "err", err)
			j.awaits(who)
			defer j.awaits("")
		}
		left := patience - time.Since(since)
		if left <= 0 {
			return &lack{who, fmt.Errorf("away for %v: %w", patience, err)}
		}
		if err := sleep(ctx, min(pause, left)); err != nil {
			return err
		}
	}
}

// sleep waits for about d: those that failed together do not come back together.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d - rand.N(d/5+1)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// rest keeps a worker that lacks something from taking one job after the other
// from those that do not: the longer it lacks it, the longer it waits.
func (w *Worker) rest(ctx context.Context, err error) {
	if lacks(err) == "" {
		w.lacking.Store(0)
		return
	}
	n := min(w.lacking.Add(1), 6)
	_ = sleep(ctx, min(firstPause<<(n-1), longestPause)) // it stops: no reason to wait
}

// A patientStore keeps what a replay is made of while the store is away, or while
// nobody knows whose the job is: what another worker published is not written
// over. A store that refuses (its bucket is full, its keys are wrong) would refuse
// any replay.
type patientStore struct {
	hls.Store
	job *job
}

func (s patientStore) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	patience := s.job.worker.cfg.Patience
	if err := s.job.patiently(ctx, theCatalog, patience, s.job.held); err != nil {
		return err
	}
	err := s.job.patiently(ctx, theStore, patience, func() error {
		if err := s.job.held(); err != nil {
			return err
		}
		return s.Store.Put(ctx, key, body)
	})
	if err != nil && ctx.Err() == nil {
		err = &lack{theStore, err}
	}
	return err
}
