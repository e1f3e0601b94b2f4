package hls

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roadwave/roadwave/media"
)

// shape is what all renditions of a live share.
type shape struct {
	id       string
	length   int64         // of a segment, in samples
	target   int           // seconds
	window   int           // listed segments
	keep     int           // segments kept in memory
	maxBytes int           // of one rendition's segments in memory
	holdBack time.Duration // once enough exists
	start    time.Time     // wall time of PTS 0, set by the first packet
}

// A rendition turns the frames of one track into segments and a playlist.
type rendition struct {
	track   media.Track
	shape   *shape
	rereads bool                                      // its packets are read again: the ladder's source
	header  *resource                                 // EXT-X-MAP, nil in MPEG-TS
	sealed  func(r *rendition, s *segment, v variant) // s is nil at the end

	snap atomic.Pointer[snapshot]

	mu       sync.Mutex
	box      container
	grid     grid
	number   int64          // of the segment that pending belongs to
	pending  []media.Packet // not yet in a segment
	arena    []byte         // their bytes
	segments []*segment
	bytes    int // of segments
	held     bool
	ended    bool
	meter    meter
}

func newRendition(t media.Track, s *shape) (*rendition, error) {
	box, err := newContainer(t)
	if err != nil {
		return nil, err
	}
	r := &rendition{track: t, shape: s, box: box, grid: grid{length: s.length}}
	header, err := box.header()
	if err != nil {
		return nil, err
	}
	if header != nil {
		r.header = newResource(r.headerName(), header, cacheSegment)
	}
	r.snap.Store(&snapshot{})
	return r, nil
}

func (r *rendition) headerName() string { return r.shape.id + "-init" + r.box.extension() }

// write adds a packet or frame. What it returns is a failure to wrap a
// segment, which then is missing.
func (r *rendition) write(p media.Packet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, after := r.grid.place(p.PTS, p.End())
	var err error
	if before {
		err = r.seal()
	}
	r.number = r.grid.number
	start := len(r.arena)
	r.arena = append(r.arena, p.Data...)
	p.Data = r.arena[start:len(r.arena):len(r.arena)]
	r.pending = append(r.pending, p)
	if after {
		err = errors.Join(err, r.seal())
	}
	return err
}

// seal finishes the segment of the pending packets.
func (r *rendition) seal() error {
	packets := r.pending
	frames := make([]media.Frame, len(packets))
	for i, p := range packets {
		frames[i] = media.Frame{PTS: p.PTS, Duration: p.Duration, Data: p.Data}
	}
	body, err := r.box.segment(r.number, frames)
	r.pending = r.pending[:0:0]
	r.arena = make([]byte, 0, len(r.arena)+len(r.arena)/8) // the next one will be about as big
	if err != nil {
		return fmt.Errorf("segment %d of %s is missing: %w", r.number, r.track.Name, err)
	}
	last := len(frames) - 1
	s := &segment{segmentInfo: segmentInfo{
		number:   r.number,
		pts:      frames[0].PTS,
		duration: frames[last].End() - frames[0].PTS,
		name:     r.shape.id + "-" + strconv.FormatInt(r.number, 10) + r.box.extension(),
	}}
	s.resource = newResource(s.name, body, cacheSegment)
	if r.rereads {
		s.spans = spans(s.pts, packets)
	}
	r.add(s)
	return nil
}

func (r *rendition) add(s *segment) {
	if n := len(r.segments); n > 0 && r.segments[n-1].number+1 != s.number {
		r.drop(n) // a hole: a playlist cannot leave out a number
	}
	r.segments = append(r.segments, s)
	r.bytes += len(s.body)
	r.meter.add(len(s.body), s.duration, r.shape.length)
	r.trim(s.number)
	if !r.held {
		r.publish()
	}
	if r.sealed != nil {
		r.sealed(r, s, r.variant())
	}
}

// drop forgets the n oldest segments.
func (r *rendition) drop(n int) {
	for _, s := range r.segments[:n] {
		r.bytes -= len(s.body)
	}
	r.segments = append([]*segment(nil), r.segments[n:]...)
}

// minListed is how many segments stay listed however big they are.
const minListed = 3

// trim forgets what is too old when segment edge is the newest of the live, or
// more than may be held.
func (r *rendition) trim(edge int64) {
	n, bytes := 0, r.bytes
	for _, s := range r.segments {
		tooBig := bytes > r.shape.maxBytes && len(r.segments)-n > minListed
		if s.number > edge-int64(r.shape.keep) && !tooBig {
			break
		}
		n++
		bytes -= len(s.body)
	}
	if n > 0 {
		r.drop(n)
	}
}

// age trims a rendition that is not being written, while the live goes on to edge.
func (r *rendition) age(edge int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.segments) > 0 && r.segments[len(r.segments)-1].number < edge-int64(r.shape.window) {
		r.drop(len(r.segments))
		r.publish()
	}
}

// publish makes the playlist and shows it, with the segments, to the handler.
func (r *rendition) publish() {
	s := &snapshot{segments: append([]*segment(nil), r.segments...), ended: r.ended}
	s.listed = min(len(s.segments), r.shape.window)
	if s.listed > 0 {
		infos := make([]segmentInfo, s.listed)
		for i, seg := range s.segments[len(s.segments)-s.listed:] {
			infos[i] = seg.segmentInfo
		}
		s.playlist = newPlaylist(r.playlist(infos, nil, r.ended), cachePlaylist)
	}
	r.snap.Store(s)
}

// playlist writes the media playlist that lists infos; missing names those
// that could not be stored.
func (r *rendition) playlist(infos []segmentInfo, missing map[int64]bool, ended bool) []byte {
	p := mediaPlaylist{target: r.shape.target, sequence: infos[0].number, ended: ended}
	if r.header != nil {
		p.header = r.headerName()
	}
	p.entries = make([]entry, len(infos))
	listed := int64(0)
	for i, s := range infos {
		p.entries[i] = entry{uri: s.name, duration: s.duration, gap: missing[s.number]}
		listed += s.duration
	}
	p.entries[0].at = r.shape.start.Add(media.Duration(infos[0].pts))
	// A player that is told to stay further behind than the list is long
	// stalls, so it grows with what exists; less than three target durations
	// is not allowed (RFC 8216bis §4.4.3.8).
	p.holdBack = min(r.shape.holdBack, media.Duration(listed).Truncate(100*time.Millisecond))
	p.holdBack = max(p.holdBack, time.Duration(3*r.shape.target)*time.Second)
	return p.append(make([]byte, 0, 256+64*len(infos)))
}

// hold keeps what is added from being shown until release.
func (r *rendition) hold(held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held && !held {
		r.publish()
	}
	r.held = held
}

// restart drops the open segment and lets the next frames begin segment from,
// or the one after those that exist. It returns the PTS from which frames are
// wanted: earlier ones are pre-roll, or time that is already packaged. Where the
// rendition begins with the live, an encoder's priming is wanted too.
func (r *rendition) restart(from int64, withLive bool) (wanted int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending, r.arena = nil, nil
	r.grid.open = false
	r.grid.next = max(r.grid.next, from)
	if withLive && r.grid.next == from {
		return math.MinInt64
	}
	wanted = r.grid.next * r.shape.length
	if n := len(r.segments); n > 0 {
		wanted = max(wanted, r.segments[n-1].pts+r.segments[n-1].duration)
	}
	return wanted
}

// next is the number of the segment that is open or comes next.
func (r *rendition) next() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grid.open {
		return r.grid.number
	}
	return r.grid.next
}

// end finishes the last, short segment and the playlist.
func (r *rendition) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil
	}
	var err error
	r.held, r.ended = false, true
	if len(r.pending) > 0 {
		r.grid.close()
		err = r.seal()
	}
	r.publish()
	if r.sealed != nil {
		r.sealed(r, nil, r.variant())
	}
	return err
}

// begun reports whether anything was ever written.
func (r *rendition) begun() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.segments) > 0 || len(r.pending) > 0
}

// oldest is the PTS of the oldest packet that read can give, once begun.
func (r *rendition) oldest() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.segments) > 0 {
		return r.segments[0].pts
	}
	return r.pending[0].PTS
}

// variant describes the rendition for a multivariant playlist.
func (r *rendition) variant() variant {
	return r.meter.variant(r.track, r.track.Name+"/"+playlistName)
}
