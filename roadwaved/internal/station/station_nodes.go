package station

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// A watch is what is known of daemons that have lives on air.
type watch struct {
	looked time.Time            // when the board last told who is up
	down   map[string]time.Time // since when a daemon was seen to be down, by name
	up     map[string]time.Time // when it was last seen to be up
}

// present tells the others that this daemon is up.
func (s *Station) present(ctx context.Context) {
	s.recallSlots(ctx)
	bctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	if err := s.cfg.Nodes.Present(bctx, s.self(), s.cfg.Lease); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("the board does not answer: other daemons hear of this one through the catalog alone", "node", s.cfg.Node, "err", err)
	}
}

func (s *Station) self() Node { return Node{Name: s.cfg.Node, URL: s.cfg.NodeURL} }

func (s *Station) absent(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardPatience)
	defer cancel()
	if err := s.cfg.Nodes.Absent(ctx, s.cfg.Node); err != nil {
		s.cfg.Logger.Warn("other daemons believe this one to be up for one more lease", "node", s.cfg.Node, "err", err)
	}
}

// closeDead looks at the other daemons and their lives, and closes the lives of
// those that have been down for NodePatience.
//
// That is how long neither board nor catalog heard of them, look after look, with
// both answering: one that forgot everything, or was away, or a pause of this
// process begin it anew, and daemons that live are heard of before it is over.
// Who is cut off from one of the two lives. Several daemons may do it at once:
// the first end of a live counts.
func (s *Station) closeDead(ctx context.Context) {
	up, boardErr := s.nodesUp(ctx)
	signs, signsErr := s.signs(ctx)
	now := s.cfg.Now()
	blind := boardErr != nil || signsErr != nil
	if blind || now.Sub(s.watch.looked) > s.cfg.Lease {
		s.watch.down = nil
	}
	s.watch.looked = now
	if boardErr == nil {
		s.addAlive(up, signs)
	}
	for node := range up {
		s.watch.up[node] = now
	}
	maps.DeleteFunc(s.watch.down, func(node string, _ time.Time) bool { return up[node] })
	lives, err := s.livesElsewhere(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.cfg.Logger.Warn("lives of daemons that died may still be on air, looking again", "err", err)
		}
		return
	}
	s.elsewhere.setLives(lives, up)
	if blind {
		return // present and sign have said so
	}
	down := make(map[string]time.Time)
	for _, l := range lives {
		if up[l.Node] {
			continue
		}
		since, seen := s.watch.down[l.Node]
		if !seen {
			since = now
		}
		down[l.Node] = since
		if now.Sub(since) >= s.cfg.NodePatience {
			s.giveUp(ctx, l, s.lastAlive(l.Node, s.left(signs[l.Node])))
		}
	}
	s.watch.down = down
	maps.DeleteFunc(s.watch.up, func(node string, _ time.Time) bool { return !up[node] && down[node].IsZero() })
}

// giveUp closes the live of a daemon that died.
func (s *Station) giveUp(ctx context.Context, l Live, last time.Time) {
	s.cfg.Logger.Warn("the daemon of a live is down: the live is lost", "live_id", l.ID, "node", l.Node, "last_alive", last)
	if err := s.Close(ctx, l.ID, s.crash(l, last)); err != nil && !errors.Is(err, ErrNotFound) {
		s.cfg.Logger.Warn("a lost live is still to be closed", "live_id", l.ID, "err", err)
	}
}

// lastAlive is when a daemon was last known to live: it signed, or had a lease on
// the board while the catalog was away.
func (s *Station) lastAlive(node string, signed time.Time) time.Time {
	if seen, ok := s.watch.up[node]; ok {
		return latest(signed, seen.Add(-s.cfg.Lease))
	}
	return signed
}

func (s *Station) nodesUp(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	nodes, err := s.cfg.Nodes.ListNodes(ctx)
	if err != nil {
		return nil, err
	}
	s.elsewhere.setNodes(nodes)
	up := make(map[string]bool, len(nodes))
	for _, n := range nodes {
		up[n.Name] = true
	}
	return up, nil
}

// livesElsewhere gives the lives on air on other daemons, dead or not.
func (s *Station) livesElsewhere(ctx context.Context) ([]Live, error) {
	var lives []Live
	err := s.eachLive(ctx, LiveQuery{State: OnAir}, func(l Live) error {
		if l.Node != s.cfg.Node {
			lives = append(lives, l)
		}
		return nil
	})
	return lives, err
}

// eachLive goes through all pages of a list.
func (s *Station) eachLive(ctx context.Context, q LiveQuery, f func(l Live) error) error {
	q.Limit = MaxPage
	return eachPage(
		func() ([]Live, error) { return s.listLives(ctx, q) },
		func(last Live) { q.Before, q.BeforeID = last.StartedAt, last.ID },
		f)
}

func (s *Station) listLives(ctx context.Context, q LiveQuery) ([]Live, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	page, err := s.cfg.Lives.ListLives(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("station: listing lives: %w", err)
	}
	return page, nil
}
