package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config tunes a connection. Its zero value is useful.
type Config struct {
	// Poll is the time between two looks into an empty queue; retries that have
	// become due are looked for half as often. Default 500 ms.
	Poll time.Duration
	// RetryMin is the delay after a job's first failure; it doubles with every
	// further one. Default 5 s.
	RetryMin time.Duration
	// RetryMax is the longest such delay. Default 10 min.
	RetryMax time.Duration
	// HandlerTimeout is the longest a job may run. Default 12 h.
	HandlerTimeout time.Duration
	// Logger hears what asynq has to say. Default: nothing.
	Logger *slog.Logger
}

func (c *Config) fill() error {
	for _, f := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"Poll", &c.Poll, 500 * time.Millisecond},
		{"RetryMin", &c.RetryMin, 5 * time.Second},
		{"RetryMax", &c.RetryMax, 10 * time.Minute},
		{"HandlerTimeout", &c.HandlerTimeout, 12 * time.Hour},
	} {
		*f.value = cmp.Or(*f.value, f.def)
		if *f.value < time.Millisecond {
			return fmt.Errorf("redis: %s is %v, it must be 1 ms or more", f.name, *f.value)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// A Redis is a connection pool to one server.
type Redis struct {
	cfg     Config
	connect func() goredis.UniversalClient
	client  goredis.UniversalClient
	server  *embedded // nil when the server is elsewhere
	touches *touches

	mu      sync.Mutex
	closed  chan struct{}  // closed by Close
	working sync.WaitGroup // what needs the server until it has ended
}

func newRedis(cfg Config, opt *goredis.Options, server *embedded) *Redis {
	// It would print to stderr, past the daemon's log, what the calls return anyway.
	logging.Disable()
	opt.ContextTimeoutEnabled = true // a caller's deadline counts more than the default timeouts
	opt.DialTimeout = 2 * time.Second
	opt.DialerRetries = 1 // commands are retried, that is enough
	opt.PipelinePoolSize = -1
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	connect := func() goredis.UniversalClient { return goredis.NewClient(opt) }
	r := &Redis{cfg: cfg, connect: connect, client: connect(), server: server, closed: make(chan struct{})}
	r.touches = newTouches(r)
	return r
}

// Dial connects to the server a URL names: redis://[user:password@]host:port/db,
// rediss:// for TLS, or unix:///path. It does not wait for the server: ask
// [Redis.Ping] whether it answers.
func Dial(rawURL string, cfg Config) (*Redis, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	opt, err := goredis.ParseURL(rawURL)
	if err != nil {
		if broken := (*url.Error)(nil); errors.As(err, &broken) {
			err = broken.Err // the rest of it is the URL, with the password in it
		}
		return nil, fmt.Errorf("redis: the URL is not understood (want redis://host:port): %w", err)
	}
	return newRedis(cfg, opt, nil), nil
}

// Embedded starts a server in this process, reached through pipes in memory: no
// port is opened. What it holds ends with it.
func Embedded(cfg Config) (*Redis, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	server := startEmbedded()
	return newRedis(cfg, &goredis.Options{Addr: "embedded", Dialer: server.dial}, server), nil
}

// Ping tells whether the server answers.
func (r *Redis) Ping(ctx context.Context) error {
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: %w", away(err))
	}
	return nil
}

// Close ends what works on the queue, waits for it, and ends the connections and
// the server if it is embedded. To close again does nothing.
func (r *Redis) Close() error {
	r.mu.Lock()
	select {
	case <-r.closed:
		r.mu.Unlock()
		return nil
	default:
		close(r.closed)
	}
	r.mu.Unlock()
	r.working.Wait()
	err := r.client.Close()
	if r.server != nil {
		r.server.stop()
	}
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// begin joins what Close waits for, until done is called.
func (r *Redis) begin() (done func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
		return nil, errors.New("redis: closed")
	default:
		r.working.Add(1)
		return r.working.Done, nil
	}
}

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
