package station

import (
	"context"
	"fmt"
)

// recallPatience leaves the rest of boardPatience to what is asked next.
const recallPatience = boardPatience / 2

// acquireSlot takes a slot on a board that knows of all the others.
func (s *Station) acquireSlot(ctx context.Context, liveID string) error {
	s.recallSlots(ctx)
	return s.cfg.Board.Acquire(ctx, liveID, s.cfg.MaxLives, s.cfg.Lease)
}

// admitWithoutBoard counts a live in by what the catalog knows of the others.
func (s *Station) admitWithoutBoard(ctx context.Context, liveID string, cause error) error {
	elsewhere := s.countElsewhere(ctx)
	s.mu.Lock()
	n := elsewhere
	for _, b := range s.here {
		if b.end == nil && b.admitted {
			n++
		}
	}
	admitted := n < s.cfg.MaxLives
	s.here[liveID].admitted = admitted
	s.mu.Unlock()
	if !admitted {
		s.forget(liveID)
		return s.full()
	}
	s.cfg.Logger.Warn("the board does not answer: live admitted by what the catalog has on air", "live_id", liveID, "lives", n, "err", cause)
	return nil
}

// countElsewhere counts the lives on air on other daemons that are not known to be
// dead, as of the last look when the catalog does not answer.
func (s *Station) countElsewhere(ctx context.Context) (n int) {
	ctx, cancel := context.WithTimeout(ctx, recallPatience)
	defer cancel()
	lives, err := s.livesElsewhere(ctx)
	if err != nil {
		return s.elsewhere.count()
	}
	signs, err := s.signs(ctx)
	for _, l := range lives {
		if sign, known := signs[l.Node]; err != nil || !known || s.alive(sign) {
			n++
		}
	}
	return n
}

// recallSlots gives the lives on air their slots back when the board lost them:
// until each daemon renews its own, which may take a third of a lease, the limit
// would count for nothing. The catalog knows whose they are.
//
// Lives of daemons that are down are left out: their slots are to be had again.
// Who is cut off from the board is not down, by the catalog.
// But a board that does not know this daemon has forgotten the others too, so
// that nobody can tell who is down, and all lives get slots. So it is when a
// daemon starts. They get them for half a lease: who is up renews them before
// that is over, and what a dead one keeps by mistake is soon free. All this comes
// before a daemon presents itself, too: after that nobody could see any more that
// the board forgot.
//
// What is left of the hole are lives that other daemons start at that very
// moment: they are not in the catalog yet.
func (s *Station) recallSlots(ctx context.Context) {
	if s.cfg.Nodes == nil {
		return // alone: the lives here are all there are
	}
	rctx, cancel := context.WithTimeout(ctx, recallPatience)
	defer cancel()
	n, err := s.recall(rctx)
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.Debug("it is not known whether the board has all slots: there may be more lives than the limit allows", "limit", s.cfg.MaxLives, "err", err)
	}
	if n > 0 {
		s.cfg.Logger.Warn("the board (Redis) lost slots of lives on air: they were given back", "lives", n)
	}
}

// recall tells how many lives got their slots back.
func (s *Station) recall(ctx context.Context) (int, error) {
	up, err := s.nodesUp(ctx)
	if err != nil {
		return 0, fmt.Errorf("station: listing daemons: %w", err)
	}
	taken, err := s.cfg.Board.Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("station: counting slots: %w", err)
	}
	ids, _ := s.split() // some of them may not be in the catalog yet
	lives, err := s.livesElsewhere(ctx)
	if err != nil {
		return 0, err
	}
	signs, err := s.signs(ctx)
	if err != nil {
		return 0, err
	}
	forgot := !up[s.cfg.Node]
	cut := 0 // lives whose daemon is cut off from the board: that their slots go is no news
	for _, l := range lives {
		switch {
		case forgot || up[l.Node]:
			ids = append(ids, l.ID)
		case s.alive(signs[l.Node]):
			ids = append(ids, l.ID)
			cut++
		}
	}
	lost := len(ids) - taken
	if lost <= 0 {
		return 0, nil
	}
	if err := s.cfg.Board.Renew(ctx, s.cfg.Lease/2, ids...); err != nil {
		return 0, fmt.Errorf("station: giving slots back: %w", err)
	}
	if lost <= cut {
		return 0, nil
	}
	return len(ids), nil
}
