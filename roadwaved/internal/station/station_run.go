package station

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Run says that this daemon lives, renews the slots of its lives on air, writes the ends that the
// catalog did not take at once, closes the lives of daemons that died, and looks
// for lives here that another daemon closed, until ctx ends; then it returns nil.
// Lives go on without it for one lease.
func (s *Station) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	// Side by side: a catalog that hangs must not cost a slot.
	wg.Go(func() { every(ctx, s.cfg.Lease/3, s.renew) })
	wg.Go(func() { every(ctx, s.cfg.Lease/3, s.retryEnds) })
	if s.cfg.Signs != nil {
		wg.Go(func() { every(ctx, s.cfg.Lease/3, s.sign) })
	}
	if s.cfg.Nodes != nil {
		wg.Go(func() { every(ctx, s.cfg.Lease/3, s.present) })
		wg.Go(func() { every(ctx, s.cfg.Lease/3, s.closeDead) })
		wg.Go(func() { every(ctx, lookAfter, s.findLost) })
	}
	wg.Wait()
	if s.cfg.Nodes != nil {
		s.absent(ctx)
	}
	if s.cfg.Signs != nil {
		s.unsign(ctx)
	}
	return nil
}

// every calls f at once and then in the given interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func(ctx context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Station) renew(ctx context.Context) {
	ids, _ := s.split()
	if len(ids) == 0 {
		return
	}
	rctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	if err := s.cfg.Board.Renew(rctx, s.cfg.Lease, ids...); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("the board does not answer: lives go on, slots are renewed when it is back", "lives", len(ids), "err", err)
	}
	// A live that ended meanwhile may have got its slot back from Renew.
	for _, id := range ids {
		if !s.holds(id) {
			s.releaseSlot(context.WithoutCancel(ctx), id)
		}
	}
}

func (s *Station) retryEnds(ctx context.Context) {
	_, ends := s.split()
	for i, b := range ends {
		if ctx.Err() != nil {
			return
		}
		err := s.writeEnd(context.WithoutCancel(ctx), b.live, *b.end)
		if err == nil || errors.Is(err, ErrNotFound) {
			continue
		}
		s.cfg.Logger.Warn("lives over but not yet in the catalog, trying again", "live_id", b.live.ID, "lives", len(ends)-i, "err", err)
		if later(err) {
			return
		}
	}
}

// split gives the lives on air here, and those over that the catalog does not
// know to be over.
func (s *Station) split() (onAir []string, ends []*broadcast) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, b := range s.here {
		switch {
		case b.end == nil && b.admitted:
			onAir = append(onAir, id)
		case b.end != nil && b.isFinal():
			ends = append(ends, b)
		}
	}
	return onAir, ends
}

// isFinal tells whether the end has its figures.
func (b *broadcast) isFinal() bool {
	select {
	case <-b.final:
		return true
	default:
		return false
	}
}

func (s *Station) holds(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.here[id]
	return ok
}
