package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// work runs Work in the background of a test; every delivery is sent on the
// channel. stop may be called before the test ends.
func work(t *testing.T, q *Queue, handle func(ctx context.Context, id string) error) (delivered chan string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	delivered = make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		done <- q.Work(ctx, 2, func(ctx context.Context, id string) error {
			delivered <- id
			return handle(ctx, id)
		})
	}()
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error("Work:", err)
			}
		case <-time.After(patience):
			t.Error("Work did not return")
		}
	}
	t.Cleanup(stop)
	return delivered, stop
}

func expect(t *testing.T, delivered chan string, want string) {
	t.Helper()
	select {
	case got := <-delivered:
		if got != want {
			t.Errorf("got job %s, want %s", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("job %s did not come", want)
	}
}

// enqueue tries until the server answers: after an outage go-redis itself looks
// for it only once a second.
func enqueue(t *testing.T, q *Queue, id string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := q.Enqueue(t.Context(), id, station.PriorityNormal)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// soon tries until it works: after an outage go-redis itself looks for the server
// only once a second.
func soon(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := try(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func nothing(context.Context, string) error { return nil }

// An archived task would keep its id for 90 days, and its live from ever getting
// a replay.
func TestArchivedTaskRunsAgain(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		r := open(t)
		q := r.Queue()
		enqueue(t, q, "a")
		if err := asynq.NewInspectorFromRedisClient(r.client).ArchiveTask(queueNames[station.PriorityNormal], "a"); err != nil {
			t.Fatal(err)
		}
		enqueue(t, q, "a")
		delivered, _ := work(t, q, nothing)
		expect(t, delivered, "a")
	})
}

func TestDelays(t *testing.T) {
	cfg := Config{RetryMin: time.Second, RetryMax: 10 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorker(ctx, 1, cfg, nothing)
	failure := errors.New("ffmpeg failed")
	for failures, want := range map[int]time.Duration{
		0: time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 3: 8 * time.Second, 4: 10 * time.Second, 1 << 30: 10 * time.Second,
	} {
		for range 100 {
			if d := w.delay(failures, failure, nil); d > want || d < want-want/5 {
				t.Errorf("after %d failures the delay is %v, want %v or up to a fifth less", failures, d, want)
			}
		}
	}
	if !w.failed(failure) || w.failed(asynq.ErrLeaseExpired) || w.delay(5, asynq.ErrLeaseExpired, nil) != 0 {
		t.Error("a worker that died is no failure of the job")
	}
	cancel()
	if w.failed(context.Canceled) || w.delay(5, context.Canceled, nil) != 0 {
		t.Error("a worker that was stopped is no failure of the job")
	}
}

func TestHandlerTimeout(t *testing.T) {
	cfg := quick
	cfg.HandlerTimeout = 20 * time.Millisecond
	r, err := Embedded(cfg)
	q := ready(t, r, err).Queue()
	enqueue(t, q, "a")
	ended := make(chan error, 100)
	work(t, q, func(ctx context.Context, _ string) error {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil
	})
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error("the handler ended by", err)
		}
	case <-time.After(patience):
		t.Error("the handler was left to run")
	}
}

// workerEnv makes the test binary the victim of TestDeadWorker: it holds the URL
// of the server.
const workerEnv = "ROADWAVE_TEST_REDIS_VICTIM"

// TestVictim is not a test: it takes jobs and never ends them.
func TestVictim(t *testing.T) {
	url := os.Getenv(workerEnv)
	if url == "" {
		t.Skip("only runs for TestDeadWorker")
	}
	r, err := Dial(url, quick)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Queue().Work(context.Background(), 1, func(_ context.Context, id string) error {
		fmt.Println("took", id)
		select {}
	})
	t.Fatal(err)
}

// killVictim has a process take a job, and kills it.
func killVictim(t *testing.T, url, id string) (died time.Time) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), workerEnv+"="+url)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "took "+id) {
			died = time.Now()
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if died.IsZero() {
		t.Fatal("the victim ended by itself")
	}
	return died
}

// A worker is killed at work. Its lease in Redis, which asynq would wait for,
// is ended by hand.
func TestDeadWorker(t *testing.T) {
	server := redistest.Start(t)
	r, err := Dial(server.URL, quick)
	q := ready(t, r, err).Queue()
	enqueue(t, q, "a")
	killVictim(t, server.URL, "a")

	enqueue(t, q, "a") // it counts as being worked on: no error, no second task
	past := goredis.Z{Score: float64(time.Now().Add(-time.Hour).Unix()), Member: "a"}
	if n, err := r.client.ZAddXX(t.Context(), "asynq:{"+queueNames[station.PriorityNormal]+"}:lease", past).Result(); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	delivered, _ := work(t, q, nothing)
	expect(t, delivered, "a")
}

// Redis dies with a job in work, comes back empty, and the daemon goes on: the
// handler is not disturbed, and what is enqueued again is delivered.
func TestServerDies(t *testing.T) {
	server := redistest.Start(t)
	r, err := Dial(server.URL, quick)
	q := ready(t, r, err).Queue()
	release := make(chan struct{})
	finished := make(chan error, 1)
	delivered, stop := work(t, q, func(ctx context.Context, id string) error {
		if id == "long" {
			<-release
			finished <- ctx.Err()
		}
		return nil
	})
	enqueue(t, q, "long")
	expect(t, delivered, "long")

	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := q.Enqueue(ctx, "lost", station.PriorityHigh); err == nil {
		t.Error("enqueued without a server")
	}
	if err := r.Ping(ctx); err == nil {
		t.Error("a dead server answers")
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, "after")
	expect(t, delivered, "after")
	close(release)
	if err := <-finished; err != nil {
		t.Error("the handler was disturbed:", err)
	}
	stop()
}

// Work starts without a server and takes up work when there is one.
func TestServerLate(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	r, err := Dial(server.URL, quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	q := r.Queue()
	delivered, _ := work(t, q, nothing)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, "a")
	expect(t, delivered, "a")
}

// Close with a worker at work ends it first.
func TestCloseWhileWorking(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		r := open(t)
		q := r.Queue()
		enqueue(t, q, "a")
		delivered, _ := work(t, q, func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		expect(t, delivered, "a")
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := q.Work(t.Context(), 1, nothing); err == nil {
			t.Error("worked on a closed queue")
		}
	})
}

// A worker is cut off from Redis for good; in the time of a bubble asynq's own
// patience, a minute or two, is over at once.
func TestWorkerCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := startEmbedded()
		var cut atomic.Bool
		victim := newRedis(bubble(t), serverConnector(&goredis.Options{Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if cut.Load() {
				return nil, errors.New("no route to host")
			}
			return server.dial(ctx, network, addr)
		}, ConnMaxLifetime: time.Second}), nil)
		other := newRedis(bubble(t), serverConnector(&goredis.Options{Dialer: server.dial}), server)

		enqueue(t, victim.Queue(), "a")
		var undisturbed atomic.Bool
		delivered, stop := work(t, victim.Queue(), func(ctx context.Context, _ string) error {
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Minute):
				undisturbed.Store(true)
			}
			return nil
		})
		expect(t, delivered, "a")
		cut.Store(true)
		time.Sleep(10 * time.Second)

		begin := time.Now()
		taken, stopOther := work(t, other.Queue(), nothing)
		select {
		case <-taken:
			t.Logf("taken over after %v", time.Since(begin))
		case <-time.After(5 * time.Minute):
			t.Error("the job did not come back")
		}
		time.Sleep(5 * time.Minute)
		if !undisturbed.Load() {
			t.Error("the worker that was cut off was disturbed: its claim is the catalog's to end")
		}
		stop()
		stopOther()
		victim.Close()
		other.Close()
		time.Sleep(2 * time.Second) // go-redis looks for the server until it notices that it is closed
	})
}

// bubble is a Config for tests in a bubble, where no time is short.
func bubble(t *testing.T) Config {
	var cfg Config
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	return cfg
}
