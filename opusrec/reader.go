package opusrec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

const (
	// searchLimit is how far into a file its first page is looked for.
	searchLimit = 1 << 20
	// partialLimit bounds a packet put together from several pages; only tags
	// with pictures come near.
	partialLimit = 1 << 20
	// holeLimit is the longest hole that is filled with lost packets. Beyond it
	// a granule position is taken for an error, not for a time.
	holeLimit = 24 * 3600 * media.SampleRate
	// shortestFrame is 2.5 ms, the least that a lost packet can stand for.
	shortestFrame = 120
	// damageLimit is how many damaged places are kept; their bytes are all counted.
	damageLimit = 1000
)

// A Range is a part of a file in bytes.
type Range struct{ Offset, Length int64 }

// Damage is what a reader had to pass over.
type Damage struct {
	// Ranges are the places that hold no whole page, at most the first 1000.
	Ranges []Range
	// Bytes is their length together.
	Bytes int64
	// Lost is the audio that is missing for it (and for holes that whoever
	// wrote the file left in the granule positions).
	Lost time.Duration
	// Headers says that the headers were unreadable, and channels and tags are
	// guessed.
	Headers bool
	// Unended says that the stream does not say that it ends: the recorder was
	// killed, or the file goes on growing.
	Unended bool
}

// A Reader gives back the packets of a recording as a [media.Source]: PTS counts
// from the first packet, every packet is as it was written, and one-byte packets
// come as Lost.
//
// Damage does not stop it: it goes on at the next page whose checksum holds and
// gives lost packets for the time in between.
type Reader struct {
	pages  *ogg.Scanner
	closer io.Closer
	closed atomic.Bool

	head    head
	tags    Tags
	rawTags []byte

	holeStart int64          // missing before the packets, not yet given
	hole      int64          // its samples, a multiple of the shortest frame
	packets   []media.Packet // of the current page, not yet given
	err       error          // after them

	partial  []byte // a packet that goes on on the next page
	sequence uint32 // of the next page
	serial   uint32
	started  bool  // an audio page was seen
	origin   int64 // granule position of PTS 0
	pos      int64 // end of the last packet
	toc      media.TOC

	damage Damage
	middle bool  // something is missing or damaged before the last page
	others bool  // the file holds other streams
	whole  int64 // end of the last good page in bytes
	count  int64 // pages
}

// Open reads a recording from a file, whole or damaged, ended or still growing.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opusrec: %w", err)
	}
	r, err := NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", errors.Join(err, f.Close()), path)
	}
	return r, nil
}

// NewReader reads a recording from src, which it buffers. Close closes src if
// it is an [io.Closer]. The error is [ErrNotOpus], [ErrEmpty] or that of src.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{pages: ogg.NewScanner(src)}
	r.closer, _ = src.(io.Closer)
	if err := r.readHeaders(); err != nil {
		return nil, err
	}
	return r, nil
}

// Tags are what the recording says of itself.
func (r *Reader) Tags() Tags { return r.tags }

// Channels is what a player outputs, 1 or 2, whatever the packets hold.
func (r *Reader) Channels() int { return r.head.channels }

// PreSkip is how many samples at 48 kHz a player leaves out at the start. PTS
// counts them.
func (r *Reader) PreSkip() int { return r.head.preSkip }

// Damage is what was passed over so far; it is complete after [io.EOF].
func (r *Reader) Damage() Damage { return r.damage }

// ReadPacket gives the next packet and after the last whole one [io.EOF].
func (r *Reader) ReadPacket() (media.Packet, error) {
	for len(r.packets) == 0 && r.hole == 0 {
		if r.closed.Load() {
			return media.Packet{}, ErrClosed
		}
		if r.err != nil {
			return media.Packet{}, r.err
		}
		r.err = r.readPage()
	}
	if r.hole > 0 {
		return r.lost(), nil
	}
	p := r.packets[0]
	r.packets = r.packets[1:]
	return p, nil
}

// lost gives the hole packet by packet: it may be hours long.
func (r *Reader) lost() (first media.Packet) {
	for first = range media.Gap(r.toc, r.holeStart, r.hole) {
		break
	}
	r.holeStart += int64(first.Duration)
	r.hole -= int64(first.Duration)
	return first
}

// Close may be called at any time, more than once.
func (r *Reader) Close() error {
	if r.closed.Swap(true) || r.closer == nil {
		return nil
	}
	return r.closer.Close()
}
