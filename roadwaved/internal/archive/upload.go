package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// upload brings the recording of a job to the store, hands the job on and
// deletes the file. Each step may have been done before, by a process that was
// killed.
func (a *Archive) upload(ctx context.Context, job station.Job) error {
	id := job.LiveID
	switch {
	case !named(id):
		return fmt.Errorf("archive: a live id %.80q names no file", id)
	case a.cfg.Recording(id):
		return errWriting
	}
	// The list it stood on may be older than the end of its upload.
	if waits, err := a.waits(ctx, id); err != nil || !waits {
		return err
	}
	size, err := a.deposit(ctx, id)
	missing := errors.Is(err, errMissing)
	if missing {
		a.explain(ctx, id)
	} else if err != nil {
		return err
	}
	if err := a.handOn(ctx, job); err != nil {
		return err
	}
	if missing {
		return nil
	}
	if err := os.Remove(a.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.cfg.Logger.Warn("recording uploaded but still on this disk: it is deleted later", "live_id", id, "err", err)
		return nil
	}
	a.cfg.Logger.Info("recording uploaded", "live_id", id, "bytes", size)
	return nil
}

// waits tells whether the job still waits for its recording.
func (a *Archive) waits(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	job, err := a.cfg.Jobs.Job(ctx, id)
	if err != nil {
		return false, fmt.Errorf("archive: asking the catalog for a job: %w", err)
	}
	return job.State == station.JobUploading, nil
}

var (
	errMissing = errors.New("archive: there is no recording on this disk")
	errWriting = errors.New("archive: the recording is still being written")
)

// deposit makes sure that the store has the recording, and tells its size.
func (a *Archive) deposit(ctx context.Context, id string) (size int64, err error) {
	f, err := os.Open(a.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Stat(a.cfg.Recordings); gone != nil {
			return 0, fmt.Errorf("archive: the folder of recordings cannot be read, is its disk there? %w", gone)
		}
		return 0, errMissing
	}
	if err != nil {
		return 0, fmt.Errorf("archive: %w", err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("archive: %w", err)
	}
	there, err := a.stored(ctx, id, before.Size())
	if err != nil || there {
		return before.Size(), err
	}
	if err := a.put(ctx, id, f, before.Size()); err != nil {
		return 0, err
	}
	after, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("archive: %w", err)
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return 0, errWriting
	}
	return before.Size(), nil
}

// stored tells whether the store has the recording already. It is put under its
// key whole or not at all, so that its size is proof.
func (a *Archive) stored(ctx context.Context, id string, size int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	o, err := a.cfg.Store.Open(ctx, station.RawKey(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("archive: asking the store for a recording: %w", err)
	}
	defer o.Close()
	return o.Info().Size == size, nil
}

// progressInterval is how often a slow upload is told of.
const progressInterval = 30 * time.Second

func (a *Archive) put(ctx context.Context, id string, f *os.File, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.PutTimeout)
	defer cancel()
	body := &counted{File: f}
	began := time.Now()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	done := make(chan error, 1)
	go func() { done <- a.cfg.Store.Put(ctx, station.RawKey(id), body) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("archive: uploading a recording: %w", err)
			}
			return nil
		case <-tick.C:
			a.cfg.Logger.Info("recording still being uploaded", "live_id", id, "done", body.at.Load(), "bytes", size, "since", time.Since(began).Round(time.Second))
		}
	}
}

// counted is a file that tells how far it was read.
type counted struct {
	*os.File
	at atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.at.Add(int64(n))
	return n, err
}

func (c *counted) Seek(offset int64, whence int) (int64, error) {
	at, err := c.File.Seek(offset, whence)
	c.at.Store(at)
	return at, err
}

// explain says why there is no recording: nobody was heard, or it was lost. The
// worker finds out the same and ends the job accordingly.
func (a *Archive) explain(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	switch live, err := a.cfg.Lives.Live(ctx, id); {
	case err != nil:
		a.cfg.Logger.Warn("a live without a recording, and the catalog does not say whether anybody was heard", "live_id", id, "err", err)
	case live.Stats.Duration > 0:
		a.cfg.Logger.Error("the recording of a live is gone from this disk: it will have no replay", "live_id", id, "duration", live.Stats.Duration)
	default:
		a.cfg.Logger.Info("a live without a recording: nobody was heard", "live_id", id)
	}
}

// handOn makes the job one for workers. The queue away is no failure: the
// catalog remembers.
func (a *Archive) handOn(ctx context.Context, job station.Job) error {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	if err := a.cfg.Jobs.Deposited(ctx, job.LiveID); err != nil {
		return fmt.Errorf("archive: telling the catalog of an uploaded recording: %w", err)
	}
	if err := a.cfg.Queue.Enqueue(ctx, job.LiveID, job.Priority); err != nil {
		a.cfg.Logger.Warn("the queue does not answer: the replay will be asked for again", "live_id", job.LiveID, "err", err)
	}
	return nil
}
