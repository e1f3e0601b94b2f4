package api

import (
	"context"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// vigilPatience is how long the catalog is waited for.
const vigilPatience = 5 * time.Second

// vigils find out about lives that are over where the message that said so did
// not come through: they ask the catalog, once for all who follow a live.
type vigils struct {
	mu    sync.Mutex
	lives map[string]*vigil
}

// A vigil is kept over one live while somebody follows it.
type vigil struct {
	readers int
	over    chan struct{} // closed once the live is known to be over
	end     station.Live  // as it is then

	asking sync.Mutex
	asked  time.Time
}

// join keeps a vigil over a live that was on air just now, until leave is called.
func (v *vigils) join(liveID string) (one *vigil, leave func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lives == nil {
		v.lives = make(map[string]*vigil)
	}
	one = v.lives[liveID]
	if one == nil {
		one = &vigil{over: make(chan struct{}), asked: time.Now()}
		v.lives[liveID] = one
	}
	one.readers++
	return one, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if one.readers--; one.readers == 0 {
			delete(v.lives, liveID)
		}
	}
}

// look asks the catalog, unless somebody else does or did within pause. A catalog
// that does not answer is no reason to believe anything.
func (v *vigil) look(ctx context.Context, lives Lives, liveID string, pause time.Duration) {
	if !v.asking.TryLock() {
		return
	}
	defer v.asking.Unlock()
	if time.Since(v.asked) < pause {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, vigilPatience)
	defer cancel()
	l, err := lives.Live(ctx, liveID)
	v.asked = time.Now()
	if err != nil || l.State == station.OnAir {
		return
	}
	select {
	case <-v.over:
	default:
		v.end = l
		close(v.over)
	}
}
