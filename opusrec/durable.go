package opusrec

import (
	"errors"
	"fmt"
	"os"
)

func (r *Recorder) syncLoop() {
	defer close(r.done)
	for range r.wake {
		if err := r.sync(); err != nil {
			r.mu.Lock()
			if r.err == nil {
				r.fail(err)
			}
			r.mu.Unlock()
			return
		}
	}
}

// sync makes what is written durable. After a failure it must not be tried
// again: the kernel may have dropped the pages it could not write.
func (r *Recorder) sync() error {
	r.syncMu.Lock()
	defer r.syncMu.Unlock()
	if r.gone {
		return ErrClosed
	}
	if written := r.stats.written.Load(); written != r.stats.durable.Load() {
		if err := r.file.Sync(); err != nil {
			return fmt.Errorf("syncing to the disk: %w", err)
		}
		r.stats.durable.Store(written)
	}
	if f, ok := r.file.(*os.File); ok {
		return stillThere(f, r.path)
	}
	return nil
}

// Sync writes the page that was begun and returns when everything is on the
// disk.
func (r *Recorder) Sync() error {
	r.mu.Lock()
	err := r.state()
	if err == nil && !r.page.Empty() {
		err = r.flush(0)
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	err = r.sync()
	if err == nil || errors.Is(err, ErrClosed) { // Close was faster, and synced
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.fail(err)
	}
	return r.err
}

// Durable is how many bytes at the start of the file are safe on the disk and
// will never change: always whole pages. What lies before may be copied while
// the recording goes on.
func (r *Recorder) Durable() int64 { return r.stats.durable.Load() }

// stillThere finds out whether the file was deleted or replaced while it was
// written, which no write notices.
func stillThere(f *os.File, path string) error {
	written, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("the recording was removed while it was written: %w", err)
	}
	if !os.SameFile(written, named) {
		return fmt.Errorf("it was replaced by another file while it was recorded")
	}
	return nil
}
