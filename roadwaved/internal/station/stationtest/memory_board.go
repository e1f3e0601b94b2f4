package stationtest

import (
	"context"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Board = (*Board)(nil)

// A Board is a [station.Board] in memory. Its zero value is empty and ready.
type Board struct {
	mu    sync.Mutex
	slots map[string]time.Time // the end of each lease
}

// Acquire implements [station.Board].
func (b *Board) Acquire(ctx context.Context, liveID string, limit int, lease time.Duration) error {
	return b.do(ctx, func() error {
		if _, has := b.slots[liveID]; !has && len(b.slots) >= limit {
			return station.ErrFull
		}
		b.slots[liveID] = time.Now().Add(lease)
		return nil
	})
}

// Renew implements [station.Board].
func (b *Board) Renew(ctx context.Context, lease time.Duration, liveIDs ...string) error {
	return b.do(ctx, func() error {
		for _, id := range liveIDs {
			b.slots[id] = time.Now().Add(lease)
		}
		return nil
	})
}

// Release implements [station.Board].
func (b *Board) Release(ctx context.Context, liveID string) error {
	return b.do(ctx, func() error {
		delete(b.slots, liveID)
		return nil
	})
}

// Count implements [station.Board].
func (b *Board) Count(ctx context.Context) (n int, err error) {
	err = b.do(ctx, func() error {
		n = len(b.slots)
		return nil
	})
	return n, err
}

// do runs f on the slots whose lease has not ended.
func (b *Board) do(ctx context.Context, f func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.slots == nil {
		b.slots = make(map[string]time.Time)
	}
	for id, end := range b.slots {
		if !end.After(time.Now()) {
			delete(b.slots, id)
		}
	}
	return f()
}
