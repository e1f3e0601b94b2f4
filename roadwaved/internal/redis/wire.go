package redis

import (
	"context"
	"fmt"

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
)

// Send implements [station.Wire]. A message has 64 KiB at most.
func (w *Wire) Send(ctx context.Context, message []byte) error {
	if len(message) > maxMessage {
		return fmt.Errorf("redis: a message of %d bytes is too long for the wire, %d is the most", len(message), maxMessage)
	}
	if err := w.redis.client.Publish(ctx, wireChannel, message).Err(); err != nil {
		return fmt.Errorf("redis: sending on the wire: %w", away(err))
	}
	return nil
}

// Receive implements [station.Wire]. go-redis asks every three seconds whether
// the server is there and connects again when it is not. Messages wait for f, but
// not for ever: those that come more than a minute before it has time are lost.
func (w *Wire) Receive(ctx context.Context, f func(message []byte)) error {
	done, err := w.redis.begin()
	if err != nil {
		return err
	}
	defer done()
	if ctx.Err() != nil {
		return nil
	}
	subscription := w.redis.client.Subscribe(ctx, wireChannel)
	defer subscription.Close()
	messages := subscription.Channel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.redis.closed:
			return nil
		case m, ok := <-messages:
			switch {
			case !ok:
				return nil
			case ctx.Err() != nil:
				return nil // both were ready
			case len(m.Payload) > maxMessage:
				w.redis.cfg.Logger.Warn("redis: somebody else's message is on the wire, it is too long", "bytes", len(m.Payload))
			default:
				f([]byte(m.Payload))
			}
		}
	}
}
