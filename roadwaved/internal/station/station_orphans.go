package station

import (
	"context"
	"fmt"
	"time"
)

// CloseOrphans closes the lives of this node that are on air in the catalog but
// not in this process: the one before it died under them (M22), or stopped while
// the catalog was away. The latter end as they did, by [Config.Endings]. The
// others are marked lost and returned as they were. The replay jobs of all are
// opened, their slots given back. Call it at start, when nothing records into
// their files any more.
//
// A lost one was over when its recording was last written to, or at the last sign
// of life in the catalog, if that is later. Another daemon that leaves signs under
// the name of this one keeps its lives: that is [ErrTwin], found out within one
// lease.
func (s *Station) CloseOrphans(ctx context.Context) ([]Live, error) {
	last, err := s.takeOver(ctx)
	if err != nil {
		return nil, err
	}
	saved, err := s.cfg.Endings.Load()
	if err != nil {
		s.cfg.Logger.Error("not all ends of lives that the process before kept can be read: those lives count as lost", "err", err)
	}
	var orphans, over []Live
	err = s.eachLive(ctx, LiveQuery{State: OnAir, Node: s.cfg.Node}, func(l Live) error {
		if s.holds(l.ID) {
			return nil
		}
		e, known := saved[l.ID]
		if !known {
			e = s.crash(l, latest(last, s.cfg.LastRecorded(l.ID)))
		}
		if err := s.closeOrphan(ctx, l, e); err != nil {
			return err
		}
		over = append(over, l)
		if !known {
			orphans = append(orphans, l)
		}
		return nil
	})
	s.releaseSlots(ctx, over)
	if err != nil {
		return orphans, fmt.Errorf("station: closing lives cut by a crash: %w", err)
	}
	for id := range saved { // the catalog has them, or never had the live
		if !s.holds(id) {
			s.dropEnd(id)
		}
	}
	if n := len(over) - len(orphans); n > 0 {
		s.cfg.Logger.Info("the ends of lives that the process before could not write are in the catalog", "lives", n)
	}
	return orphans, nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (s *Station) closeOrphan(ctx context.Context, l Live, e End) error {
	if err := s.complete(&e); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	s.describe(ctx, l, &e)
	return s.recordEnd(ctx, l, e)
}

// releaseSlots gives slots back. A board that hangs is asked once: it must not
// keep a daemon from starting, and the leases end by themselves.
func (s *Station) releaseSlots(ctx context.Context, lives []Live) {
	for _, l := range lives {
		if !s.releaseSlot(ctx, l.ID) {
			return
		}
	}
}
