package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A worker runs the handlers of one Work.
type worker struct {
	ctx     context.Context // of Work: its end stops the handlers
	cfg     Config
	handle  func(ctx context.Context, liveID string) error
	slots   chan struct{}  // asynq gives up its own when a lease ends, with the handler still at work
	running sync.WaitGroup // likewise
}

func newWorker(ctx context.Context, n int, cfg Config, handle func(context.Context, string) error) *worker {
	return &worker{ctx: ctx, cfg: cfg, handle: handle, slots: make(chan struct{}, n)}
}

// process is asynq's handler. The context it is given ends with the lease of the
// task and is not passed on.
func (w *worker) process(_ context.Context, t *asynq.Task) error {
	w.running.Add(1)
	defer w.running.Done()
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
	if err := w.ctx.Err(); err != nil {
		return err // both were ready
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.cfg.HandlerTimeout)
	defer cancel()
	return w.handle(ctx, string(t.Payload()))
}

// failed tells whether an error counts, and makes the next delay longer.
func (w *worker) failed(err error) bool {
	return !interrupted(w.ctx, err)
}

// delay is the time until a job is delivered again: none when its worker was
// stopped or died, otherwise doubling from RetryMin to RetryMax. A fifth is left
// to chance so that jobs that failed together do not come back together.
func (w *worker) delay(failures int, err error, _ *asynq.Task) time.Duration {
	if interrupted(w.ctx, err) {
		return 0
	}
	d := w.cfg.RetryMin
	for range failures {
		if d >= w.cfg.RetryMax {
			break
		}
		d *= 2
	}
	d = min(d, w.cfg.RetryMax)
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}

func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, asynq.ErrLeaseExpired)
}

// calm makes a command that fails take some time: asynq asks for the next task
// again at once, which would burn a core for as long as Redis refuses.
type calm struct {
	pause time.Duration
	stop  <-chan struct{}
}

func (c calm) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if err != nil && !errors.Is(err, goredis.Nil) && !goredis.HasErrorPrefix(err, "NOSCRIPT") {
			select {
			case <-time.After(c.pause):
			case <-c.stop:
			}
		}
		return err
	}
}

func (c calm) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (c calm) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// asynqLog passes on what asynq logs, its chatter as debug. While Redis is away
// it complains several times per second: of each complaint one per minute is
// enough.
type asynqLog struct {
	*slog.Logger
	mu   sync.Mutex
	said map[string]time.Time // by how a complaint begins
}

const (
	complaintInterval = time.Minute
	maxComplaints     = 100 // that are told apart
)

func (l *asynqLog) Debug(args ...any) { l.Logger.Debug("asynq: " + fmt.Sprint(args...)) }
func (l *asynqLog) Info(args ...any)  { l.Debug(args...) }
func (l *asynqLog) Warn(args ...any)  { l.complain(slog.LevelWarn, fmt.Sprint(args...)) }
func (l *asynqLog) Error(args ...any) { l.complain(slog.LevelError, fmt.Sprint(args...)) }

// Fatal is not for a library to act upon: it is one more error.
func (l *asynqLog) Fatal(args ...any) { l.Error(args...) }

func (l *asynqLog) complain(level slog.Level, text string) {
	what, _, _ := strings.Cut(text, ":")
	l.mu.Lock()
	if len(l.said) >= maxComplaints || l.said == nil {
		l.said = make(map[string]time.Time)
	}
	if last := l.said[what]; time.Since(last) < complaintInterval {
		level = slog.LevelDebug
	} else {
		l.said[what] = time.Now()
	}
	l.mu.Unlock()
	// What it could not do it could not do in Redis, which it will try again.
	l.Log(context.Background(), level, "the queue does not work as it should", "err", fmt.Errorf("%w: asynq: %s", station.ErrAway, text))
}
