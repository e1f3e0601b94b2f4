package relive_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// away is a service that does not answer until a time.
type away struct{ until time.Time }

func awayFor(d time.Duration) *away { return &away{time.Now().Add(d)} }

func (a *away) err() error {
	if time.Now().Before(a.until) {
		return errors.Join(errors.New("connection refused"), station.ErrAway)
	}
	return nil
}

// awayStore is a store that is away for some of what is asked of it.
type awayStore struct {
	hls.Store
	open, put *away
}

func (s awayStore) Open(ctx context.Context, key string) (hls.Object, error) {
	if err := s.open.err(); err != nil {
		return nil, err
	}
	return s.Store.Open(ctx, key)
}

func (s awayStore) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	_, err := body.Seek(0, io.SeekStart)
	if err == nil {
		_, err = io.CopyN(io.Discard, body, 1) // it got that far
	}
	if err != nil {
		return err
	}
	if err := s.put.err(); err != nil {
		return err
	}
	return s.Store.Put(ctx, key, body)
}

// awayJobs is a catalog that is away once a replay was made.
type awayJobs struct {
	station.Jobs
	publish   *away
	lost      bool // the answer to Publish
	published *atomic.Int64
}

func (j awayJobs) Publish(ctx context.Context, c station.Claim, r station.Replay) error {
	j.published.Add(1)
	if err := j.publish.err(); err != nil {
		if j.lost {
			_ = j.Jobs.Publish(ctx, c, r)
		}
		return err
	}
	return j.Jobs.Publish(ctx, c, r)
}

func (j awayJobs) Renew(ctx context.Context, c station.Claim, until time.Time, step string, progress float64) error {
	return errors.Join(j.publish.err(), j.Jobs.Renew(ctx, c, until, step, progress))
}

// storing makes a replay of one object.
func storing(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
	if err := job.Store.Put(ctx, job.Prefix+"/audio.mp3", strings.NewReader("sound")); err != nil {
		return replay.Result{}, err
	}
	return made(ctx, m, job)
}

// Services come back while the worker waits with its work in hand: one attempt,
// one replay.
func TestWaitsForServices(t *testing.T) {
	for name, prepare := range map[string]func(h *house){
		"store, to read":  func(h *house) { h.cfg.Store = awayStore{h.store, awayFor(50 * time.Second), awayFor(0)} },
		"store, to write": func(h *house) { h.cfg.Store = awayStore{h.store, awayFor(0), awayFor(10 * time.Minute)} },
		"catalog": func(h *house) {
			h.cfg.Jobs = awayJobs{Jobs: h.catalog, publish: awayFor(10 * time.Minute), published: new(atomic.Int64)}
		},
		"catalog, answer lost": func(h *house) {
			h.cfg.Jobs = awayJobs{Jobs: h.catalog, publish: awayFor(time.Minute), lost: true, published: new(atomic.Int64)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.record()
				h.make(maker{work: storing})
				prepare(h)
				if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
					t.Fatal(err)
				}
				if j := h.job(); j.State != station.JobDone || j.Attempts != 1 {
					t.Errorf("job is %+v", j)
				}
				o, err := h.store.Open(t.Context(), "replay/"+relive.ReplayID(h.live.ID)+"/audio.mp3")
				if err != nil {
					t.Fatal(err)
				}
				if sound, err := io.ReadAll(o); err != nil || string(sound) != "sound" {
					t.Errorf("stored %q %v", sound, err)
				}
			})
		})
	}
}

// A service that stays away costs the job no attempt, however often, and the job
// shows what it waits for.
func TestNeverParkedForAService(t *testing.T) {
	for name, tt := range map[string]struct {
		store func(hls.Store) hls.Store
		want  string
	}{
		"to read":  {func(s hls.Store) hls.Store { return awayStore{s, awayFor(24 * time.Hour), awayFor(0)} }, "waits for the object store"},
		"to write": {func(s hls.Store) hls.Store { return awayStore{s, awayFor(0), awayFor(24 * time.Hour)} }, "waits for the object store"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.record()
				h.make(maker{work: storing})
				h.cfg.Store = tt.store(h.store)
				for range 7 {
					begun := time.Now()
					if err := h.worker().Handle(t.Context(), h.live.ID); !errors.Is(err, station.ErrAway) {
						t.Fatalf("got %v, want it delivered again", err)
					}
					if took := time.Since(begun); took > 20*time.Minute {
						t.Errorf("a worker was kept for %v", took)
					}
					if j := h.job(); j.State != station.JobPending || j.Attempts != 0 || j.Step != tt.want {
						t.Errorf("job is %+v", j)
					}
				}
			})
		})
	}
}

// denied is a store whose keys are wrong, or whose bucket is full.
type denied struct {
	hls.Store
	open, put error
}

func (s denied) Open(ctx context.Context, key string) (hls.Object, error) {
	if s.open != nil {
		return nil, s.open
	}
	return s.Store.Open(ctx, key)
}

func (s denied) Put(context.Context, string, io.ReadSeeker) error { return s.put }

// A store that refuses would refuse any job: none is parked for it, none keeps its
// worker waiting.
func TestStoreRefuses(t *testing.T) {
	for name, store := range map[string]denied{
		"to read":  {open: errors.New("403 AccessDenied")},
		"to write": {put: errors.New("403 QuotaExceeded")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.record()
				h.make(maker{work: storing})
				begun := time.Now()
				store.Store = h.store
				h.cfg.Store = store
				if err := h.worker().Handle(t.Context(), h.live.ID); err == nil || !strings.Contains(err.Error(), "403") {
					t.Errorf("got %v, want it delivered again", err)
				}
				if j := h.job(); j.State != station.JobPending || j.Attempts != 0 || j.Step != "waits for the object store" {
					t.Errorf("job is %+v", j)
				}
				if took := time.Since(begun); took > time.Minute {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// hanging is a catalog whose network is gone without a word.
type hanging struct {
	station.Jobs
	until time.Time
}

func (j hanging) hang(ctx context.Context) error {
	if time.Now().After(j.until) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (j hanging) Publish(ctx context.Context, c station.Claim, r station.Replay) error {
	if err := j.hang(ctx); err != nil {
		return err
	}
	return j.Jobs.Publish(ctx, c, r)
}

func (j hanging) Renew(ctx context.Context, c station.Claim, until time.Time, step string, progress float64) error {
	if err := j.hang(ctx); err != nil {
		return err
	}
	return j.Jobs.Renew(ctx, c, until, step, progress)
}

func TestCatalogHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.record()
		h.make(maker{work: made})
		h.cfg.Jobs = hanging{h.catalog, time.Now().Add(5 * time.Minute)}
		if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
			t.Fatal(err)
		}
		if j := h.job(); j.State != station.JobDone || j.Attempts != 1 {
			t.Errorf("job is %+v", j)
		}
	})
}

// refusing is a catalog that answers, and always no.
type refusing struct {
	station.Jobs
	asked *atomic.Int64
}

func (r refusing) Publish(context.Context, station.Claim, station.Replay) error {
	r.asked.Add(1)
	return errors.New("value too long")
}

// An answer is an answer: it is the job that fails, soon.
func TestCatalogRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.record()
		h.make(maker{work: made})
		asked := new(atomic.Int64)
		h.cfg.Jobs = refusing{h.catalog, asked}
		begun := time.Now()
		if err := h.worker().Handle(t.Context(), h.live.ID); err == nil || errors.Is(err, station.ErrAway) {
			t.Fatalf("got %v", err)
		}
		if j := h.job(); j.State != station.JobPending || j.Attempts != 1 || j.Error != "value too long" {
			t.Errorf("job is %+v", j)
		}
		if n := asked.Load(); n < 2 || time.Since(begun) > time.Minute {
			t.Errorf("asked %d times in %v", n, time.Since(begun))
		}
	})
}

// A claim lost while the catalog was away is not published upon.
func TestFencedWhilePublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.record()
		h.make(maker{work: made})
		jobs := awayJobs{Jobs: h.catalog, publish: awayFor(5 * time.Minute), published: new(atomic.Int64)}
		h.cfg.Jobs = jobs
		time.AfterFunc(4*time.Minute, func() {
			if _, err := h.catalog.Claim(t.Context(), h.live.ID, "other", time.Now().Add(time.Hour), time.Hour); err != nil {
				t.Error(err)
			}
		})
		if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
			t.Errorf("want the job left alone, got %v", err)
		}
		if j := h.job(); j.State != station.JobRunning || j.Worker != "other" {
			t.Errorf("job is %+v", j)
		}
		if jobs.published.Load() < 5 {
			t.Errorf("asked %d times only", jobs.published.Load())
		}
	})
}

// A pausedJobs is a worker that stands still: it renews nothing for a time.
type pausedJobs struct {
	station.Jobs
	until time.Time
}

func (j pausedJobs) Renew(ctx context.Context, c station.Claim, until time.Time, step string, progress float64) error {
	if time.Now().Before(j.until) {
		return errors.Join(errors.New("standing still"), station.ErrAway)
	}
	return j.Jobs.Renew(ctx, c, until, step, progress)
}

// A worker that stood still while another made the replay writes nothing over it.
// One that comes back before anybody else took the job goes on.
func TestWritesOnlyWhileHeld(t *testing.T) {
	for name, taken := range map[string]bool{"taken": true, "left": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.record()
				h.cfg.Jobs = pausedJobs{h.catalog, time.Now().Add(5 * time.Minute)}
				mp3 := "replay/" + relive.ReplayID(h.live.ID) + "/audio.mp3"
				h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
					time.Sleep(2 * time.Minute)
					if taken {
						if _, err := h.catalog.Claim(ctx, h.live.ID, "other", time.Now(), time.Hour); err != nil {
							t.Error(err)
						}
						if err := h.store.Put(ctx, mp3, strings.NewReader("published")); err != nil {
							t.Error(err)
						}
					}
					return storing(ctx, m, job)
				}})
				if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
					t.Error(err)
				}
				want, worker := "sound", "test"
				if taken {
					want, worker = "published", "other"
				}
				o, err := h.store.Open(t.Context(), mp3)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(o); err != nil || string(got) != want {
					t.Errorf("stored %q %v", got, err)
				}
				if j := h.job(); j.Worker != worker || (j.State == station.JobDone) == taken {
					t.Errorf("job is %+v", j)
				}
			})
		})
	}
}

// A replay that takes far longer than its live is given up, and counted.
func TestEndless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.record()
		h.make(maker{work: func(ctx context.Context, _ maker, _ replay.Job) (replay.Result, error) {
			<-ctx.Done()
			return replay.Result{}, ctx.Err()
		}})
		begun := time.Now()
		if err := h.worker().Handle(t.Context(), h.live.ID); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(begun); took != 32*time.Minute { // half an hour, and twice the live
			t.Errorf("it took %v", took)
		}
		if j := h.job(); j.State != station.JobPending || j.Attempts != 1 || !strings.Contains(j.Error, "no replay after 32m") {
			t.Errorf("job is %+v", j)
		}
	})
}
