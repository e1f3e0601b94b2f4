package station

import (
	"context"
	"fmt"
)

// CloseOrphans closes the lives of this node that are on air in the catalog but
// not in this process: the one before it died under them (M22). They are marked
// lost, their replay jobs are opened, their slots given back. It returns them as
// they were; call it at start, when nothing records into their files any more.
//
// How long each lasted is not known here, its recording tells: the worker makes
// that whole before it reads it.
func (s *Station) CloseOrphans(ctx context.Context) ([]Live, error) {
	var orphans []Live
	err := s.eachLive(ctx, LiveQuery{State: OnAir, Node: s.cfg.Node}, func(l Live) error {
		if s.holds(l.ID) {
			return nil
		}
		if err := s.Close(ctx, l.ID, End{Reason: EndCrash}); err != nil {
			return err
		}
		orphans = append(orphans, l)
		return nil
	})
	if err != nil {
		return orphans, fmt.Errorf("station: closing lives cut by a crash: %w", err)
	}
	return orphans, nil
}
