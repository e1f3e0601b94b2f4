package relive_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/opusrec"
	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A house is a catalog and a store, with a live that ended and whose recording,
// if any, is in the store.
type house struct {
	t       *testing.T
	catalog *stationtest.Catalog
	store   *hls.Memory
	temp    string
	live    station.Live
	cfg     relive.Config
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, catalog: new(stationtest.Catalog), store: hls.NewMemory(), temp: t.TempDir()}
	h.live = h.over(0)
	h.cfg = relive.Config{
		Lives: h.catalog, Jobs: h.catalog, Store: h.store, TempDir: h.temp, Name: "test",
		NewMaker: func(context.Context, *slog.Logger, func(replay.Progress)) (relive.Maker, error) {
			t.Error("nobody should want a maker")
			return nil, errors.New("unwanted")
		},
	}
	t.Cleanup(func() {
		left, err := os.ReadDir(h.temp)
		if err != nil || len(left) > 0 {
			t.Errorf("temporary files are left: %v %v", left, err)
		}
	})
	return h
}

// over makes a live that was heard for a while and has ended.
func (h *house) over(heard time.Duration) station.Live {
	h.t.Helper()
	now := time.Now().UTC()
	l := station.Live{
		ID: uuid.NewString(), CreatorID: "ada", Title: "Essai", StartedAt: now.Add(-time.Minute),
		ClassificationAge: station.AgeClasses[0], State: station.OnAir, Node: "local",
	}
	end := station.End{At: now, State: station.Ended, Reason: station.EndCreator, Stats: station.LiveStats{Duration: heard}}
	for _, err := range []error{
		h.catalog.StartLive(h.t.Context(), l), h.catalog.EndLive(h.t.Context(), l.ID, end), h.catalog.Deposited(h.t.Context(), l.ID, false),
	} {
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return l
}

// record puts a recording of three seconds into the store.
func (h *house) record() { h.deposit(h.live.ID, recorded(h.t, 3*time.Second)) }

func (h *house) deposit(liveID string, raw []byte) {
	h.t.Helper()
	if err := h.store.Put(h.t.Context(), station.RawKey(liveID), bytes.NewReader(raw)); err != nil {
		h.t.Fatal(err)
	}
}

// recorded is a recording as a live leaves it behind.
func recorded(t *testing.T, d time.Duration) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.opus")
	rec, err := opusrec.Create(path, opusrec.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if d > 0 {
		packets := mediatest.EncodeOpus(mediatest.Sine(440, -20, d), opus.EncoderConfig{Channels: 1})
		err = media.Copy(rec, mediatest.Packets(packets...))
	} else {
		err = rec.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (h *house) make(m maker) {
	h.cfg.NewMaker = func(_ context.Context, _ *slog.Logger, progress func(replay.Progress)) (relive.Maker, error) {
		return maker{progress, m.work}, nil
	}
}

func (h *house) worker() *relive.Worker {
	h.t.Helper()
	w, err := relive.New(h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

func (h *house) job() station.Job {
	h.t.Helper()
	return h.jobOf(h.live.ID)
}

func (h *house) jobOf(liveID string) station.Job {
	h.t.Helper()
	j, err := h.catalog.Job(context.Background(), liveID)
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

// maker stands for FFmpeg and all around it.
type maker struct {
	progress func(replay.Progress)
	work     func(ctx context.Context, m maker, job replay.Job) (replay.Result, error)
}

func (m maker) Make(ctx context.Context, job replay.Job) (replay.Result, error) {
	return m.work(ctx, m, job)
}

func made(context.Context, maker, replay.Job) (replay.Result, error) {
	return replay.Result{
		Duration: 2 * time.Second,
		Removed:  []replay.Interval{{Begin: 0, End: time.Second}},
		After:    replay.Loudness{Integrated: -14.1},
	}, nil
}

func TestPublishes(t *testing.T) {
	h := newHouse(t)
	h.record()
	h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
		if r, err := opusrec.Open(job.Recording); err != nil {
			t.Error(err)
		} else if err := r.Close(); err != nil {
			t.Error(err)
		}
		if filepath.Dir(filepath.Dir(job.Recording)) != h.temp || job.Tags.Title != "[REPLAY] Essai" || job.Tags.Artist != "ada" || job.Prefix != "replay/"+relive.ReplayID(h.live.ID) {
			t.Errorf("asked for %+v", job)
		}
		return made(ctx, m, job)
	}})
	if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
		t.Fatal(err)
	}
	r, err := h.catalog.ReplayOf(t.Context(), h.live.ID)
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != relive.ReplayID(h.live.ID) || r.Title != "[REPLAY] Essai" || r.GeoType != "Géo-neutre" || r.Duration != 2*time.Second || r.Removed != time.Second || r.Loudness != -14.1 {
		t.Errorf("published %+v", r)
	}
	if err := h.worker().Handle(t.Context(), h.live.ID); err != nil { // delivered again
		t.Errorf("a job that is over: %v", err)
	}
	if j := h.job(); j.State != station.JobDone || j.Attempts != 1 {
		t.Errorf("job is %+v", j)
	}
}

func TestNothingToHear(t *testing.T) {
	silent := func(context.Context, maker, replay.Job) (replay.Result, error) {
		return replay.Result{}, replay.ErrSilent
	}
	for name, prepare := range map[string]func(h *house){
		"empty file":   func(h *house) { h.deposit(h.live.ID, nil) },
		"headers only": func(h *house) { h.deposit(h.live.ID, recorded(h.t, 0)) },
		"silent": func(h *house) {
			h.record()
			h.make(maker{work: silent})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			prepare(h)
			if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
				t.Fatal(err)
			}
			if j := h.job(); j.State != station.JobEmpty || j.Error == "" {
				t.Errorf("job is %+v", j)
			}
			if _, err := h.catalog.ReplayOf(t.Context(), h.live.ID); !errors.Is(err, station.ErrNotFound) {
				t.Errorf("its replay: %v", err)
			}
		})
	}
}

func TestFailsAndParks(t *testing.T) {
	overdue := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for name, tt := range map[string]struct {
		work    func(context.Context, maker, replay.Job) (replay.Result, error)
		context func(*testing.T) context.Context
		want    string
	}{
		"error": {
			work: func(context.Context, maker, replay.Job) (replay.Result, error) {
				return replay.Result{}, errors.New("boom")
			},
			context: (*testing.T).Context, want: "boom",
		},
		"panic": {
			work:    func(context.Context, maker, replay.Job) (replay.Result, error) { panic("boom") },
			context: (*testing.T).Context, want: "panic: boom",
		},
		"too long": {
			work: func(ctx context.Context, _ maker, _ replay.Job) (replay.Result, error) {
				<-ctx.Done()
				return replay.Result{}, ctx.Err()
			},
			context: overdue, want: "deadline exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.record()
			h.cfg.Attempts = 3
			h.make(maker{work: tt.work})
			w := h.worker()
			for attempt := 1; attempt <= 2; attempt++ {
				if err := w.Handle(tt.context(t), h.live.ID); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("attempt %d: %v, want it delivered again", attempt, err)
				}
				if j := h.job(); j.State != station.JobPending || !strings.Contains(j.Error, tt.want) || j.Attempts != attempt {
					t.Fatalf("job is %+v", j)
				}
			}
			if err := w.Handle(tt.context(t), h.live.ID); err != nil {
				t.Fatal(err)
			}
			if j := h.job(); j.State != station.JobParked || !strings.Contains(j.Error, tt.want) {
				t.Errorf("job is %+v", j)
			}
		})
	}
}

// A job that kills its worker each time is not tried for ever.
func TestParksWhatKills(t *testing.T) {
	h := newHouse(t)
	h.record()
	h.cfg.Attempts = 3
	for i := range h.cfg.Attempts {
		now := time.Now().Add(time.Duration(i-h.cfg.Attempts) * time.Hour)
		if _, err := h.catalog.Claim(t.Context(), h.live.ID, "dead", now, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
		t.Fatal(err)
	}
	if j := h.job(); j.State != station.JobParked || !strings.Contains(j.Error, "died") {
		t.Errorf("job is %+v", j)
	}
}

// A worker that looks into another store, or a recording that was lost, makes no
// live one that nobody heard: the message tells who misses what, and the job can be
// begun again.
func TestRecordingIsMissing(t *testing.T) {
	for _, heard := range []time.Duration{time.Minute, 0} { // 0 is also that of a crash
		h := newHouse(t)
		h.live = h.over(heard)
		for range 5 {
			_ = h.worker().Handle(t.Context(), h.live.ID)
		}
		j := h.job()
		if j.State != station.JobParked || !strings.Contains(j.Error, station.RawKey(h.live.ID)) || !strings.Contains(j.Error, "the worker test") {
			t.Errorf("job is %+v", j)
		}
		h.record()
		h.make(maker{work: made})
		if err := errors.Join(h.catalog.Reopen(t.Context(), h.live.ID), h.worker().Handle(t.Context(), h.live.ID)); err != nil {
			t.Error(err)
		}
		if j := h.job(); j.State != station.JobDone {
			t.Errorf("job is %+v", j)
		}
	}
}

// So is one that arrived empty.
func TestRecordingIsEmpty(t *testing.T) {
	for name, raw := range map[string][]byte{"no byte": nil, "headers only": recorded(t, 0)} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.live = h.over(time.Minute)
			h.deposit(h.live.ID, raw)
			if err := h.worker().Handle(t.Context(), h.live.ID); !errors.Is(err, opusrec.ErrEmpty) {
				t.Errorf("got %v, want it delivered again", err)
			}
			if j := h.job(); j.State != station.JobPending || j.Attempts != 1 || !strings.Contains(j.Error, station.RawKey(h.live.ID)) {
				t.Errorf("job is %+v", j)
			}
		})
	}
}

// In containers all processes have the same id, and a host name may come back.
func TestNamesDiffer(t *testing.T) {
	names := make(map[string]bool)
	for range 10 {
		h := newHouse(t)
		h.cfg.Name = ""
		h.deposit(h.live.ID, nil)
		if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
			t.Fatal(err)
		}
		names[h.job().Worker] = true
	}
	if len(names) != 10 {
		t.Errorf("ten workers are called %v", names)
	}
}

func TestNoFaultOfTheJob(t *testing.T) {
	for name, prepare := range map[string]func(h *house) context.Context{
		"no ffmpeg": func(h *house) context.Context {
			h.cfg.NewMaker = func(context.Context, *slog.Logger, func(replay.Progress)) (relive.Maker, error) {
				return nil, replay.ErrFFmpeg
			}
			return h.t.Context()
		},
		"stopped": func(h *house) context.Context {
			ctx, stop := context.WithCancel(h.t.Context())
			h.make(maker{work: func(ctx context.Context, _ maker, _ replay.Job) (replay.Result, error) {
				stop()
				<-ctx.Done()
				return replay.Result{}, ctx.Err()
			}})
			return ctx
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.record()
			ctx := prepare(h)
			if err := h.worker().Handle(ctx, h.live.ID); err == nil {
				t.Error("want it delivered again")
			}
			if j := h.job(); j.State != station.JobPending || j.Attempts != 0 || (name == "no ffmpeg") != (j.Step == "waits for ffmpeg") {
				t.Errorf("job is %+v", j)
			}
		})
	}
}

// A worker that was away for longer than its lease finds the job in other hands:
// it stops, and does not publish.
func TestFenced(t *testing.T) {
	h := newHouse(t)
	h.record()
	var once sync.Once
	h.cfg.Lease = time.Second
	h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
		once.Do(func() {
			if _, err := h.catalog.Claim(ctx, h.live.ID, "other", time.Now().Add(time.Hour), time.Hour); err != nil {
				t.Error(err)
			}
		})
		select {
		case <-ctx.Done():
			return replay.Result{}, ctx.Err()
		case <-time.After(2 * time.Minute):
			return made(ctx, m, job)
		}
	}})
	if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
		t.Errorf("want the job left alone, got %v", err)
	}
	if j := h.job(); j.State != station.JobRunning || j.Worker != "other" {
		t.Errorf("job is %+v", j)
	}
}

func TestProgressIsVisible(t *testing.T) {
	h := newHouse(t)
	h.record()
	h.cfg.Lease = time.Second
	h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
		m.progress(replay.Progress{Step: replay.Mastering, Fraction: 0.5})
		for deadline := time.Now().Add(2 * time.Minute); h.job().Step != string(replay.Mastering) || h.job().Progress < 0.5; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("progress never appears")
				break
			}
		}
		return made(ctx, m, job)
	}})
	if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
		t.Fatal(err)
	}
}

// In other hands, unknown, or not here yet: nothing to deliver again.
func TestLeavesAlone(t *testing.T) {
	h := newHouse(t)
	if _, err := h.catalog.Claim(t.Context(), h.live.ID, "other", time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{h.live.ID, uuid.NewString()} {
		if err := h.worker().Handle(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	uploading := station.Live{ID: uuid.NewString(), StartedAt: time.Now()}
	for _, err := range []error{
		h.catalog.StartLive(t.Context(), uploading),
		h.catalog.EndLive(t.Context(), uploading.ID, station.End{At: time.Now(), State: station.Ended}),
		h.worker().Handle(t.Context(), uploading.ID),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if j := h.jobOf(uploading.ID); j.State != station.JobUploading || j.Attempts != 0 {
		t.Errorf("job is %+v", j)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := relive.New(relive.Config{}); err == nil {
		t.Error("an empty config was taken")
	}
	h := newHouse(t)
	h.cfg.Lease = time.Millisecond
	if _, err := relive.New(h.cfg); err == nil {
		t.Error("a lease of 1 ms was taken")
	}
}
