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
	size, _, err := a.deposit(ctx, id)
	if errors.Is(err, errMissing) {
		return a.doWithout(ctx, job)
	}
	if err != nil {
		return err
	}
	if err := a.handOn(ctx, job, false); err != nil {
		return err
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

// deposit makes sure that the store has the recording, and tells its size and
// whether it is there only now.
func (a *Archive) deposit(ctx context.Context, id string) (size int64, came bool, err error) {
	f, err := os.Open(a.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, errMissing
	}
	if err != nil {
		return 0, false, fmt.Errorf("archive: %w", err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return 0, false, fmt.Errorf("archive: %w", err)
	}
	stored, there, err := a.stored(ctx, id)
	if err != nil || there && stored == before.Size() {
		return before.Size(), false, err
	}
	if err := a.put(ctx, id, f, before.Size()); err != nil {
		return 0, false, err
	}
	after, err := f.Stat()
	if err != nil {
		return 0, false, fmt.Errorf("archive: %w", err)
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return 0, false, errWriting
	}
	return before.Size(), true, nil
}

// stored tells whether the store has a recording, and its size. It is put under
// its key whole or not at all, so that its size is proof.
func (a *Archive) stored(ctx context.Context, id string) (size int64, there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	o, err := a.cfg.Store.Open(ctx, station.RawKey(id))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("archive: asking the store for a recording: %w", err)
	}
	defer o.Close()
	return o.Info().Size, true, nil
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

// doWithout deals with a job that has no recording on this disk: somebody put it
// into the store by hand, nothing was recorded, or it was lost. Lost it goes to a
// worker all the same, whose failure shows people what to put where.
func (a *Archive) doWithout(ctx context.Context, job station.Job) error {
	if err := a.marked(); err != nil {
		return err
	}
	_, there, err := a.stored(ctx, job.LiveID)
	if err != nil {
		return err
	}
	live, err := a.live(ctx, job.LiveID)
	if err != nil {
		return err
	}
	switch {
	case there:
		a.cfg.Logger.Info("a recording that is not on this disk is in the store", "live_id", job.LiveID)
	case live.Heard():
		a.cfg.Logger.Error("the recording of a live is gone from this disk: it will have no replay", "live_id", job.LiveID, "duration", live.Stats.Duration)
	default:
		a.cfg.Logger.Info("a live without a recording: nobody was heard", "live_id", job.LiveID)
	}
	return a.handOn(ctx, job, !there && !live.Heard())
}

func (a *Archive) live(ctx context.Context, id string) (station.Live, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	live, err := a.cfg.Lives.Live(ctx, id)
	if err != nil {
		return station.Live{}, fmt.Errorf("archive: asking the catalog for a live without a recording: %w", err)
	}
	return live, nil
}

// handOn makes the job one for workers, or ends it when nothing was recorded.
func (a *Archive) handOn(ctx context.Context, job station.Job, nothing bool) error {
	short, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	if err := a.cfg.Jobs.Deposited(short, job.LiveID, nothing); err != nil {
		return fmt.Errorf("archive: telling the catalog of an uploaded recording: %w", err)
	}
	if !nothing {
		a.enqueue(ctx, job)
	}
	return nil
}

// enqueue asks for the replay. The queue away is no failure: the catalog
// remembers.
func (a *Archive) enqueue(ctx context.Context, job station.Job) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	if err := a.cfg.Queue.Enqueue(ctx, job.LiveID, job.Priority); err != nil {
		a.cfg.Logger.Warn("the queue does not answer: the replay will be asked for again", "live_id", job.LiveID, "err", err)
	}
}
