package hls

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/roadwave/roadwave/media"
)

const vodPlaylist = "vod.m3u8"

// ErrNoFrames is what [WriteVOD] returns for a recording without a frame.
var ErrNoFrames = errors.New("hls: there is nothing to package: no frames came")

// VODConfig configures [WriteVOD].
type VODConfig struct {
	// Store receives the segments and playlists. Required.
	Store Store
	// Prefix begins every key. It must be of this recording alone, and another
	// one when its frames change, for caches keep segments for ever. Required.
	Prefix string
	// Track describes the frames. Required.
	Track media.Track
	// SegmentDuration is 1 to 60 s. Default 10 s.
	SegmentDuration time.Duration
	// Parallel is how many segments are stored at the same time, and about how
	// many are in memory. Default 4, at most 64.
	Parallel int
	// Progress is called after each segment was stored, from one goroutine at a
	// time. Default nil.
	Progress func(VOD)
}

// A VOD describes what [WriteVOD] has stored.
type VOD struct {
	Index    string // key of the multivariant playlist
	Duration time.Duration
	Segments int
	Bytes    int64 // of all segments
}

// WriteVOD packages frames as they come, in order, and stores them: segments
// first, then their playlist, <Prefix>/index.m3u8 last, so that a player finds
// the recording whole or not at all. Only a few segments are in memory at a
// time. The same frames give the same objects, so a run that was cut off is
// simply done again.
func WriteVOD(ctx context.Context, config VODConfig, frames iter.Seq2[media.Frame, error]) (VOD, error) {
	if err := config.fill(); err != nil {
		return VOD{}, err
	}
	box, err := newContainer(config.Track)
	if err != nil {
		return VOD{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &vodWriter{
		VODConfig: config, ctx: ctx, cancel: cancel, box: box,
		length: media.Samples(config.SegmentDuration),
		slots:  make(chan struct{}, config.Parallel),
	}
	err = w.write(frames)
	w.storing.Wait() // nothing goes on after we return
	if err == nil {
		err = context.Cause(ctx) // a segment that was not stored
	}
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return w.vod, fmt.Errorf("hls: package recording: %w", err)
	}
	return w.vod, nil
}

// fill fills in the defaults and checks the rest.
func (c *VODConfig) fill() error {
	c.SegmentDuration = cmp.Or(c.SegmentDuration, 10*time.Second)
	c.Parallel = cmp.Or(c.Parallel, 4)
	switch {
	case c.Store == nil:
		return errors.New("hls: VODConfig.Store is missing")
	case c.SegmentDuration < time.Second || c.SegmentDuration > time.Minute:
		return fmt.Errorf("hls: SegmentDuration %v: give 1 s to 1 min", c.SegmentDuration)
	case c.Parallel < 1 || c.Parallel > 64:
		return fmt.Errorf("hls: Parallel %d: give 1 to 64", c.Parallel)
	}
	return checkPrefix(c.Prefix)
}

// vodWriter is one WriteVOD.
type vodWriter struct {
	VODConfig
	ctx    context.Context
	cancel context.CancelCauseFunc
	box    container
	length int64

	pending []media.Frame
	entries []entry
	meter   meter
	longest int64

	slots   chan struct{} // one per segment being stored
	storing sync.WaitGroup
	mu      sync.Mutex
	vod     VOD
}

func (w *vodWriter) write(frames iter.Seq2[media.Frame, error]) error {
	if header, err := w.box.header(); err != nil {
		return err
	} else if header != nil {
		if err := w.Store.Put(w.ctx, w.key(w.headerName()), bytes.NewReader(header)); err != nil {
			return err
		}
	}
	g := grid{length: w.length}
	for f, err := range frames {
		if err != nil {
			return err
		}
		if n := len(w.pending); len(f.Data) == 0 || f.Duration <= 0 || n > 0 && f.PTS < w.pending[n-1].PTS {
			return fmt.Errorf("a frame of %d bytes and %d samples at %d: frames must be in order and last", len(f.Data), f.Duration, f.PTS)
		}
		before, after := g.place(f.PTS, f.End())
		if before {
			if err := w.seal(); err != nil {
				return err
			}
		}
		w.pending = append(w.pending, f)
		if after {
			if err := w.seal(); err != nil {
				return err
			}
		}
	}
	if len(w.pending) > 0 {
		return w.seal()
	}
	return nil
}

// seal wraps the pending frames and stores them in the background.
func (w *vodWriter) seal() error {
	number := int64(len(w.entries))
	first, last := w.pending[0], w.pending[len(w.pending)-1]
	body, err := w.box.segment(number, w.pending)
	if err != nil {
		return err
	}
	w.pending = w.pending[:0]
	duration := last.End() - first.PTS
	name := strconv.FormatInt(number, 10) + w.box.extension()
	w.entries = append(w.entries, entry{uri: name, duration: duration})
	w.meter.add(len(body), duration, w.length)
	w.longest = max(w.longest, duration)
	select {
	case w.slots <- struct{}{}:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	w.storing.Go(func() {
		defer func() { <-w.slots }()
		w.store(name, body, duration)
	})
	return nil
}

func (w *vodWriter) store(name string, body []byte, duration int64) {
	if err := w.Store.Put(w.ctx, w.key(name), bytes.NewReader(body)); err != nil {
		w.cancel(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.vod.Segments++
	w.vod.Bytes += int64(len(body))
	w.vod.Duration += media.Duration(duration)
	if w.Progress != nil {
		w.Progress(w.vod)
	}
}

// finish stores the playlists, the multivariant one last.
func (w *vodWriter) finish() error {
	if len(w.entries) == 0 {
		return ErrNoFrames
	}
	total := int64(0)
	for _, e := range w.entries {
		total += e.duration
	}
	w.vod.Duration = media.Duration(total)
	p := mediaPlaylist{vod: true, ended: true, entries: w.entries}
	// EXTINF, rounded, may not exceed it (RFC 8216bis §4.4.3.1).
	p.target = int((max(w.longest, w.length) + media.SampleRate/2) / media.SampleRate)
	if h, err := w.box.header(); err != nil {
		return err
	} else if h != nil {
		p.header = w.headerName()
	}
	if err := w.Store.Put(w.ctx, w.key(vodPlaylist), bytes.NewReader(p.append(nil))); err != nil {
		return err
	}
	w.vod.Index = path.Join(w.Prefix, indexName)
	index := appendMultivariant(nil, []variant{w.meter.variant(w.Track, w.Track.Name+"/"+vodPlaylist)})
	return w.Store.Put(w.ctx, w.vod.Index, bytes.NewReader(index))
}

func (w *vodWriter) key(name string) string { return path.Join(w.Prefix, w.Track.Name, name) }
func (w *vodWriter) headerName() string     { return "init" + w.box.extension() }
