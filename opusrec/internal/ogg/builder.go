package ogg

import "encoding/binary"

// headroom is kept free in front of the packets, so that the header, whose
// length is known last, is put before them without moving them.
const headroom = headerSize + maxSegments

// A Builder puts whole packets together to pages. The zero value is ready; its
// memory grows to what the largest page needs and is used again.
type Builder struct {
	buf      []byte
	lacing   [maxSegments]byte
	segments int
}

// Empty says that no packet was added since the last page.
func (b *Builder) Empty() bool { return b.segments == 0 }

// Fits says whether a packet of n bytes fits on the page as a whole.
func (b *Builder) Fits(n int) bool { return b.segments+n/maxSegment < maxSegments }

// Add appends a copy of the packet, which must fit.
func (b *Builder) Add(packet []byte) {
	b.reserve()
	b.buf = append(b.buf, packet...)
	n := len(packet)
	for ; n >= maxSegment; n -= maxSegment {
		b.lacing[b.segments] = maxSegment
		b.segments++
	}
	b.lacing[b.segments] = byte(n)
	b.segments++
}

// Page gives the bytes of the page, valid until the next Add, and begins a new
// one. Without any packet it is a page that only carries its header.
func (b *Builder) Page(h Header) []byte {
	b.reserve()
	page := b.buf[headroom-headerSize-b.segments:]
	copy(page, magic)
	page[4] = 0
	page[5] = byte(h.Flags)
	binary.LittleEndian.PutUint64(page[6:], uint64(h.Granule))
	binary.LittleEndian.PutUint32(page[14:], h.Serial)
	binary.LittleEndian.PutUint32(page[18:], h.Sequence)
	page[26] = byte(b.segments)
	copy(page[headerSize:], b.lacing[:b.segments])
	binary.LittleEndian.PutUint32(page[offsetChecksum:], Checksum(page))
	b.buf = b.buf[:headroom]
	b.segments = 0
	return page
}

func (b *Builder) reserve() {
	if b.buf == nil {
		b.buf = make([]byte, headroom, 12<<10) // one second of speech
	}
}
