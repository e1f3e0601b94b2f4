package station

import (
	"context"
	"time"
)

// lookAfter is how often a daemon looks whether its lives are still on air for
// the others.
const lookAfter = time.Minute

// findLost finds the lives on air here that are over in the catalog: neither board
// nor catalog heard of this daemon for so long that another one took it to be dead.
// What they say from then on is on no list and in no count.
func (s *Station) findLost(ctx context.Context) {
	running, _ := s.split()
	if len(running) == 0 {
		return
	}
	onAir := make(map[string]bool, len(running))
	err := s.eachLive(ctx, LiveQuery{State: OnAir, Node: s.cfg.Node}, func(l Live) error {
		onAir[l.ID] = true
		return nil
	})
	if err != nil {
		return // nobody can close a live without the catalog either
	}
	for _, id := range running {
		if onAir[id] {
			continue
		}
		cctx, cancel := context.WithTimeout(ctx, catalogPatience)
		l, err := s.cfg.Lives.Live(cctx, id)
		cancel()
		if err != nil || l.State == OnAir { // it began just now
			continue
		}
		if mine, ok := s.own(id); !ok || mine.State != OnAir { // it ended here meanwhile
			continue
		}
		s.cfg.Logger.Error("another daemon believed this one to be dead and closed a live that runs here: ending it. Look at its connections to Redis and PostgreSQL",
			"live_id", id, "state", l.State, "reason", l.EndReason, "ended_at", l.EndedAt)
		s.cfg.OnLost(id)
	}
}
