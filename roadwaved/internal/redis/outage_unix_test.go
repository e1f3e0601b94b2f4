//go:build unix

package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// long makes some tests take minutes instead of seconds.
var long = os.Getenv("ROADWAVE_TEST_LONG") == "1"

// outages are the ways in which a server is away for a while.
var outages = map[string]struct {
	begin, end func(t *testing.T, s *redistest.Server)
	forgets    bool
}{
	"killed": {
		func(_ *testing.T, s *redistest.Server) { s.Kill() },
		func(t *testing.T, s *redistest.Server) { must(t, s.Restart()) },
		true,
	},
	"hanging": {
		func(t *testing.T, s *redistest.Server) { must(t, s.Hang()) },
		func(t *testing.T, s *redistest.Server) { must(t, s.Wake()) },
		false,
	},
}

// Every call of every contract, with the server away: an error that says so, in
// the time that the caller has. Then all goes on.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			r, err := Dial(server.URL, quick)
			r = ready(t, r, err)
			board, audience, nodes, wire, queue := r.Board(), r.Attendance(), r.Nodes(), r.Wire(), r.Queue()

			live := uuid.NewString()
			v := station.Visit{ID: uuid.NewString(), LiveID: live, JoinedAt: time.Now()}
			must(t, audience.Seed(t.Context(), live, station.Like))
			must(t, audience.Touch(t.Context(), v, 0))

			var deliveries atomic.Int64
			release, finished := make(chan struct{}), make(chan error, 1)
			delivered, stop := work(t, queue, func(ctx context.Context, id string) error {
				if id == "long" && deliveries.Add(1) == 1 {
					<-release
					finished <- ctx.Err()
				}
				return nil
			})
			enqueue(t, queue, "long")
			expect(t, delivered, "long")
			heard := make(chan string, 100)
			listening, silence := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- wire.Receive(listening, func(m []byte) { heard <- string(m) }) }()

			outage.begin(t, server)
			begun := time.Now()
			for what, call := range map[string]func(ctx context.Context) error{
				"Ping":    r.Ping,
				"Enqueue": func(ctx context.Context) error { return queue.Enqueue(ctx, "lost", station.PriorityHigh) },
				"Acquire": func(ctx context.Context) error { return board.Acquire(ctx, live, 1, time.Hour) },
				"Renew":   func(ctx context.Context) error { return board.Renew(ctx, time.Hour, live) },
				"Release": func(ctx context.Context) error { return board.Release(ctx, live) },
				"slots":   func(ctx context.Context) error { _, err := board.Count(ctx); return err },
				"Touch":   func(ctx context.Context) error { return audience.Touch(ctx, v, 0) },
				"Silent":  func(ctx context.Context) error { _, err := audience.Silent(ctx, live, 0); return err },
				"Close":   func(ctx context.Context) error { return audience.CloseVisits(ctx, live, "another") },
				"React": func(ctx context.Context) error {
					_, err := audience.React(ctx, live, station.Like, "anna", "", 0)
					return err
				},
				"Seed":      func(ctx context.Context) error { return audience.Seed(ctx, live, station.Report) },
				"Count":     func(ctx context.Context) error { _, _, err := audience.Count(ctx, live); return err },
				"Show":      func(ctx context.Context) error { return audience.Show(ctx, live, station.Counters{}) },
				"Shown":     func(ctx context.Context) error { _, err := audience.Shown(ctx, live); return err },
				"Dismiss":   func(ctx context.Context) error { return audience.Dismiss(ctx, "another") },
				"Present":   func(ctx context.Context) error { return nodes.Present(ctx, station.Node{Name: "n"}, time.Hour) },
				"Absent":    func(ctx context.Context) error { return nodes.Absent(ctx, "n") },
				"Node":      func(ctx context.Context) error { _, err := nodes.Node(ctx, "n"); return err },
				"ListNodes": func(ctx context.Context) error { _, err := nodes.ListNodes(ctx); return err },
				"Send":      func(ctx context.Context) error { return wire.Send(ctx, []byte("lost")) },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				if err := call(ctx); !errors.Is(err, station.ErrAway) {
					t.Errorf("%s: %v", what, err)
				}
				cancel()
			}
			away := 4 * time.Second // longer than the default timeouts
			if long {
				away = 40 * time.Second // longer than the leases of asynq
			}
			time.Sleep(time.Until(begun.Add(away)))
			outage.end(t, server)

			soon(t, "Touch", func(ctx context.Context) error { return audience.Touch(ctx, v, 0) })
			c, known, err := audience.Count(t.Context(), live)
			must(t, err)
			if c.Listeners != 1 || known == outage.forgets {
				t.Errorf("counted %+v, known %v", c, known)
			}
			soon(t, "Acquire", func(ctx context.Context) error { return board.Acquire(ctx, live, 1, time.Hour) })
			soon(t, "Present", func(ctx context.Context) error { return nodes.Present(ctx, station.Node{Name: "n"}, time.Hour) })
			soon(t, "the wire", func(ctx context.Context) error {
				if err := wire.Send(ctx, []byte("after")); err != nil {
					return err
				}
				for {
					select {
					case m := <-heard:
						if m == "after" {
							return nil
						}
					case <-time.After(50 * time.Millisecond):
						return errors.New("nothing is heard")
					}
				}
			})
			enqueue(t, queue, "after")
			for {
				select {
				case id := <-delivered:
					if id != "after" {
						continue // what was asked for in the outage may have arrived
					}
				case <-time.After(patience):
					t.Fatal("the worker did not go on")
				}
				break
			}
			close(release)
			if err := <-finished; err != nil {
				t.Error("the outage disturbed a job:", err)
			}
			stop()
			silence()
			must(t, <-ended)
		})
	}
}

// Redis loses everything in the middle of work: after a round of the reconciler
// every replay is made, each by one claim.
func TestFlushedInTheMiddle(t *testing.T) {
	const jobs = 40
	server := redistest.Start(t)
	r, err := Dial(server.URL, quick)
	r = ready(t, r, err)
	catalog, queue := &stationtest.Catalog{}, r.Queue()
	reconciler, err := station.NewReconciler(station.ReconcilerConfig{Jobs: catalog, Queue: queue})
	must(t, err)
	for i := range jobs {
		id := uuid.NewString()
		must(t, catalog.StartLive(t.Context(), station.Live{ID: id, StartedAt: time.Now(), State: station.OnAir, Premium: i%2 == 0}))
		must(t, catalog.EndLive(t.Context(), id, station.End{At: time.Now(), State: station.Ended}))
		must(t, catalog.Deposited(t.Context(), id, false))
	}
	var published, twice atomic.Int64
	half, flushed := make(chan struct{}), make(chan struct{})
	handle := func(ctx context.Context, id string) error {
		claim, err := catalog.Claim(ctx, id, "worker", time.Now(), time.Hour)
		if errors.Is(err, station.ErrClaimed) || errors.Is(err, station.ErrJobOver) {
			twice.Add(1)
			return nil
		}
		if err != nil {
			return err
		}
		if published.Load() == jobs/2 {
			<-flushed // these are at work while Redis loses everything
		}
		err = catalog.Publish(ctx, claim, station.Replay{ID: uuid.NewString(), LiveID: id, PublishedAt: time.Now()})
		if err == nil && published.Add(1) == jobs/2 {
			close(half)
		}
		return err
	}
	for range 2 {
		work(t, queue, handle)
	}
	round := func(ctx context.Context) error { _, err := reconciler.Round(ctx); return err }
	soon(t, "the first round", round)
	<-half
	flush(t, r)
	close(flushed)
	soon(t, "every replay", func(ctx context.Context) error {
		if err := round(ctx); err != nil {
			return err
		}
		if n := published.Load(); n != jobs {
			return fmt.Errorf("%d of %d replays were made", n, jobs)
		}
		return nil
	})
	t.Logf("%d jobs, %d of them delivered again", jobs, twice.Load())
}

// Several daemons take slots at the same time, one of them dies without giving
// any back: there are never more than the limit, and never fewer for long.
func TestSlotsOfManyDaemons(t *testing.T) {
	const limit, daemons, each = 100, 5, 40
	server := redistest.Start(t)
	var boards [daemons]*Board
	for i := range boards {
		r, err := Dial(server.URL, quick)
		boards[i] = ready(t, r, err).Board()
	}
	var mu sync.Mutex
	taken := make([][]string, daemons)
	// rush takes slots by all the daemons from first on.
	rush := func(first int, leases ...time.Duration) {
		var wg sync.WaitGroup
		for d := first; d < daemons; d++ {
			for range each {
				wg.Go(func() {
					id := uuid.NewString()
					switch err := boards[d].Acquire(t.Context(), id, limit, leases[min(d, len(leases)-1)]); {
					case err == nil:
						mu.Lock()
						taken[d] = append(taken[d], id)
						mu.Unlock()
					case !errors.Is(err, station.ErrFull):
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
	}
	total := func(first int) (n int) {
		for _, ids := range taken[first:] {
			n += len(ids)
		}
		return n
	}
	// The first daemon dies with a lease of one second, the others live.
	must(t, boards[0].Acquire(t.Context(), "certainly one", limit, time.Second))
	taken[0] = []string{"certainly one"}
	rush(0, time.Second, time.Hour)
	if total(0) != limit {
		t.Fatalf("%d slots were taken, want %d", total(0), limit)
	}
	dead := len(taken[0])
	soon(t, "the dead daemon's slots", func(ctx context.Context) error {
		n, err := boards[1].Count(ctx)
		if err == nil && n != limit-dead {
			err = fmt.Errorf("%d slots are taken, want %d", n, limit-dead)
		}
		return err
	})
	rush(1, time.Hour)
	if n, err := boards[1].Count(t.Context()); err != nil || total(1) != limit || n != limit {
		t.Errorf("%d slots were taken after a daemon with %d died, the board counts %d, want %d: %v", total(1), dead, n, limit, err)
	}
}

// A worker process is killed at work, and nothing is helped along. Meanwhile a
// job that runs for longer than any lease stays with its worker.
func TestDeadWorkerInFull(t *testing.T) {
	if !long {
		t.Skip("takes two minutes: set ROADWAVE_TEST_LONG=1")
	}
	server := redistest.Start(t)
	r, err := Dial(server.URL, Config{})
	q := ready(t, r, err).Queue()
	enqueue(t, q, "a")
	died := killVictim(t, server.URL, "a")

	times := make(chan time.Duration, 10)
	var endless atomic.Int64
	delivered, stop := work(t, q, func(ctx context.Context, id string) error {
		switch id {
		case "a":
			times <- time.Since(died)
		case "endless":
			endless.Add(1)
			<-ctx.Done()
		}
		return nil
	})
	enqueue(t, q, "endless")
	expect(t, delivered, "endless")
	select {
	case d := <-times:
		t.Logf("taken over %v after the worker died", d)
		if d > 2*time.Minute {
			t.Error("that is too late")
		}
	case <-time.After(3 * time.Minute):
		t.Error("nobody took the job over")
	}
	time.Sleep(time.Until(died.Add(2*time.Minute + 15*time.Second)))
	if n := endless.Load(); n != 1 {
		t.Errorf("a job whose worker lives was delivered %d times", n)
	}
	stop()
}
