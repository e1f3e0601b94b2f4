package relive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	// fetched is what part of a replay's time is over when its recording is here.
	fetched = 0.05
	// downloadPatience bounds waiting for a store with no work in hand yet.
	downloadPatience = time.Minute
	// stalled is how long a store may say nothing in the middle of an object.
	stalled = time.Minute
	// barrenTries is how often a download is begun again that brings no byte.
	barrenTries = 5
)

// A download is a recording on its way here.
type download struct {
	*job
	key  string
	file *os.File
	need func(size int64) error // says whether there is room

	info hls.Info // of the object that have is a part of
	have int64
}

// download fetches the recording of a live into a folder. One that breaks off
// goes on where it was.
func (j *job) download(ctx context.Context, live station.Live, folder string) (path string, err error) {
	j.report("download", 0)
	path = filepath.Join(folder, "recording"+station.RawExt)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", &lack{theDisk, fmt.Errorf("a place for the recording: %w", err)}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	d := &download{job: j, key: station.RawKey(live.ID), file: file, need: func(size int64) error {
		return enough(folder, size, max(live.EndedAt.Sub(live.StartedAt), live.Stats.Duration))
	}}
	last := time.Now()
	for barren := 0; ; {
		before := d.have
		err := d.part(ctx)
		switch final := (*finalError)(nil); {
		case err == nil:
			return path, nil
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case errors.As(err, &final):
			return "", err
		case d.have > before:
			barren, last = 0, time.Now()
		default:
			barren++
		}
		switch {
		case barren < barrenTries:
		case errors.Is(err, station.ErrAway):
			return "", &lack{theStore, fmt.Errorf("not a byte for %v: %w", time.Since(last).Round(time.Second), err)}
		default:
			return "", err
		}
		j.log.Warn("download of the recording broken off, going on", "have", d.have, "of", d.info.Size, "err", err)
		if err := sleep(ctx, min(firstPause<<barren, longestPause)); err != nil {
			return "", err
		}
	}
}

// A finalError is one that another try would meet again.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// part fetches what is still missing, or as much of it as comes.
func (d *download) part(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alarm := time.AfterFunc(stalled, func() {
		cancel(fmt.Errorf("nothing came for %v: %w", stalled, station.ErrAway))
	})
	defer alarm.Stop()
	var object hls.Object
	err := d.patiently(ctx, theStore, min(d.worker.cfg.Patience, downloadPatience), func() (err error) {
		alarm.Reset(stalled)
		object, err = d.worker.cfg.Store.Open(ctx, d.key)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &finalError{fmt.Errorf("%w: %w", errMissing, err)}
	case err != nil: // it would not give any recording
		return &finalError{&lack{theStore, err}}
	}
	err = d.goOn(object)
	if err == nil {
		err = d.copy(object, func() { alarm.Reset(stalled) })
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err = errors.Join(err, object.Close()); err != nil {
		return fmt.Errorf("relive: fetching the recording: %w", err)
	}
	return nil
}

// goOn places object and file where they go on, at the start when it is not the
// object of before.
func (d *download) goOn(object hls.Object) error {
	info := object.Info()
	if info.Size != d.info.Size || info.ETag != d.info.ETag {
		d.have = 0
	}
	d.info = info
	if d.have == 0 {
		if err := d.need(info.Size); err != nil {
			return &finalError{err}
		}
		if err := d.file.Truncate(0); err != nil {
			return &finalError{err}
		}
	}
	if _, err := d.file.Seek(d.have, io.SeekStart); err != nil {
		return &finalError{err}
	}
	_, err := object.Seek(d.have, io.SeekStart)
	return err
}

// copy takes as many bytes as were announced and not one more.
func (d *download) copy(object io.Reader, alive func()) error {
	buf := make([]byte, 256<<10)
	for d.have < d.info.Size {
		n, err := object.Read(buf[:min(int64(len(buf)), d.info.Size-d.have)])
		alive()
		if n > 0 {
			if _, err := d.file.Write(buf[:n]); err != nil {
				return &finalError{err}
			}
			d.have += int64(n)
			d.report("download", fetched*float64(d.have)/float64(d.info.Size))
			continue // an error comes again
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}
