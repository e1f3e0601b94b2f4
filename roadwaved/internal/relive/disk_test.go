package relive_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A worker whose disk is broken or full costs no job an attempt, and takes ever
// fewer of them.
func TestBrokenDisk(t *testing.T) {
	fails := func(err error) func(*house) {
		return func(h *house) {
			h.make(maker{work: func(context.Context, maker, replay.Job) (replay.Result, error) { return replay.Result{}, err }})
		}
	}
	for name, prepare := range map[string]func(h *house){
		"no folder": func(h *house) { h.cfg.TempDir = filepath.Join(h.temp, "gone") },
		"full":      fails(fmt.Errorf("replay: %w", syscall.ENOSPC)),
		"FFmpeg":    fails(errors.New("replay: FFmpeg: audio.mp3: No space left on device")),
		"read only": fails(fmt.Errorf("replay: %w", &fs.PathError{Op: "mkdir", Path: "/tmp/replay-1", Err: syscall.EROFS})),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.record()
				prepare(h)
				begun, w := time.Now(), h.worker()
				for range 12 {
					if err := w.Handle(t.Context(), h.live.ID); err == nil {
						t.Fatal("want it delivered again")
					}
					if j := h.job(); j.State != station.JobPending || j.Attempts != 0 || j.Step != "waits for the disk" {
						t.Fatalf("job is %+v", j)
					}
				}
				if took := time.Since(begun); took < 2*time.Minute {
					t.Errorf("12 jobs were taken in %v", took)
				}
			})
		})
	}
}

// Lacking something ends with the first job for which it is there.
func TestRestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.record()
		broken := true
		h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
			if broken {
				return replay.Result{}, syscall.ENOSPC
			}
			return made(ctx, m, job)
		}})
		w := h.worker()
		for range 8 {
			_ = w.Handle(t.Context(), h.live.ID)
		}
		broken = false
		begun := time.Now()
		if err := w.Handle(t.Context(), h.live.ID); err != nil || time.Since(begun) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}
