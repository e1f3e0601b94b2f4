package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	// gather is how long a heartbeat waits for others to go with. A script costs the
	// embedded server 0.2 ms however short it is, and a real one a round trip.
	gather = 10 * time.Millisecond
	// touchPatience is how long the heartbeats that go together wait for Redis.
	touchPatience = 5 * time.Second
)

// touches sends the heartbeats of a live together. While some are on their way
// the next ones gather: a server that is slow is not asked more often.
type touches struct {
	redis *Redis

	mu    sync.Mutex
	lives map[string]*gathering // those with heartbeats that gather or are on their way
}

type gathering struct {
	waiting []*touch
}

// A touch is one heartbeat.
type touch struct {
	station.Visit
	perOrigin int
	done      chan struct{} // closed when err is set
	err       error
}

func newTouches(r *Redis) *touches {
	return &touches{redis: r, lives: make(map[string]*gathering)}
}

// touch waits until the heartbeat was noted. It may be even if ctx ends first.
func (ts *touches) touch(ctx context.Context, v station.Visit, perOrigin int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &touch{Visit: v, perOrigin: perOrigin, done: make(chan struct{})}
	if err := ts.add(t); err != nil {
		return err
	}
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (ts *touches) add(t *touch) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if g := ts.lives[t.LiveID]; g != nil {
		g.waiting = append(g.waiting, t)
		return nil
	}
	done, err := ts.redis.begin()
	if err != nil {
		return err
	}
	ts.lives[t.LiveID] = &gathering{waiting: []*touch{t}}
	time.AfterFunc(gather, func() {
		defer done()
		ts.send(t.LiveID)
	})
	return nil
}

// send sends what has gathered, again and again until there is nothing.
func (ts *touches) send(liveID string) {
	for {
		ts.mu.Lock()
		g := ts.lives[liveID]
		waiting := g.waiting
		g.waiting = nil
		if len(waiting) == 0 {
			delete(ts.lives, liveID)
		}
		ts.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		var err error
		for some := range slices.Chunk(waiting, chunk) {
			if err == nil { // a server that is away for some is away for all
				err = ts.run(liveID, some)
			}
			for _, t := range some {
				t.err = cmp.Or(err, t.err)
				close(t.done)
			}
		}
		time.Sleep(gather)
	}
}

// run sends some heartbeats and sets what came of each.
func (ts *touches) run(liveID string, some []*touch) error {
	ctx, cancel := context.WithTimeout(context.Background(), touchPatience)
	defer cancel()
	args := make([]any, 0, 1+4*len(some))
	args = append(args, memory)
	for _, t := range some {
		args = append(args, t.ID, packVisit(t.Visit), t.Origin, t.perOrigin)
	}
	answers, err := touchScript.Run(ctx, ts.redis.client, audienceKeys(liveID), args...).Int64Slice()
	if err != nil {
		return err
	}
	if len(answers) != len(some) {
		return fmt.Errorf("%d answers to %d heartbeats", len(answers), len(some))
	}
	for i, t := range some {
		switch answers[i] {
		case audienceGone:
			t.err = station.ErrGone
		case audienceCrowded:
			t.err = station.ErrCrowded
		}
	}
	return nil
}
