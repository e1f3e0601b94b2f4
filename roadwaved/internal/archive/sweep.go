package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// sweepInterval is the time between two looks for recordings that are left over
// on the disk.
const sweepInterval = 10 * time.Minute

// sweepAll sweeps at once and then from time to time, until ctx ends.
func (a *Archive) sweepAll(ctx context.Context) {
	for {
		pause := sweepInterval
		if err := a.sweep(ctx); err != nil && ctx.Err() == nil {
			pause = longPause
			a.cfg.Logger.Warn("not all recordings that may be left over were looked at, trying again", "in", pause, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// sweep deletes the recordings that are no longer needed here: their process was
// killed after the catalog took note and before the file was gone.
func (a *Archive) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(a.cfg.Recordings)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	var failed []error
	for _, e := range entries {
		id, recording := strings.CutSuffix(e.Name(), station.RawExt)
		if !recording || !e.Type().IsRegular() || !named(id) || a.busy(id) {
			continue
		}
		if err := a.sweepOne(ctx, id); err != nil {
			failed = append(failed, err)
			if len(failed) == 3 || ctx.Err() != nil {
				break // it will not get better
			}
		}
	}
	return errors.Join(failed...)
}

func (a *Archive) busy(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at[id] || a.cfg.Recording(id)
}

func (a *Archive) sweepOne(ctx context.Context, id string) error {
	qctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	job, err := a.cfg.Jobs.Job(qctx, id)
	switch {
	case errors.Is(err, station.ErrNotFound):
		return a.unclaimed(qctx, id)
	case err != nil:
		return fmt.Errorf("archive: asking the catalog for a job: %w", err)
	case job.State == station.JobUploading && job.Node == a.cfg.Node:
		return nil // its turn comes
	case job.State == station.JobUploading:
		a.tell(id, "a recording waits on this disk for a daemon of another name: start it there, or this one with that name", "node", job.Node)
		return nil
	case job.State != station.JobDone:
		if err := a.comeBack(ctx, job); err != nil {
			return err
		}
	}
	if err := os.Remove(a.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("archive: %w", err)
	}
	a.cfg.Logger.Info("recording left over on this disk deleted, the store has it", "live_id", id, "job", job.State)
	return nil
}

// comeBack deals with a recording whose job is beyond uploading and not done: the
// store has it, or it has come back with a disk that was not there. Then a job
// that was ended without it begins again.
func (a *Archive) comeBack(ctx context.Context, job station.Job) error {
	_, came, err := a.deposit(ctx, job.LiveID)
	if errors.Is(err, errMissing) {
		return nil
	}
	if err != nil || !came {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	if err := a.cfg.Jobs.Reopen(ctx, job.LiveID); err != nil && !errors.Is(err, station.ErrJobOver) {
		return fmt.Errorf("archive: reopening the job of a recording that came back: %w", err)
	}
	a.cfg.Logger.Warn("a recording came back after its job went on without it: the replay is made now", "live_id", job.LiveID, "job", job.State)
	a.enqueue(ctx, job)
	return nil
}

// unclaimed deals with a recording that has no job: of a live that is on air, or
// of nothing the catalog knows. It is never deleted.
func (a *Archive) unclaimed(ctx context.Context, id string) error {
	switch live, err := a.cfg.Lives.Live(ctx, id); {
	case errors.Is(err, station.ErrNotFound):
		a.tell(id, "a recording of a live that the catalog does not know: it is left alone, delete it if nobody needs it")
	case err != nil:
		return fmt.Errorf("archive: asking the catalog for a live: %w", err)
	case live.State == station.OnAir && live.Node != a.cfg.Node:
		a.tell(id, "a recording of a live that is on air elsewhere: it is left alone", "node", live.Node)
	}
	return nil
}

// tell warns of a file once.
func (a *Archive) tell(id, message string, args ...any) {
	a.mu.Lock()
	known := a.told[id]
	a.told[id] = true
	a.mu.Unlock()
	if !known {
		a.cfg.Logger.Warn(message, append([]any{"live_id", id, "file", a.path(id)}, args...)...)
	}
}
