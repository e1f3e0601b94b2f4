package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Wire = (*Wire)(nil)

// A Wire is a [station.Wire] on the publications of Redis.
type Wire struct {
	redis *Redis
}

// Wire gives the wire on this server.
func (r *Redis) Wire() *Wire { return &Wire{redis: r} }

const (
	wireChannel = "roadwave:wire"
	// maxMessage is the most bytes that a message may have.
	maxMessage = 64 << 10

	// wireQuiet is how long the wire may be quiet before the server is asked
	// whether it is there; after as long again it is not.
	wireQuiet = 5 * time.Second
	// The delay before the server is looked for again doubles, within these.
	wireRetryMin = 100 * time.Millisecond
	wireRetryMax = 5 * time.Second
)

// On a cluster a plain PUBLISH goes to any server, and what two of them pass on
// comes in any order; a script goes to the one that has its key.
var sendScript = goredis.NewScript(`return redis.call('PUBLISH', KEYS[1], ARGV[1])`)

// Send implements [station.Wire]. A message has 64 KiB at most.
func (w *Wire) Send(ctx context.Context, message []byte) error {
	if len(message) > maxMessage {
		return fmt.Errorf("redis: a message of %d bytes is too long for the wire, %d is the most", len(message), maxMessage)
	}
	if err := sendScript.Run(ctx, w.redis.client, []string{wireChannel}, message).Err(); err != nil {
		return fmt.Errorf("redis: sending on the wire: %w", away(err))
	}
	return nil
}

// Receive implements [station.Wire]. It also ends when Redis is closed.
func (w *Wire) Receive(ctx context.Context, f func(message []byte)) error {
	done, err := w.redis.begin()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := w.redis.until(ctx)
	defer cancel()
	delay, told := wireRetryMin, false
	for ctx.Err() == nil {
		heard, err := w.listen(ctx, f)
		if ctx.Err() != nil {
			break
		}
		if heard {
			delay, told = wireRetryMin, false
		}
		if !told { // once per outage
			w.redis.cfg.Logger.Warn("events of other daemons do not come through, connecting again", "err", away(err))
			told = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, wireRetryMax)
	}
	return nil
}

// listen receives until the connection breaks or ctx ends, and tells whether there
// was a connection.
func (w *Wire) listen(ctx context.Context, f func(message []byte)) (heard bool, err error) {
	subscription := w.redis.client.Subscribe(ctx, wireChannel)
	defer subscription.Close()
	// A read that waits hears nothing of ctx.
	defer context.AfterFunc(ctx, func() { subscription.Close() })()
	asked := false
	for {
		received, err := subscription.ReceiveTimeout(ctx, wireQuiet)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return heard, ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			if err := subscription.Ping(ctx); err != nil {
				return heard, err
			}
			asked = true
			continue
		case err != nil:
			return heard, err
		}
		heard, asked = true, false
		m, ok := received.(*goredis.Message)
		switch {
		case !ok: // an answer to the subscription or to the ping
		case len(m.Payload) > maxMessage:
			w.redis.cfg.Logger.Warn("somebody else's message is among the events of other daemons: is another program on the same Redis?", "bytes", len(m.Payload))
		default:
			f([]byte(m.Payload))
		}
	}
}
