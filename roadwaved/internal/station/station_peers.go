package station

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/google/uuid"
)

// An atlas is what this daemon last heard of the others. It is not forgotten
// while catalog and board are away: a live stays on its daemon until it ends.
type atlas struct {
	mu    sync.Mutex
	lives map[string]Live // on air on other daemons, by id
	nodes map[string]Node // that are up or have such a live, by name
}

func (a *atlas) live(id string) (Live, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, ok := a.lives[id]
	return l, ok
}

func (a *atlas) node(name string) (Node, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.nodes[name]
	return n, ok
}

// count is how many lives are on air elsewhere.
func (a *atlas) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.lives)
}

// note takes down a live, or that it is not on air on another daemon any more.
func (a *atlas) note(l Live, elsewhere bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !elsewhere:
		delete(a.lives, l.ID)
	case a.lives == nil:
		a.lives = map[string]Live{l.ID: l}
	default:
		a.lives[l.ID] = l
	}
}

// setNodes takes down who is up.
func (a *atlas) setNodes(up []Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes == nil {
		a.nodes = make(map[string]Node)
	}
	for _, n := range up {
		a.nodes[n.Name] = n
	}
}

// setLives takes down all lives that are on air on other daemons. Who is not up
// keeps its place for as long as it has a live: a board that was emptied knows
// nobody for a moment. With up nil nobody can tell.
func (a *atlas) setLives(lives []Live, up map[string]bool) {
	byID, busy := make(map[string]Live, len(lives)), make(map[string]bool)
	for _, l := range lives {
		byID[l.ID], busy[l.Node] = l, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lives = byID
	if up != nil {
		maps.DeleteFunc(a.nodes, func(name string, _ Node) bool { return !up[name] && !busy[name] })
	}
}

// Peer finds the daemon that has a live on air, or had it until less than Linger
// ago. It is false for what is answered here: a live on air here, one that has
// been over for longer or was lost, one nobody knows.
//
// A Node without a URL is a live that cannot be served now and may be later: it
// is on a daemon that cannot be reached, or nobody can tell where. What was
// known when catalog and board last answered counts while they are away, so that
// the daemon may be down. Peer waits for some seconds at most.
func (s *Station) Peer(ctx context.Context, liveID string) (Node, bool) {
	if s.cfg.Nodes == nil || s.holds(liveID) {
		return Node{}, false
	}
	l, known := s.elsewhere.live(liveID)
	if !known {
		var err error
		l, err = s.stranger(ctx, liveID)
		switch {
		case errors.Is(err, ErrNotFound):
			return Node{}, false
		case err != nil:
			return Node{}, true
		case s.lingers(l):
			return s.elsewhere.node(l.Node)
		case !s.isElsewhere(l):
			return Node{}, false
		}
	}
	if n, known := s.elsewhere.node(l.Node); known {
		return n, true
	}
	n, err := s.nodes.get(ctx, l.Node)
	if err != nil {
		return Node{Name: l.Node}, true
	}
	return n, true
}

// Live reads a live. Those of this process are answered from memory; one on air
// elsewhere is as it was last known when the catalog does not answer. What else
// nobody is known to broadcast is asked for within bounds and remembered for a
// second, so that made-up ids cost the catalog little. The error is [ErrNotFound]
// or, mostly, [ErrAway].
func (s *Station) Live(ctx context.Context, id string) (Live, error) {
	if l, ok := s.own(id); ok {
		return l, nil
	}
	last, known := s.elsewhere.live(id)
	if !known {
		return s.stranger(ctx, id)
	}
	cctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	l, err := s.cfg.Lives.Live(cctx, id)
	switch {
	case err == nil:
		s.elsewhere.note(l, s.isElsewhere(l))
		return l, nil
	case errors.Is(err, ErrNotFound):
		s.elsewhere.note(last, false)
	case ctx.Err() == nil:
		return last, nil
	}
	return Live{}, fmt.Errorf("station: reading live %s: %w", id, err)
}

// OnAirElsewhere tells whether a live is on air on another daemon, as far as the
// catalog said when it last answered.
func (s *Station) OnAirElsewhere(id string) bool {
	_, known := s.elsewhere.live(id)
	return known
}

// ListLives lists lives as the catalog does; without it there is no list.
func (s *Station) ListLives(ctx context.Context, q LiveQuery) ([]Live, error) {
	return s.cfg.Lives.ListLives(ctx, q)
}

// own reads a live of this process.
func (s *Station) own(id string) (Live, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.here[id]
	if b == nil {
		return Live{}, false
	}
	l := b.live
	if b.end != nil {
		l.State, l.EndReason, l.EndedAt = b.end.State, b.end.Reason, b.end.At
		if b.isFinal() { // until then the figures are being filled in
			l.Stats = b.end.Stats
		}
	}
	return l, true
}

func (s *Station) isElsewhere(l Live) bool { return l.State == OnAir && l.Node != s.cfg.Node }

// lingers tells whether a live that is over can still be heard on its daemon.
func (s *Station) lingers(l Live) bool {
	return l.State == Ended && l.Node != s.cfg.Node && s.cfg.Now().Sub(l.EndedAt) < s.cfg.Linger
}

// stranger reads a live that is not known to be on air.
func (s *Station) stranger(ctx context.Context, id string) (Live, error) {
	if u, err := uuid.Parse(id); err != nil || u.String() != id {
		return Live{}, fmt.Errorf("station: live %.40q: %w", id, ErrNotFound)
	}
	l, err := s.strangers.get(ctx, id)
	if err != nil {
		return Live{}, fmt.Errorf("station: reading live %s: %w", id, err)
	}
	return l, nil
}

func (s *Station) findStranger(ctx context.Context, id string) (Live, error) {
	if !s.asking.AllowN(s.cfg.Now(), 1) {
		return Live{}, fmt.Errorf("more than %d questions a second about lives that are not on air: %w", askRate, ErrAway)
	}
	l, err := s.cfg.Lives.Live(ctx, id)
	if err == nil && s.isElsewhere(l) {
		s.elsewhere.note(l, true)
	}
	return l, err
}

// askRate bounds, per second, what is asked about lives that are not known to be
// on air; askBurst is how many at once. Lives that begin elsewhere, and those
// that are over, are far fewer.
const (
	askRate  = 200
	askBurst = 400
)
