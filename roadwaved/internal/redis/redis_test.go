package redis

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
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
			r = ready(t, r, err)
			flush(t, r)
			return r
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

// TestContracts holds all that is here to the laws of station.
func TestContracts(t *testing.T) { onEach(t, every) }

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
