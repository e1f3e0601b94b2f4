package redis

import (
	"context"
	"net"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// An embedded server is miniredis with a clock: by itself it never lets a key
// expire.
type embedded struct {
	*miniredis.Miniredis
	stop func()
}

const embeddedTick = 100 * time.Millisecond

func startEmbedded() *embedded {
	s := &embedded{Miniredis: miniredis.NewMiniRedis()}
	done, ticking := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ticking)
		t := time.NewTicker(embeddedTick)
		defer t.Stop()
		last := time.Now()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				now := time.Now()
				s.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	s.stop = func() {
		close(done)
		<-ticking
		s.Close()
	}
	return s
}

func (s *embedded) dial(context.Context, string, string) (net.Conn, error) { return s.Dial() }
