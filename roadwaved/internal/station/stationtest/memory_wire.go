package stationtest

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Wire = (*Wire)(nil)

// A Wire is a [station.Wire] in memory. Its zero value is ready.
type Wire struct {
	mu        sync.Mutex
	receivers map[*receiver]bool
}

type receiver struct {
	inbox [][]byte
	wake  chan struct{} // holds one when there is something in the inbox
}

// maxMessage is the most bytes that a message may have.
const maxMessage = 64 << 10

// Send implements [station.Wire].
func (w *Wire) Send(ctx context.Context, message []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(message) > maxMessage {
		return fmt.Errorf("a message of %d bytes is too long, %d is the most", len(message), maxMessage)
	}
	for r := range w.receivers {
		r.inbox = append(r.inbox, bytes.Clone(message))
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// Receive implements [station.Wire].
func (w *Wire) Receive(ctx context.Context, f func(message []byte)) error {
	r := &receiver{wake: make(chan struct{}, 1)}
	w.mu.Lock()
	if w.receivers == nil {
		w.receivers = make(map[*receiver]bool)
	}
	w.receivers[r] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.receivers, r)
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		w.mu.Lock()
		messages := r.inbox
		r.inbox = nil
		w.mu.Unlock()
		for _, m := range messages {
			if ctx.Err() != nil {
				return nil
			}
			f(m)
		}
	}
}
