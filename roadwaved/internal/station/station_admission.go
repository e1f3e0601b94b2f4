package station

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// admit tells whether a live can be listened to: nil when it is on air here or
// elsewhere.
func (a *Audience) admit(ctx context.Context, liveID string) error {
	a.mu.Lock()
	_, over := a.leaving[liveID]
	a.mu.Unlock()
	if over {
		return fmt.Errorf("station: live %s is over: %w", liveID, ErrGone)
	}
	if slices.Contains(a.cfg.OnAir(), liveID) {
		return nil
	}
	if a.cfg.OnAirElsewhere(liveID) {
		return a.admitElsewhere(ctx, liveID)
	}
	return a.admitBy(ctx, liveID)
}

// admitElsewhere believes what was last known when the catalog does not answer.
func (a *Audience) admitElsewhere(ctx context.Context, liveID string) error {
	pctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	err := a.admitBy(pctx, liveID)
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) || ctx.Err() != nil {
		return err
	}
	return nil
}

// admitBy asks the catalog.
func (a *Audience) admitBy(ctx context.Context, liveID string) error {
	l, err := a.lives.get(ctx, liveID)
	switch {
	case err != nil:
		return fmt.Errorf("station: looking for live %.40q: %w", liveID, err)
	case l.State != OnAir:
		return fmt.Errorf("station: live %s is over: %w", liveID, ErrGone)
	}
	return nil
}
