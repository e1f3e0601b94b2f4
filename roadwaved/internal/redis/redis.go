package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
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

func newRedis(cfg Config, connect func() goredis.UniversalClient, server *embedded) *Redis {
	// It would print to stderr, past the daemon's log, what the calls return anyway.
	logging.Disable()
	r := &Redis{cfg: cfg, connect: connect, client: connect(), server: server, closed: make(chan struct{})}
	r.client.AddHook(witness{})
	r.touches = newTouches(r)
	return r
}

// Dial connects to the server a URL names. It does not wait for the server: ask
// [Redis.Ping] whether it answers.
//
//	redis://user:password@host:port/db                         one server; rediss:// with TLS
//	unix:///path?db=0                                          one server on this machine
//	redis+cluster://user:password@host:port?addr=host2:port2   a cluster; rediss+cluster:// with TLS
//	redis+sentinel://host:port/db?master_name=name&addr=host2:port2&username=user&password=password
//
// In the last one the hosts are sentinels, as would be a user and a password
// before the host; those in the query are for the servers they watch. Further
// parameters are those of go-redis, such as pool_size or read_timeout.
//
// With TLS the authorities are the system's and those in SSL_CERT_FILE, and all
// servers must have a certificate for the host in the URL. Of a user's rights those in
// roadwaved/deploy/redis/roadwave.acl are enough.
func Dial(rawURL string, cfg Config) (*Redis, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	connect, err := connector(rawURL)
	if err != nil {
		return nil, err
	}
	return newRedis(cfg, connect, nil), nil
}

// Embedded starts a server in this process, reached through pipes in memory: no
// port is opened. What it holds ends with it.
func Embedded(cfg Config) (*Redis, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	server := startEmbedded()
	return newRedis(cfg, serverConnector(&goredis.Options{Addr: "embedded", Dialer: server.dial}), server), nil
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

// until gives a context that also ends with Close.
func (r *Redis) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-r.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
