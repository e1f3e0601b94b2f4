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
	q := LiveQuery{State: OnAir, Node: s.cfg.Node, Limit: MaxPage}
	for {
		page, err := s.cfg.Lives.ListLives(ctx, q)
		if err != nil {
			return orphans, fmt.Errorf("station: looking for lives cut by a crash: %w", err)
		}
		for _, l := range page {
			if s.holds(l.ID) {
				continue
			}
			if err := s.Close(ctx, l.ID, End{Reason: EndCrash}); err != nil {
				return orphans, err
			}
			orphans = append(orphans, l)
		}
		if len(page) < MaxPage {
			return orphans, nil
		}
		last := page[len(page)-1]
		q.Before, q.BeforeID = last.StartedAt, last.ID
	}
}
