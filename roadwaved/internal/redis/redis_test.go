package redis

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick keeps the tests short.
var quick = Config{Poll: 10 * time.Millisecond, RetryMin: 50 * time.Millisecond, RetryMax: 200 * time.Millisecond}

// onEach runs a test on both kinds of server.
func onEach(t *testing.T, test func(t *testing.T, open func(t *testing.T) *Redis)) {
	t.Run("embedded", func(t *testing.T) {
		test(t, func(t *testing.T) *Redis {
			r, err := Embedded(quick)
			return ready(t, r, err)
		})
	})
	t.Run("server", func(t *testing.T) {
		server := redistest.Start(t)
		test(t, func(t *testing.T) *Redis {
			r, err := Dial(server.URL, quick)
			if err == nil {
				err = r.client.FlushAll(t.Context()).Err()
			}
			return ready(t, r, err)
		})
	})
}

func ready(t *testing.T, r *Redis, err error) *Redis {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBoard(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		stationtest.TestBoard(t, func(t *testing.T) station.Board { return open(t).Board() }, time.Sleep)
	})
}

func TestQueue(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		stationtest.TestQueue(t, func(t *testing.T) station.Queue { return open(t).Queue() })
	})
}

func TestDialRefuses(t *testing.T) {
	for _, bad := range []string{"", "localhost:6379", "http://localhost", "redis://:secret@host:port/0", "redis://host/x", "redis://u:secret@h:1/%zz"} {
		_, err := Dial(bad, Config{})
		if err == nil {
			t.Errorf("%q: accepted", bad)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	for name, cfg := range map[string]Config{
		"poll":    {Poll: -1},
		"retry":   {RetryMin: time.Microsecond},
		"timeout": {HandlerTimeout: -time.Hour},
	} {
		if _, err := Dial("redis://localhost", cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := Embedded(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The embedded server lets keys expire, by the real clock.
func TestEmbeddedExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Embedded(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.client.Set(t.Context(), "key", "value", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if n := r.client.Exists(t.Context(), "key").Val(); n != 1 {
			t.Error("the key expired early")
		}
		time.Sleep(2 * time.Second)
		if n := r.client.Exists(t.Context(), "key").Val(); n != 0 {
			t.Error("the key outlived its time")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
