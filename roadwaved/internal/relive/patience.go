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

// The services that may be away.
const (
	theCatalog = "the catalog"
	theStore   = "the object store"
)

// The pauses between two tries double from one to the other.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// An awayError is a service that was waited for in vain.
type awayError struct {
	who  string
	long time.Duration
	err  error
}

func (e *awayError) Error() string {
	return fmt.Sprintf("relive: %s has been away for %v: %v", e.who, e.long, e.err)
}

func (e *awayError) Unwrap() []error { return []error{station.ErrAway, e.err} }

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
			return &awayError{who, patience, err}
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

// A patientStore keeps what a replay is made of while the store is away.
type patientStore struct {
	hls.Store
	job *job
}

func (s patientStore) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	return s.job.patiently(ctx, theStore, s.job.worker.cfg.Patience, func() error {
		return s.Store.Put(ctx, key, body)
	})
}
