package station

import (
	"context"
	"fmt"
)

// MessageBusy is what a creator reads who has too many lives on air already.
const MessageBusy = "Vous avez déjà trop de lives en cours. Terminez-en un avant d'en commencer un autre"

// limited tells whether a creator may have only so many lives.
func (s *Station) limited(creatorID string) bool {
	return s.cfg.MaxLivesPerCreator > 0 && creatorID != AnonymousCreator
}

// livesOf counts the lives of a creator on air on other daemons. Who goes on air
// on several of them in the same moment may have one more on each.
func (s *Station) livesOf(ctx context.Context, creatorID string) (n int, err error) {
	if !s.limited(creatorID) {
		return 0, nil
	}
	lives, err := s.cfg.Lives.ListLives(ctx, LiveQuery{State: OnAir, CreatorID: creatorID, Limit: MaxPage})
	if err != nil {
		return 0, fmt.Errorf("station: counting the lives of a creator: %w", err)
	}
	for _, l := range lives {
		if l.Node != s.cfg.Node { // our own are counted here
			n++
		}
	}
	return n, nil
}

// admissible tells whether one more live fits, with that many of its creator on
// air elsewhere. The caller holds the lock.
func (s *Station) admissible(l Live, elsewhere int) error {
	all, same := 0, elsewhere
	for _, b := range s.here {
		if b.end != nil {
			continue
		}
		all++
		if b.live.CreatorID == l.CreatorID {
			same++
		}
	}
	switch {
	case all >= s.cfg.MaxLives:
		return s.full()
	case s.limited(l.CreatorID) && same >= s.cfg.MaxLivesPerCreator:
		return fmt.Errorf("station: the creator has %d lives on air: %w", same, ErrBusy)
	}
	return nil
}

func (s *Station) full() error {
	return fmt.Errorf("station: %d lives on air: %w", s.cfg.MaxLives, ErrFull)
}
