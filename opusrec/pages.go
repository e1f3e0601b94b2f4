package opusrec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

// readHeaders finds the first page of the Opus stream, then its tags. Where
// they are destroyed it guesses: hours of audio must not depend on the first
// sector of the disk.
func (r *Reader) readHeaders() error {
	begin := bytes.Clone(r.pages.Peek(len(pageMagic)))
	var other error // what the streams are that are not Opus
	for {
		page, skipped, err := r.pages.Next(searchLimit)
		switch {
		case other != nil && (err != nil || page.Flags&ogg.First == 0):
			return other
		case errors.Is(err, ogg.ErrNoPage):
			return fmt.Errorf("%w: there is no whole Ogg page in its first %d bytes", ErrNotOpus, searchLimit)
		case errors.Is(err, io.EOF) && bytes.HasPrefix([]byte(pageMagic), begin):
			return ErrEmpty
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: there is no whole Ogg page in it", ErrNotOpus)
		case err != nil:
			return fmt.Errorf("opusrec: %w", err)
		}
		r.skipped(r.pages.Offset()-int64(page.Size())-skipped, skipped)
		r.middle = skipped > 0
		r.serial, r.sequence = page.Serial, page.Sequence
		packets := r.packetsOf(page)
		if page.Flags&ogg.First == 0 {
			return r.guessHead(page, packets)
		}
		if len(packets) == 0 {
			packets = [][]byte{nil}
		}
		if r.head, err = parseHead(packets[0]); err == nil {
			break
		}
		other, r.others = err, true
	}
	r.pages.Lock(r.serial)
	return r.readTags()
}

const pageMagic = "OggS"

// guessHead goes on without the first page, where the rest is Opus beyond doubt.
func (r *Reader) guessHead(page ogg.Page, packets [][]byte) error {
	for _, data := range packets {
		if _, err := media.PacketDuration(data); err != nil && !bytes.HasPrefix(data, []byte(tagsMagic)) {
			return fmt.Errorf("%w: its first page is missing and the next holds something else", ErrNotOpus)
		}
	}
	r.head = newHead(defaultChannels, defaultPreSkip)
	r.damage.Headers, r.middle = true, true
	r.pages.Lock(r.serial)
	if r.takeTags(page.Header, packets) {
		return nil
	}
	return r.readTags()
}

func (r *Reader) readTags() error {
	for {
		page, packets, err := r.next()
		if errors.Is(err, io.EOF) {
			r.damage.Headers, r.damage.Unended, r.middle = true, true, true
			r.err = io.EOF
			return nil
		}
		if err != nil {
			return err
		}
		if r.takeTags(page, packets) {
			return nil
		}
	}
}

// takeTags is false as long as a page ends no packet. Audio where the tags should
// be means that they are lost.
func (r *Reader) takeTags(page ogg.Header, packets [][]byte) bool {
	if len(packets) == 0 {
		return false
	}
	if bytes.HasPrefix(packets[0], []byte(tagsMagic)) {
		r.tags = parseTags(packets[0])
		r.rawTags = packets[0]
		return true
	}
	r.damage.Headers, r.middle = true, true
	r.place(page, packets)
	if page.Flags&ogg.Last != 0 {
		r.err = io.EOF
	}
	return true
}

// readPage takes the next page of audio; [io.EOF] with the last one.
func (r *Reader) readPage() error {
	page, packets, err := r.next()
	if err != nil {
		r.damage.Unended = true
		return err
	}
	r.place(page, packets)
	if page.Flags&ogg.Last != 0 {
		return io.EOF
	}
	return nil
}

// next gives the next page of the stream and the packets that end on it.
func (r *Reader) next() (ogg.Header, [][]byte, error) {
	for {
		page, skipped, err := r.pages.Next(math.MaxInt64)
		if err != nil {
			r.skipped(r.pages.Offset()-skipped, skipped)
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("opusrec: %w", err)
			}
			return ogg.Header{}, nil, err
		}
		start := r.pages.Offset() - int64(page.Size())
		r.skipped(start-skipped, skipped)
		if page.Serial != r.serial {
			r.others = true
			continue
		}
		r.middle = r.middle || r.damage.Bytes > 0
		if r.repeated(page.Header) {
			r.skipped(start, int64(page.Size()))
			r.middle = true
			continue
		}
		return page.Header, r.packetsOf(page), nil
	}
}

// repeated recognizes a page that was given already, as in a file whose parts
// were put together with an overlap.
func (r *Reader) repeated(page ogg.Header) bool {
	return int32(page.Sequence-r.sequence) < 0 && page.Granule-r.origin <= r.pos
}

// packetsOf copies the packets that end on the page.
func (r *Reader) packetsOf(page ogg.Page) (packets [][]byte) {
	r.count++
	r.whole = r.pages.Offset()
	if page.Sequence != r.sequence {
		r.partial, r.middle = nil, true
	}
	r.sequence = page.Sequence + 1
	page.Body = bytes.Clone(page.Body)
	continued := page.Flags&ogg.Continued != 0
	if !continued && len(page.Lacing) > 0 && r.partial != nil {
		r.partial, r.middle = nil, true
	}
	for piece, ends := range page.Packets() {
		if continued {
			continued = false
			if r.partial == nil {
				r.middle = true
				continue // its beginning is lost
			}
			piece = append(r.partial, piece[:min(len(piece), partialLimit-len(r.partial))]...)
			r.partial = nil
		}
		if ends {
			packets = append(packets, piece)
		} else {
			r.partial = piece
		}
	}
	return packets
}

// place puts the packets of a page on the timeline.
func (r *Reader) place(page ogg.Header, packets [][]byte) {
	list := make([]media.Packet, 0, len(packets))
	total := 0
	for _, data := range packets {
		// What is no Opus packet is left out; its time comes back as a hole.
		if duration, err := media.PacketDuration(data); err == nil && len(data) <= maxPacket {
			list = append(list, media.Packet{Duration: duration, Data: data, Lost: len(data) == 1})
			total += duration
		}
	}
	if len(list) == 0 {
		return
	}
	r.openHole(page, int64(total), list[0].TOC())
	for i := range list {
		list[i].PTS = r.pos
		r.pos += int64(list[i].Duration)
	}
	r.toc = list[len(list)-1].TOC()
	r.packets = list
}

// openHole compares where the granule position says that the packets of the
// page begin with where the last ones ended.
func (r *Reader) openHole(page ogg.Header, total int64, first media.TOC) {
	start := r.origin + r.pos
	if page.Granule >= 0 && page.Granule < math.MaxInt64/2 {
		start = page.Granule - total
	}
	if page.Flags&ogg.Last != 0 {
		// The last page may end before its packets do (RFC 7845 §4.4).
		start = max(start, r.origin+r.pos)
	}
	if !r.started {
		r.started, r.toc = true, first
		if !r.middle {
			r.origin = start // a stream may begin anywhere (RFC 7845 §4.3)
		}
	}
	hole := start - r.origin - r.pos
	if hole > holeLimit {
		r.origin += hole
		return
	}
	r.holeStart, r.hole = r.pos, max(hole-hole%shortestFrame, 0)
	r.pos += r.hole
	r.damage.Lost += media.Duration(r.hole)
}

func (r *Reader) skipped(offset, n int64) {
	if n == 0 {
		return
	}
	r.damage.Bytes += n
	if len(r.damage.Ranges) < damageLimit {
		r.damage.Ranges = append(r.damage.Ranges, Range{offset, n})
	}
}
