package hls

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roadwave/roadwave/media"
)

var (
	// ErrClosed is what [Live.WritePacket] returns after Close.
	ErrClosed = errors.New("hls: the live is closed")

	// ErrOrder means a packet that begins before the previous one ended. It is
	// dropped; the first of a live is reported to OnError.
	ErrOrder = errors.New("hls: packet out of order")
)

// A Live packages one live and serves it. It is a [media.Sink] and an
// [net/http.Handler]; see the package comment for its addresses.
//
// WritePacket only works in memory: writing to the Store, and the ladder, have
// goroutines of their own, and whatever becomes of them the Opus rendition goes
// on. After Close the live stays readable, its playlists ended, until Remove.
type Live struct {
	config    Config
	shape     shape
	opus      *rendition
	rungs     []*rendition
	first     *rendition  // of index.m3u8
	ladder    *ladder     // nil without rungs
	uploaders []*uploader // one per rendition, opus first; nil without a Store

	index, opusIndex atomic.Pointer[resource] // multivariant playlists
	edge             atomic.Int64             // newest Opus segment, -1 before the first
	origin           atomic.Int64             // PTS where the timeline began, or began anew after a hole
	end              atomic.Int64             // PTS right after the last packet, once ended
	ended, removed   atomic.Bool
	late             atomic.Int64 // packets dropped
	waiting          atomic.Int64 // requests that wait
	changes          changes

	mu     sync.Mutex // one packet, or Close, at a time
	begun  bool
	closed bool
	next   int64 // PTS of the next packet

	indexes      indexes
	indexUploads indexUploads
}

// NewLive makes a live that is ready for its first packet.
func NewLive(config Config) (*Live, error) {
	if err := config.fill(); err != nil {
		return nil, err
	}
	l := &Live{config: config}
	l.edge.Store(-1)
	segments := func(d time.Duration) int { return int((d + config.SegmentDuration - 1) / config.SegmentDuration) }
	l.shape = shape{
		id:       config.ID,
		length:   media.Samples(config.SegmentDuration),
		target:   config.target(),
		window:   segments(config.Window),
		maxBytes: config.MaxBytes,
		holdBack: config.HoldBack,
		start:    config.StartedAt,
	}
	// A segment must outlive every playlist that lists it (RFC 8216bis
	// §6.2.2). The Store keeps it for a window more; without one, memory does.
	l.shape.keep = 2 * l.shape.window
	if config.Store != nil {
		l.shape.keep = l.shape.window + 3
	}
	if err := l.makeRenditions(); err != nil {
		return nil, err
	}
	l.publishIndexes()
	if config.Ladder == Always && l.ladder != nil {
		l.ladder.start()
	}
	return l, nil
}

func (l *Live) makeRenditions() error {
	tracks := append([]media.Track{{
		Name: opusName, Codec: media.CodecOpus, SampleRate: media.SampleRate,
		Channels: l.config.Channels, Bitrate: l.config.OpusBitrate,
	}}, l.config.Rungs...)
	for i, t := range tracks {
		r, err := newRendition(t, &l.shape)
		if err != nil {
			return err
		}
		r.sealed = func(r *rendition, s *segment, v variant) { l.sealed(i, r, s, v) }
		l.indexes.variants = append(l.indexes.variants, r.variant())
		l.indexes.measured = append(l.indexes.measured, false)
		if i == 0 {
			l.opus, r.rereads = r, true
		} else {
			l.rungs = append(l.rungs, r)
		}
		if l.config.Store != nil {
			l.uploaders = append(l.uploaders, newUploader(l, r))
		}
	}
	l.first = l.opus
	if l.rungs != nil {
		l.first, l.ladder = l.rungs[0], newLadder(l)
	}
	return nil
}

// WritePacket implements [media.Sink]. It never waits for the Store, the
// ladder or a listener. A hole in the timeline is filled with lost packets, up
// to one window; after a longer one the playlists begin anew. A packet from
// the past is dropped, and reported to OnError as [ErrOrder] once.
func (l *Live) WritePacket(p media.Packet) error {
	if len(p.Data) == 0 || len(p.Data) > math.MaxUint16 || p.Duration < 1 || p.Duration > 5760 || p.PTS < 0 {
		return fmt.Errorf("hls: packet of %d bytes and %d samples at %d: not an Opus packet with a time", len(p.Data), p.Duration, p.PTS)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if !l.begun {
		l.begun, l.next = true, p.PTS
		l.origin.Store(p.PTS)
		if l.shape.start.IsZero() {
			l.shape.start = time.Now().Add(-media.Duration(p.End()))
		}
	}
	if p.PTS < l.next {
		if l.late.Add(1) == 1 {
			l.report(fmt.Errorf("%w: it begins at %d, the previous one ended at %d; it is dropped", ErrOrder, p.PTS, l.next))
		}
		return nil
	}
	if p.PTS-l.next <= media.Samples(l.config.Window) {
		for filler := range media.Gap(p.TOC(), l.next, p.PTS-l.next) {
			l.write(filler)
		}
	} else {
		l.origin.Store(p.PTS)
	}
	l.write(p)
	return nil
}

func (l *Live) write(p media.Packet) {
	l.next = p.End()
	if err := l.opus.write(p); err != nil {
		l.report(SegmentError{err})
	}
	if l.ladder != nil {
		l.ladder.notify()
	}
}

// sealed follows up a finished segment of rendition i, or its end (s nil). The
// rendition is locked.
func (l *Live) sealed(i int, r *rendition, s *segment, v variant) {
	if s != nil {
		if r == l.opus {
			l.edge.Store(s.number)
		}
		if l.config.OnSegment != nil {
			l.config.OnSegment(SegmentEvent{r.track.Name, s.number, s.pts, media.Duration(s.duration), len(s.body)})
		}
		if l.indexes.update(i, v) {
			l.publishIndexes()
		}
	}
	if l.uploaders != nil {
		l.uploaders[i].send(s)
	}
	l.changes.announce()
	if r != l.opus {
		return
	}
	for j, rung := range l.rungs { // those that nobody writes grow old all the same
		rung.age(l.edge.Load())
		if l.uploaders != nil {
			l.uploaders[j+1].nudge()
		}
	}
}

func (l *Live) report(err error) {
	l.config.Logger.Warn("media of a live not packaged or stored as they should be", "id", l.config.ID, "err", err)
	if l.config.OnError != nil {
		l.config.OnError(err)
	}
}

// Stats describes a live at one moment.
type Stats struct {
	Segments int64 // number of the newest Opus segment, plus one
	Ladder   bool  // the ladder is running
	Waiting  int   // requests that wait for a playlist
	Unstored int   // segments that wait for the Store
	Late     int64 // packets dropped because they came from the past
}

// Stats is for metrics; it may be called at any time.
func (l *Live) Stats() Stats {
	s := Stats{
		Segments: l.edge.Load() + 1,
		Ladder:   l.ladder != nil && l.ladder.running.Load(),
		Waiting:  int(l.waiting.Load()),
		Late:     l.late.Load(),
	}
	for _, u := range l.uploaders {
		s.Unstored += u.backlog()
	}
	return s
}

// Wake starts the ladder, if there is one and it is not running, as a request
// for it would: call it when a listener is about to come.
func (l *Live) Wake() {
	if l.ladder != nil && !l.removed.Load() {
		l.ladder.touch()
	}
}

// Close implements [media.Sink]. It finishes the last segment, ends the
// playlists and waits for the ladder and the Store, CloseTimeout at the most;
// what could not be stored by then is the error, and is tried for five minutes
// more, or until Remove. The live stays readable.
func (l *Live) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	err := l.opus.end()
	l.end.Store(l.next)
	l.ended.Store(true)
	l.mu.Unlock()
	l.changes.announce()

	ctx, cancel := context.WithTimeout(context.Background(), l.config.CloseTimeout)
	defer cancel()
	if l.ladder != nil {
		l.ladder.notify()
		err = errors.Join(err, l.ladder.wait(ctx))
	}
	for _, u := range l.uploaders {
		err = errors.Join(err, u.close(ctx))
	}
	return err
}

// Remove closes the live, answers every request with 410 from now on, and
// deletes from the Store what the live put there.
func (l *Live) Remove(ctx context.Context) error {
	l.removed.Store(true)
	l.changes.announce()
	var err error
	if l.ladder != nil {
		err = l.ladder.stop(ctx)
	}
	for _, u := range l.uploaders {
		u.cancel() // what it still carries would only be deleted
	}
	err = errors.Join(err, l.Close())
	if l.config.Store == nil {
		return err
	}
	for _, u := range l.uploaders {
		if u.started() {
			err = errors.Join(err, u.wait(ctx)) // or it would come after the deletion
		}
	}
	for info, e := range l.config.Store.List(ctx, l.config.Prefix+"/") {
		if e == nil {
			e = l.config.Store.Delete(ctx, info.Key)
		}
		if e != nil {
			return errors.Join(err, fmt.Errorf("hls: remove the live from the store: %w", e))
		}
	}
	return err
}

func (l *Live) key(elements ...string) string {
	return path.Join(append([]string{l.config.Prefix}, elements...)...)
}
