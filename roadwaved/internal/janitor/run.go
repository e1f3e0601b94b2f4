package janitor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// chore is the name under which the daemons of a house agree on who cleans.
const chore = "cleaning"

// Run cleans once per UTC day, from the time of day that is set on, until ctx
// ends; then it returns nil. A daemon that was down at that time cleans when it
// is up, one that dies at it is replaced when its lease is over, and a cleaning
// that failed is tried again the same day.
func (j *Janitor) Run(ctx context.Context) error {
	if j.cfg.Who == "" {
		return errors.New("janitor: Config.Who must be set to Run")
	}
	for {
		wait := j.due()
		if wait <= 0 {
			wait = j.turn(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// due is how long it is until today's cleaning may begin.
func (j *Janitor) due() time.Duration {
	now := j.cfg.Now().UTC()
	return now.Truncate(24 * time.Hour).Add(j.cfg.At).Sub(now)
}

// turn cleans if nobody did today, and tells when to ask again.
func (j *Janitor) turn(ctx context.Context) time.Duration {
	today := station.Chore{Name: chore, Day: j.cfg.Now().UTC().Format(time.DateOnly)}
	mine, err := j.begin(ctx, today)
	switch {
	case err != nil && ctx.Err() != nil:
		return 0
	case err != nil:
		j.cfg.Logger.Warn("daily cleaning not begun, trying again", "in", j.cfg.Lease, "err", err)
		return j.cfg.Lease
	case !mine:
		return j.cfg.Lease // who does it may die
	}
	return j.clean(ctx, today)
}

// begin takes the day's cleaning, or keeps it.
func (j *Janitor) begin(ctx context.Context, today station.Chore) (mine bool, err error) {
	err = ask(ctx, min(answerTime, j.cfg.Lease/3), func(ctx context.Context) error {
		mine, err = j.cfg.Catalog.BeginChore(ctx, today, j.cfg.Who, j.cfg.Now(), j.cfg.Lease)
		return err
	})
	return mine, err
}

// clean does the day's cleaning, which is this daemon's, and tells when to ask
// again.
func (j *Janitor) clean(ctx context.Context, today station.Chore) time.Duration {
	work, cancel := context.WithCancelCause(ctx)
	var holding sync.WaitGroup
	holding.Go(func() { j.hold(work, today, cancel) })
	begun := j.cfg.Now()
	report, err := j.Clean(work, false)
	cause := context.Cause(work)
	cancel(nil)
	holding.Wait()
	log := j.cfg.Logger.With("took", j.cfg.Now().Sub(begun).Round(time.Millisecond), "freed", report.Summary())
	switch {
	case ctx.Err() != nil:
		return 0
	case errors.Is(cause, station.ErrFenced):
		log.Warn("daily cleaning left to another daemon")
		return j.cfg.Lease
	case err != nil:
		log.Error("daily cleaning not finished, trying again", "in", j.cfg.Retry, "err", err)
		return j.cfg.Retry
	}
	log.Info("daily cleaning done")
	if n := int64(len(report.Left)) + report.LeftOmitted; n > 0 {
		j.cfg.Logger.Warn("the cleaning left what it cannot explain: a dry run lists it", "things", n, "first", report.Left[0].Key, "why", report.Left[0].Why)
	}
	err = ask(ctx, answerTime, func(ctx context.Context) error {
		return j.cfg.Catalog.FinishChore(ctx, today, j.cfg.Who, j.cfg.Now(), report.Summary())
	})
	if err != nil && ctx.Err() == nil {
		log.Warn("daily cleaning not marked as done: it may be done again", "err", err)
	}
	return j.cfg.Lease
}

// hold keeps the chore until ctx ends, and ends the work when another daemon has
// it.
func (j *Janitor) hold(ctx context.Context, today station.Chore, lost context.CancelCauseFunc) {
	tick := time.NewTicker(j.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mine, err := j.begin(ctx, today)
		switch {
		case err == nil && !mine:
			lost(station.ErrFenced)
			return
		case err != nil && ctx.Err() == nil:
			j.cfg.Logger.Warn("daily cleaning not held, trying again", "err", err)
		}
	}
}
