package relive_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// Recordings that can be made nothing of, each in its own way, are first in line,
// more of them than there are workers. All behind them become replays, and they
// are parked.
func TestPoisonDoesNotStopTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		raw := recorded(t, time.Second)
		poisons := map[string]func(ctx context.Context) error{
			"panic":   func(context.Context) error { panic("poison") },
			"crash":   func(context.Context) error { return errors.New("FFmpeg: signal: segmentation fault") },
			"endless": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			"garbage": nil,
		}
		var queue stationtest.Queue
		enqueue := func(l station.Live) string {
			if err := queue.Enqueue(t.Context(), l.ID, station.PriorityNormal); err != nil {
				t.Fatal(err)
			}
			return l.ID
		}
		bad := make(map[string]string) // live id to poison
		for name := range poisons {
			id := enqueue(h.over(time.Second))
			bad[id] = name
			if name == "garbage" {
				h.deposit(id, []byte(strings.Repeat("no page begins here ", 1000)))
			} else {
				h.deposit(id, raw)
			}
		}
		var good []string
		for range 10 {
			id := enqueue(h.over(time.Second))
			h.deposit(id, raw)
			good = append(good, id)
		}
		h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
			for id, name := range bad {
				if job.Prefix == "replay/"+relive.ReplayID(id) {
					return replay.Result{}, poisons[name](ctx)
				}
			}
			time.Sleep(time.Minute)
			return made(ctx, m, job)
		}})
		ctx, stop := context.WithCancel(t.Context())
		worker, begun := h.worker(), time.Now()
		var working sync.WaitGroup
		working.Go(func() {
			if err := queue.Work(ctx, 2, worker.Handle); err != nil {
				t.Error(err)
			}
		})
		wait := func(ids []string, state station.JobState) {
			for _, id := range ids {
				for h.jobOf(id).State != state {
					if time.Since(begun) > 24*time.Hour {
						t.Fatalf("%s: job is still %+v", bad[id], h.jobOf(id))
					}
					time.Sleep(time.Second)
				}
			}
		}
		wait(good, station.JobDone)
		if took := time.Since(begun); took > 15*time.Minute { // 5 min of work for two
			t.Errorf("those behind waited %v", took)
		}
		for id, name := range bad {
			wait([]string{id}, station.JobParked)
			if j := h.jobOf(id); j.Attempts != 5 || j.Error == "" {
				t.Errorf("%s: job is %+v", name, j)
			}
		}
		stop()
		working.Wait()
	})
}

// A mortal is a worker process as the catalog sees it: it falls silent at once when
// it is killed.
type mortal struct {
	station.Jobs
	dead *atomic.Bool
}

var errDead = errors.New("this process is dead")

func (m mortal) Renew(ctx context.Context, c station.Claim, until time.Time, step string, progress float64) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Jobs.Renew(ctx, c, until, step, progress)
}

func (m mortal) Release(ctx context.Context, c station.Claim, state station.JobState, reason string) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Jobs.Release(ctx, c, state, reason)
}

// A recording that kills its worker each time is parked. The replays that are in
// the making beside it die as often, but it is soon made to work alone: they are
// published.
func TestKillerIsParkedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		raw := recorded(t, time.Second)
		var ids []string
		for range 4 {
			l := h.over(time.Second)
			h.deposit(l.ID, raw)
			ids = append(ids, l.ID)
		}
		killer := ids[2]
		kills := 0
		unfinished := func() (n int) {
			for _, id := range ids {
				if s := h.jobOf(id).State; s == station.JobPending || s == station.JobRunning {
					n++
				}
			}
			return n
		}
		for range 20 {
			if unfinished() == 0 {
				break
			}
			var dead atomic.Bool
			h.cfg.Jobs = mortal{h.catalog, &dead}
			ctx, kill := context.WithCancel(t.Context())
			h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
				if job.Prefix == "replay/"+relive.ReplayID(killer) {
					time.Sleep(2 * time.Minute)
					kills++
					dead.Store(true)
					kill()
				}
				select {
				case <-ctx.Done():
					return replay.Result{}, ctx.Err()
				case <-time.After(5 * time.Minute):
					return made(ctx, m, job)
				}
			}})
			worker := h.worker()
			var handling sync.WaitGroup
			for _, id := range ids {
				handling.Go(func() { _ = worker.Handle(ctx, id) })
			}
			handling.Wait()
			kill()
			time.Sleep(2 * time.Minute) // its leases end
		}
		for _, id := range ids {
			want := station.JobDone
			if id == killer {
				want = station.JobParked
			}
			if j := h.jobOf(id); j.State != want {
				t.Errorf("killer %v: job is %+v", id == killer, j)
			}
		}
		if kills != 5 {
			t.Errorf("it killed %d workers, want 5", kills)
		}
	})
}

// The whole of it with the real FFmpeg: a recording with a torn end becomes a
// replay; one at which FFmpeg crashes, and one that is something else altogether,
// are parked.
func TestRealReplay(t *testing.T) {
	ffmpeg := mediatest.Tool(t, "ffmpeg")
	h := newHouse(t)
	h.cfg.Attempts = 1
	use := func(program string) {
		h.cfg.NewMaker = func(ctx context.Context, _ *slog.Logger, progress func(replay.Progress)) (relive.Maker, error) {
			return replay.New(ctx, replay.Config{FFmpeg: program, TempDir: h.temp, Progress: progress})
		}
	}
	raw := recorded(t, 5*time.Second)
	handle := func(raw []byte) station.Job {
		l := h.over(time.Minute)
		h.deposit(l.ID, raw)
		if err := h.worker().Handle(t.Context(), l.ID); err != nil {
			t.Error(err)
		}
		return h.jobOf(l.ID)
	}

	use(ffmpeg)
	torn := handle(raw[:len(raw)-700])
	r, err := h.catalog.ReplayOf(t.Context(), torn.LiveID)
	if torn.State != station.JobDone || err != nil || r.Duration < 2*time.Second || r.Loudness < -15 || r.Loudness > -13 {
		t.Errorf("job is %+v, replay %+v (%v)", torn, r, err)
	}
	for _, name := range []string{"/audio.mp3", "/index.m3u8"} {
		o, err := h.store.Open(t.Context(), r.Key+name)
		if err != nil {
			t.Error(err)
		} else if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
	if j := handle([]byte(strings.Repeat("garbage", 5000))); j.State != station.JobParked || !strings.Contains(j.Error, station.RawKey(j.LiveID)) {
		t.Errorf("job is %+v", j)
	}
	crashing := filepath.Join(t.TempDir(), "ffmpeg")
	script := "#!/bin/sh\ncase \"$*\" in *pipe:*) kill -SEGV $$;; esac\nexec " + ffmpeg + " \"$@\"\n"
	if err := os.WriteFile(crashing, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	use(crashing)
	if j := handle(raw); j.State != station.JobParked || j.Error == "" {
		t.Errorf("job is %+v", j)
	}
}
