package station

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A breaker stands before the board. When it failed to answer, nobody asks for a
// moment: a thousand requests must not each wait for what is away.
type breaker struct {
	now func() time.Time
	log *slog.Logger

	mu        sync.Mutex
	away      bool
	downUntil time.Time
	upSince   time.Time // answers ever since; zero while it is away, and at first
}

// breakerPause is for how long nobody asks.
const breakerPause = time.Second

var errBoardAway = fmt.Errorf("the board did not answer a moment ago: %w", ErrAway)

// do asks. An error that is not one of the contract's answers, and not the
// caller's own end, means that the board is away.
func (b *breaker) do(ctx context.Context, f func(ctx context.Context) error) error {
	if b.isDown() {
		return errBoardAway
	}
	bctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	err := f(bctx)
	switch {
	case err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrCrowded) || errors.Is(err, ErrNotFound):
		b.up()
	case ctx.Err() == nil:
		b.down(err)
	}
	return err
}

func (b *breaker) isDown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now().Before(b.downUntil)
}

func (b *breaker) up() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.upSince.IsZero() {
		b.upSince = b.now()
	}
	if b.away {
		b.log.Info("the board answers again")
	}
	b.away = false
}

func (b *breaker) down(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.away {
		b.log.Warn("the board does not answer: listeners listen on, they are counted when it is back", "err", err)
	}
	b.away, b.upSince, b.downUntil = true, time.Time{}, b.now().Add(breakerPause)
}

// doubt makes it as if the board had been away until now.
func (b *breaker) doubt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.upSince.IsZero() {
		b.upSince = b.now()
	}
}

// upFor tells whether the board has answered for that long.
func (b *breaker) upFor(d time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.upSince.IsZero() && b.now().Sub(b.upSince) >= d
}
