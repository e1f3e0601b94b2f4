package relive_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/disk"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A badStore gives objects that break off.
type badStore struct {
	hls.Store
	opened *int
	// after is how many bytes come from the nth opening; -1 for all.
	after func(n int) int64
	err   error
	// hang says nothing instead of an error, until ctx ends.
	hang bool
}

type badObject struct {
	hls.Object
	ctx   context.Context
	store *badStore
	left  int64
}

func (s *badStore) Open(ctx context.Context, key string) (hls.Object, error) {
	o, err := s.Store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	*s.opened++
	return &badObject{o, ctx, s, s.after(*s.opened)}, nil
}

func (o *badObject) Read(p []byte) (int, error) {
	switch {
	case o.left < 0:
		return o.Object.Read(p)
	case o.left == 0 && o.store.hang:
		<-o.ctx.Done()
		return 0, o.ctx.Err()
	case o.left == 0:
		return 0, o.store.err
	}
	n, err := o.Object.Read(p[:min(int64(len(p)), o.left)])
	o.left -= int64(n)
	return n, err
}

// A download that breaks off goes on where it was, for as long as something comes.
func TestDownloadGoesOn(t *testing.T) {
	for name, store := range map[string]*badStore{
		"broken":  {err: io.ErrUnexpectedEOF},
		"cut":     {err: io.EOF},
		"stalled": {hang: true},
		"away":    {err: station.ErrAway},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				raw := recorded(t, 3*time.Second)
				h.deposit(h.live.ID, raw)
				store.Store, store.opened = h.store, new(int)
				step := int64(len(raw)/20 + 1)
				store.after = func(n int) int64 {
					if n%3 == 2 {
						return 0
					}
					return step
				}
				h.cfg.Store = store
				h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
					got, err := os.ReadFile(job.Recording)
					if err != nil || !bytes.Equal(got, raw) {
						t.Errorf("worked on %d bytes of %d (%v)", len(got), len(raw), err)
					}
					return made(ctx, m, job)
				}})
				if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
					t.Fatal(err)
				}
				if j := h.job(); j.State != station.JobDone || j.Attempts != 1 {
					t.Errorf("job is %+v", j)
				}
				if *store.opened < 20 {
					t.Errorf("opened %d times: it did not break", *store.opened)
				}
			})
		})
	}
}

// One that never comes is given up in minutes; it counts when the store answers
// that it cannot, and not when the store does not answer.
func TestDownloadNeverEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		store    *badStore
		attempts int
	}{
		"broken":  {&badStore{err: errors.New("checksum differs")}, 1},
		"stalled": {&badStore{hang: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.record()
				tt.store.Store, tt.store.opened = h.store, new(int)
				// The first opening brings 100 bytes, the next ones go on from there
				// and bring none.
				tt.store.after = func(n int) int64 {
					if n == 1 {
						return 100
					}
					return 0
				}
				h.cfg.Store = tt.store
				begun := time.Now()
				if err := h.worker().Handle(t.Context(), h.live.ID); err == nil || errors.Is(err, station.ErrAway) != (tt.attempts == 0) {
					t.Fatalf("got %v", err)
				}
				if took := time.Since(begun); took > 10*time.Minute {
					t.Errorf("it took %v", took)
				}
				if j := h.job(); j.State != station.JobPending || j.Attempts != tt.attempts {
					t.Errorf("job is %+v", j)
				}
			})
		})
	}
}

// Another object under the same key, in the middle: begun again, not glued.
func TestRecordingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		noise := make([]byte, 50_000)
		if _, err := rand.Read(noise); err != nil {
			t.Fatal(err)
		}
		h.deposit(h.live.ID, noise)
		raw := recorded(t, 3*time.Second)
		store := &badStore{Store: h.store, opened: new(int), err: io.ErrUnexpectedEOF}
		store.after = func(n int) int64 {
			if n == 1 {
				time.AfterFunc(time.Millisecond, func() { h.deposit(h.live.ID, raw) })
				return 40_000
			}
			return -1
		}
		h.cfg.Store = store
		h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
			if got, err := os.ReadFile(job.Recording); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("worked on %d bytes, want %d (%v)", len(got), len(raw), err)
			}
			return made(ctx, m, job)
		}})
		if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
			t.Fatal(err)
		}
	})
}

// hugeStore announces recordings that no disk has room for.
type hugeStore struct{ hls.Store }

type hugeObject struct{ hls.Object }

func (s hugeStore) Open(ctx context.Context, key string) (hls.Object, error) {
	o, err := s.Store.Open(ctx, key)
	return hugeObject{o}, err
}

func (o hugeObject) Info() hls.Info {
	info := o.Object.Info()
	info.Size = 1 << 60
	return info
}

func TestNoSpace(t *testing.T) {
	if _, known := disk.Free(t.TempDir()); !known {
		t.Skip("this system does not tell how much space is left")
	}
	h := newHouse(t)
	h.record()
	h.cfg.Store = hugeStore{h.store}
	err := h.worker().Handle(t.Context(), h.live.ID)
	if err == nil || !strings.Contains(err.Error(), "needs 2305843009216 MB in "+h.temp) || !strings.Contains(err.Error(), "it has ") {
		t.Errorf("got %v", err)
	}
	if j := h.job(); j.State != station.JobPending || j.Attempts != 0 || j.Step != "waits for disk space" {
		t.Errorf("job is %+v", j)
	}
}
