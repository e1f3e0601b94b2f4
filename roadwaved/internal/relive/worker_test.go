package relive_test

import (
	"context"
	"errors"
	"io/fs"
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
	"github.com/roadwave/roadwave/roadwaved/internal/sqlite"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A house is a real catalog and a folder of recordings, with a live that ended.
type house struct {
	t       *testing.T
	catalog *sqlite.Catalog
	folder  string
	live    station.Live
	cfg     relive.Config
}

func newHouse(t *testing.T) *house {
	t.Helper()
	folder := t.TempDir()
	catalog, err := sqlite.Open(t.Context(), filepath.Join(folder, "catalog.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { catalog.Close() })
	h := &house{t: t, catalog: catalog, folder: folder, live: station.Live{
		ID: uuid.NewString(), CreatorID: "ada", Title: "Essai", StartedAt: time.Now().UTC(), ClassificationAge: station.AgeClasses[0], State: station.OnAir, Node: "local",
	}}
	if err := catalog.StartLive(t.Context(), h.live); err != nil {
		t.Fatal(err)
	}
	if err := catalog.EndLive(t.Context(), h.live.ID, station.End{At: time.Now().UTC(), State: station.Ended, Reason: station.EndCreator}); err != nil {
		t.Fatal(err)
	}
	h.cfg = relive.Config{
		Lives: catalog, Jobs: catalog, Store: hls.NewMemory(), Name: "test",
		Recordings: func(id string) string { return filepath.Join(folder, id+".opus") },
		NewMaker: func(context.Context, func(replay.Progress)) (relive.Maker, error) {
			t.Error("nobody should want a maker")
			return nil, errors.New("unwanted")
		},
	}
	return h
}

// record leaves a recording of three seconds behind.
func (h *house) record() {
	h.t.Helper()
	rec, err := opusrec.Create(h.cfg.Recordings(h.live.ID), opusrec.Config{})
	if err != nil {
		h.t.Fatal(err)
	}
	packets := mediatest.EncodeOpus(mediatest.Sine(440, -20, 3*time.Second), opus.EncoderConfig{Channels: 1})
	if err := media.Copy(rec, mediatest.Packets(packets...)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) make(m maker) {
	h.cfg.NewMaker = func(_ context.Context, progress func(replay.Progress)) (relive.Maker, error) {
		m.progress = progress
		return m, nil
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
	j, err := h.catalog.Job(context.Background(), h.live.ID)
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
		if job.Recording != h.cfg.Recordings(h.live.ID) || job.Tags.Title != "Essai" || job.Tags.Artist != "ada" || job.Prefix != "replay/"+relive.ReplayID(h.live.ID) {
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
		"never recorded": func(*house) {},
		"empty file": func(h *house) {
			if err := os.WriteFile(h.cfg.Recordings(h.live.ID), nil, 0o600); err != nil {
				h.t.Fatal(err)
			}
		},
		"headers only": func(h *house) {
			rec, err := opusrec.Create(h.cfg.Recordings(h.live.ID), opusrec.Config{})
			if err != nil {
				h.t.Fatal(err)
			}
			if err := rec.Close(); err != nil {
				h.t.Fatal(err)
			}
		},
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

// A recording that was there once and is not any more (a disk that is not
// mounted) is no live without sound.
func TestRecordingIsMissing(t *testing.T) {
	h := newHouse(t)
	h.cfg.Lives = heard{h.catalog}
	if err := h.worker().Handle(t.Context(), h.live.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want it delivered again", err)
	}
	if j := h.job(); j.State != station.JobPending || j.Attempts != 1 {
		t.Errorf("job is %+v", j)
	}
}

// heard are lives of a minute.
type heard struct{ *sqlite.Catalog }

func (h heard) Live(ctx context.Context, id string) (station.Live, error) {
	l, err := h.Catalog.Live(ctx, id)
	l.Stats.Duration = time.Minute
	return l, err
}

func TestNoFaultOfTheJob(t *testing.T) {
	for name, prepare := range map[string]func(h *house) context.Context{
		"no ffmpeg": func(h *house) context.Context {
			h.cfg.NewMaker = func(context.Context, func(replay.Progress)) (relive.Maker, error) { return nil, replay.ErrFFmpeg }
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
			if j := h.job(); j.State != station.JobPending || j.Attempts != 0 {
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
		case <-time.After(20 * time.Second):
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
		for deadline := time.Now().Add(20 * time.Second); h.job().Progress != 0.5; time.Sleep(20 * time.Millisecond) {
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

// In other hands, or unknown: nothing to deliver again.
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
	if _, err := os.Stat(h.cfg.Recordings(h.live.ID)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
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
