package station

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	// finishPatience is the longest that the end of a live waits for the board.
	finishPatience = 5 * time.Second
	// partingTime is how long after its end a live is looked at again: another
	// daemon may not have known yet that it was over.
	partingTime = 15 * time.Second
	// silentPage is what one look for silent visits gives at most.
	silentPage = 1000
)

// leaving is a live that is over, until nobody listens to it any more.
type leaving struct {
	end time.Time
	// Of a live whose process died, with what it knew: the time until which
	// listeners were surely there.
	dead  bool
	until time.Time
}

// Run counts the lives on air here, keeps samples, and counts listeners out who
// fell silent, until ctx ends; then it returns nil.
func (a *Audience) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() {
		every(ctx, a.cfg.CountInterval, func(ctx context.Context) {
			a.catchUp(ctx)
			a.count(ctx)
		})
	})
	// Apart: a catalog that hangs must not keep anybody from being counted.
	wg.Go(func() { every(ctx, a.cfg.CountInterval, a.seed) })
	wg.Go(func() { a.sweepAll(ctx) })
	wg.Go(func() {
		for {
			at := a.cfg.Now().Truncate(a.cfg.SampleInterval).Add(a.cfg.SampleInterval)
			if !sleep(ctx, at.Sub(a.cfg.Now())) {
				return
			}
			a.sample(at)
		}
	})
	wg.Wait()
	return nil
}

// sweepAll counts out who left without a word.
func (a *Audience) sweepAll(ctx context.Context) {
	last := a.cfg.Now()
	every(ctx, a.cfg.SweepInterval, func(ctx context.Context) {
		now := a.cfg.Now()
		if now.Sub(last) > a.cfg.SweepInterval+a.cfg.Silence/2 {
			a.board.doubt() // this process stood still: nobody could be heard of
		}
		last = now
		a.settleAll(ctx)
		a.sweep(ctx)
		a.part(ctx)
	})
}

// sweep looks at the lives on air here. It trusts the board when that has
// answered for as long as a listener may be silent: nobody is counted out who
// could not be heard of.
func (a *Audience) sweep(ctx context.Context) {
	for _, id := range a.cfg.OnAir() {
		if !a.board.upFor(a.cfg.Silence) || ctx.Err() != nil {
			return
		}
		if err := a.closeVisits(ctx, id, a.cfg.Silence, time.Time{}); err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("listeners who fell silent are still counted, trying again", "live_id", id, "err", err)
			if later(err) {
				return
			}
		}
	}
}

// part looks at the lives that are over.
func (a *Audience) part(ctx context.Context) {
	over := make(map[string]leaving)
	a.mu.Lock()
	maps.Copy(over, a.leaving)
	a.mu.Unlock()
	for id, l := range over {
		if a.board.isDown() || ctx.Err() != nil {
			return
		}
		last := a.cfg.Now().Sub(l.end) >= partingTime && a.knownOver(ctx, id)
		err := a.closeVisits(ctx, id, 0, l.end)
		if err == nil && last {
			err = a.dismiss(ctx, id, l)
		}
		if err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("a live is over, its listeners are still to be counted out", "live_id", id, "err", err)
			if later(err) {
				return
			}
		}
	}
}

// dismiss lets go of a live that nobody listens to any more.
func (a *Audience) dismiss(ctx context.Context, liveID string, l leaving) error {
	if l.dead {
		if err := a.closeForgotten(ctx, liveID, l.until); err != nil {
			return err
		}
	}
	err := a.board.do(ctx, func(ctx context.Context) error { return a.cfg.Attendance.Dismiss(ctx, liveID) })
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.leaving, liveID)
	return nil
}

// knownOver tells whether the catalog refuses who would still join.
func (a *Audience) knownOver(ctx context.Context, liveID string) bool {
	l, err := a.lives.get(ctx, liveID)
	return errors.Is(err, ErrNotFound) || (err == nil && l.State != OnAir)
}

// Finish ends a live for its listeners: they are counted out, now or when the
// board is back, and nobody joins any more. It gives the final figures, the last
// ones known if the board is away. It takes some seconds at most, does its work
// even when ctx has ended, and may be called for the live of a daemon that died.
func (a *Audience) Finish(ctx context.Context, liveID string) Figures {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishPatience)
	defer cancel()
	now := a.cfg.Now()
	f, here := a.take(liveID, now)
	if !here {
		f = a.recorded(ctx, liveID)
	}
	a.catchUp(ctx)
	var c Counters
	err := a.board.do(ctx, func(ctx context.Context) (err error) {
		c, _, err = a.cfg.Attendance.Count(ctx, liveID)
		return err
	})
	if err == nil {
		f.update(c, true, now)
	}
	a.mu.Lock()
	a.late.countLocked(liveID, &f.Counters)
	a.mu.Unlock()
	if here {
		a.cfg.Journal.Add(nil, []Sample{{LiveID: liveID, At: now.UTC().Truncate(time.Second), Counters: f.Counters}})
	}
	if err == nil {
		err = a.closeVisits(ctx, liveID, 0, now)
	}
	if err == nil {
		final := f.Counters
		final.Listeners = 0
		err = a.board.do(ctx, func(ctx context.Context) error { return a.cfg.Attendance.Show(ctx, liveID, final) })
	}
	if err != nil {
		a.cfg.Logger.Warn("a live is over, its listeners are counted out when the board answers", "live_id", liveID, "err", err)
	}
	return f.Figures
}

// take gives the tally of a live that is over, and lets nobody join any more.
func (a *Audience) take(liveID string, now time.Time) (t tally, here bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, twice := a.leaving[liveID]; !twice {
		a.leaving[liveID] = leaving{end: now}
	}
	if known := a.tallies[liveID]; known != nil {
		t, here = *known, true
		delete(a.tallies, liveID)
	}
	return t, here
}

// recorded makes a tally from the samples of a live whose process died.
func (a *Audience) recorded(ctx context.Context, liveID string) (t tally) {
	ctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	samples, err := a.cfg.Records.ListSamples(ctx, liveID)
	if err != nil {
		a.cfg.Logger.Warn("the figures of a live are those that the board still knows", "live_id", liveID, "err", err)
	}
	var until time.Time
	for _, s := range samples {
		t.update(s.Counters, true, s.At)
		until = s.At
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.leaving[liveID]
	l.dead, l.until = true, until
	a.leaving[liveID] = l
	return t
}
