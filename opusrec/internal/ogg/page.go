package ogg

import (
	"encoding/binary"
	"errors"
	"iter"
)

// Flags is the header type of a page (RFC 3533 §6, field 3).
type Flags byte

// What a page may say of itself.
const (
	// Continued: the first packet began on an earlier page.
	Continued Flags = 1 << iota
	// First: the logical stream begins here.
	First
	// Last: the logical stream ends here.
	Last
)

// NoGranule is the granule position of a page on which no packet ends.
const NoGranule = -1

const (
	headerSize     = 27 // before the lacing values
	offsetChecksum = 22
	maxSegments    = 255
	maxSegment     = 255

	// MaxPage is the size of the largest page in bytes.
	MaxPage = headerSize + maxSegments + maxSegments*maxSegment
)

var (
	magic = []byte("OggS")

	// ErrShort is returned by [Parse] for a page that may be whole once more
	// bytes are there.
	ErrShort = errors.New("ogg: the page is cut off")
	// ErrNoPage is returned by [Parse] for bytes that do not begin a page.
	ErrNoPage = errors.New("ogg: not a page")
	// ErrChecksum is returned by [Parse] for a damaged page.
	ErrChecksum = errors.New("ogg: the checksum of the page does not match")
)

// A Header is what a page says besides the packets it carries.
type Header struct {
	Flags Flags
	// Granule is the position of the stream after the last packet that ends
	// on the page; its unit is the codec's. NoGranule where none ends.
	Granule int64
	// Serial tells the logical streams of one file apart.
	Serial uint32
	// Sequence counts the pages of a logical stream from 0.
	Sequence uint32
}

// A Page is one parsed page. Lacing and Body share the memory it was parsed from.
type Page struct {
	Header
	Lacing []byte // length of each segment; a packet ends with the first below 255
	Body   []byte
}

// Size is the length of the page in bytes.
func (p Page) Size() int { return headerSize + len(p.Lacing) + len(p.Body) }

// Parse reads the page at the start of b and checks its checksum. It never
// reads beyond the page.
func Parse(b []byte) (Page, error) {
	header, size, err := parseHeader(b)
	if err != nil {
		return Page{}, err
	}
	if size > len(b) {
		return Page{}, ErrShort
	}
	if Checksum(b[:size]) != binary.LittleEndian.Uint32(b[offsetChecksum:]) {
		return Page{}, ErrChecksum
	}
	body := headerSize + int(b[26])
	return Page{Header: header, Lacing: b[headerSize:body:body], Body: b[body:size:size]}, nil
}

// parseHeader gives the header and the size of the whole page.
func parseHeader(b []byte) (Header, int, error) {
	n := min(len(b), len(magic))
	if string(b[:n]) != string(magic[:n]) {
		return Header{}, 0, ErrNoPage
	}
	if len(b) < headerSize {
		return Header{}, 0, ErrShort
	}
	if b[4] != 0 || b[5]&^byte(Continued|First|Last) != 0 {
		return Header{}, 0, ErrNoPage // the only version and the only flags there are
	}
	size := headerSize + int(b[26])
	if size > len(b) {
		return Header{}, 0, ErrShort
	}
	for _, segment := range b[headerSize:size] {
		size += int(segment)
	}
	return Header{
		Flags:    Flags(b[5]),
		Granule:  int64(binary.LittleEndian.Uint64(b[6:])),
		Serial:   binary.LittleEndian.Uint32(b[14:]),
		Sequence: binary.LittleEndian.Uint32(b[18:]),
	}, size, nil
}

// Packets yields the pieces of packets on the page in order, and for each
// whether the packet ends there. Only the last piece may not end; whether the
// first one begins here is what [Continued] says.
func (p Page) Packets() iter.Seq2[[]byte, bool] {
	return func(yield func([]byte, bool) bool) {
		start, end := 0, 0
		for i, segment := range p.Lacing {
			end += int(segment)
			ends := segment < maxSegment
			if !ends && i < len(p.Lacing)-1 {
				continue
			}
			if !yield(p.Body[start:end:end], ends) {
				return
			}
			start = end
		}
	}
}
