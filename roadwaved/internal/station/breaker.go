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
	// gap is how long a board may only refuse until that is as good as away:
	// whoever was to be heard of was not. It must be asked more often.
	gap time.Duration

	mu        sync.Mutex
	away      bool
	downUntil time.Time
	upSince   time.Time // answers ever since; zero while it is away, and at first
	upLast    time.Time // the last answer
	refused   time.Time // when a refusal was last told of
}

const (
	// breakerPause is for how long nobody asks, and twice as long as the board
	// took to fail if that is more.
	breakerPause = time.Second
	// breakerGap is the least that [breaker.gap] is.
	breakerGap = 10 * time.Second
	// refusalPause is the time between two complaints about refusals.
	refusalPause = time.Minute
)

var errBoardAway = fmt.Errorf("the board did not answer a moment ago: %w", ErrAway)

// do asks. ErrAway and no answer in time mean that the board is away. Any other
// error that is not one of the contract's answers says something about this one
// question: who asks goes on to the next.
func (b *breaker) do(ctx context.Context, f func(ctx context.Context) error) error {
	if b.isDown() {
		return errBoardAway
	}
	bctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	begin := b.now()
	err := f(bctx)
	switch {
	case err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrCrowded) || errors.Is(err, ErrNotFound):
		b.up()
	case ctx.Err() != nil: // the caller's own end
	case later(err) || bctx.Err() != nil:
		b.down(err, max(breakerPause, 2*b.now().Sub(begin)))
	default:
		b.refusal(err)
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
	now := b.now()
	if b.upSince.IsZero() || now.Sub(b.upLast) > b.gap {
		b.upSince = now
	}
	b.upLast = now
	if b.away {
		b.log.Debug("the board answers again")
	}
	b.away = false
}

func (b *breaker) down(err error, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.away {
		b.log.Warn("the board does not answer: listeners listen on, they are counted when it is back", "err", err)
	}
	b.away, b.upSince, b.downUntil = true, time.Time{}, b.now().Add(pause)
}

func (b *breaker) refusal(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); b.refused.IsZero() || now.Sub(b.refused) >= refusalPause {
		b.refused = now
		b.log.Error("the board (Redis) refuses what it is asked: listeners may not be counted", "err", err)
	}
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
	now := b.now()
	return !b.upSince.IsZero() && now.Sub(b.upLast) <= b.gap && now.Sub(b.upSince) >= d
}
