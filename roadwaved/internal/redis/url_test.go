package redis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestDialRefuses(t *testing.T) {
	for _, bad := range []string{
		"", "localhost:6379", "http://localhost", "redis://:secret@host:port/0", "redis://host/x", "redis://u:secret@h:1/%zz",
		"redis+ring://u:secret@host", "redis+cluster://u:secret@host/1", "redis+cluster://:secret@host:port", "redis+cluster://host?addr=secret",
		"unix+cluster:///redis.sock", "redis+sentinel://u:secret@host", "redis+sentinel://host?password=secret%zz&master_name=",
		"redis+sentinel://host?master_name=m&replica_only=true&password=secret", "redis+sentinel://host?master_name=m&bogus=1&password=secret",
	} {
		_, err := Dial(bad, Config{})
		if err == nil {
			t.Errorf("%q: accepted", bad)
		} else if strings.Contains(err.Error(), "secret") && !strings.Contains(bad, "addr=") {
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

func TestDialUnderstands(t *testing.T) {
	for _, url := range []string{
		"redis://localhost", "rediss://user:secret@localhost:6380/2?pool_size=3", "unix:///run/redis.sock?db=1",
		"redis+cluster://localhost:7000?addr=localhost:7001&addr=localhost:7002", "rediss+cluster://user:secret@localhost/0",
		"redis+sentinel://localhost:26379/1?master_name=house&addr=localhost:26380&password=secret", "rediss+sentinel://localhost?master_name=house",
		"rediss+cluster://roadwave:secret@localhost:7000?addr=localhost:7001", "rediss+sentinel://watcher:secret@localhost?master_name=house&username=roadwave&password=secret",
	} {
		r, err := Dial(url, Config{})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// every runs all contracts on one kind of server.
func every(t *testing.T, open func(t *testing.T) *Redis) { contracts(t, open, flush) }

// contracts is every where what is open may not forget everything itself.
func contracts(t *testing.T, open func(t *testing.T) *Redis, forget func(t *testing.T, r *Redis)) {
	t.Run("board", func(t *testing.T) {
		stationtest.TestBoard(t, func(t *testing.T) station.Board { return open(t).Board() }, time.Sleep)
	})
	t.Run("queue", func(t *testing.T) {
		stationtest.TestQueue(t, func(t *testing.T) station.Queue { return open(t).Queue() })
	})
	t.Run("attendance", func(t *testing.T) {
		stationtest.TestAttendance(t, func(t *testing.T) stationtest.AttendanceBoard {
			r := open(t)
			return stationtest.AttendanceBoard{Attendance: r.Attendance(), Forget: func() { forget(t, r) }}
		}, time.Sleep)
	})
	t.Run("nodes", func(t *testing.T) {
		stationtest.TestNodes(t, func(t *testing.T) station.Nodes { return open(t).Nodes() }, time.Sleep)
	})
	t.Run("wire", func(t *testing.T) {
		stationtest.TestWire(t, func(t *testing.T) station.Wire { return open(t).Wire() })
	})
}

func TestCluster(t *testing.T) {
	t.Parallel()
	url, servers := redistest.StartCluster(t)
	every(t, func(t *testing.T) *Redis {
		r, err := Dial(url, quick)
		r = ready(t, r, err)
		flush(t, r)
		return r
	})
	t.Run("a part is away", func(t *testing.T) {
		r, err := Dial(url, quick)
		r = ready(t, r, err)
		servers[2].Kill()
		for i := range 100 { // some of these lives are on it
			if _, _, err = r.Attendance().Count(t.Context(), strings.Repeat("x", i+1)); err != nil {
				break
			}
		}
		if !errors.Is(err, station.ErrAway) {
			t.Errorf("a cluster without a third of it: %v", err)
		}
	})
}

// The master dies, the replica takes over, and the same connections go on.
func TestSentinel(t *testing.T) {
	t.Parallel()
	watched := redistest.StartWatched(t)
	r, err := Dial(watched.URL, quick)
	r = ready(t, r, err)
	ctx := t.Context()
	if err := r.Board().Acquire(ctx, "live", 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := r.client.Do(ctx, "WAIT", 1, patience.Milliseconds()).Err(); err != nil { // until the replica has it
		t.Fatal(err)
	}
	delivered, _ := work(t, r.Queue(), nothing)
	enqueue(t, r.Queue(), "before")
	expect(t, delivered, "before")

	watched.Master.Kill()
	deadline := time.Now().Add(patience)
	for {
		err := r.Board().Acquire(ctx, "another", 1, time.Hour)
		if errors.Is(err, station.ErrFull) {
			break // the replica knows that the live has its slot
		}
		if !errors.Is(err, station.ErrAway) {
			t.Fatalf("while nobody is master: %v", err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("the replica did not take over: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	enqueue(t, r.Queue(), "after")
	expect(t, delivered, "after")
}

func flush(t *testing.T, r *Redis) {
	t.Helper()
	err := r.client.FlushAll(t.Context()).Err()
	if cluster, ok := r.client.(*goredis.ClusterClient); ok {
		err = cluster.ForEachMaster(t.Context(), func(ctx context.Context, c *goredis.Client) error { return c.FlushAll(ctx).Err() })
	}
	if err != nil {
		t.Fatal(err)
	}
}
