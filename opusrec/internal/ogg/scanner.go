package ogg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// A Scanner reads pages one after the other. Where the stream is damaged it
// goes on at the next whole page.
type Scanner struct {
	src    io.Reader
	buf    []byte // buf[from:to] is read ahead
	from   int
	to     int
	offset int64 // of buf[from] in the stream
	err    error // why src gives no more

	lost   bool // the last bytes were no page
	locked bool
	serial uint32
}

// NewScanner begins at the first byte of src, which is offset 0.
func NewScanner(src io.Reader) *Scanner {
	return &Scanner{src: src, buf: make([]byte, 2*MaxPage)}
}

// Lock makes the scanner accept, when it looks for the way back after damage,
// only pages of this logical stream. Bytes inside a packet that look like a
// page of another stream then cannot mislead it.
func (s *Scanner) Lock(serial uint32) { s.locked, s.serial = true, serial }

// Offset is where the next page is expected: the end of the last one.
func (s *Scanner) Offset() int64 { return s.offset }

// Peek gives the next n bytes, fewer where the stream ends before, valid until
// the next call of any method.
func (s *Scanner) Peek(n int) []byte {
	for s.to-s.from < n && s.fill() {
	}
	return s.buf[s.from:min(s.from+n, s.to)]
}

// Next gives the next whole page, its memory valid until the next call, and how
// many bytes before it were no page. After the last page it returns [io.EOF],
// skipped then counting what the stream ends with. Of the skipped bytes it
// passes at most limit before it gives up with [ErrNoPage].
func (s *Scanner) Next(limit int64) (page Page, skipped int64, err error) {
	start := s.offset
	for {
		page, err := s.parse()
		switch {
		case err == nil:
			s.lost = false
			skipped = s.offset - start
			s.advance(page.Size())
			return page, skipped, nil
		case errors.Is(err, ErrShort) && s.fill():
			continue
		case s.err != nil && s.from == s.to:
			return Page{}, s.offset - start, s.err
		}
		s.lost = true
		s.skip()
		if s.offset-start > limit {
			return Page{}, s.offset - start, ErrNoPage
		}
	}
}

func (s *Scanner) parse() (Page, error) {
	b := s.buf[s.from:s.to]
	if len(b) == 0 {
		return Page{}, ErrShort
	}
	if s.lost && s.locked && len(b) >= headerSize && binary.LittleEndian.Uint32(b[14:]) != s.serial {
		return Page{}, ErrNoPage
	}
	return Parse(b)
}

// skip goes to the next place in the buffer where a page may begin.
func (s *Scanner) skip() {
	rest := s.buf[s.from:s.to]
	if len(rest) == 0 {
		return
	}
	if i := bytes.Index(rest[1:], magic); i >= 0 {
		s.advance(1 + i)
		return
	}
	// The first bytes of the magic may be the last of the buffer.
	keep := min(len(rest)-1, len(magic)-1)
	if s.err != nil {
		keep = 0
	}
	s.advance(len(rest) - keep)
}

func (s *Scanner) advance(n int) {
	s.from += n
	s.offset += int64(n)
}

// fill reads more; false means that there is no more.
func (s *Scanner) fill() bool {
	if s.err != nil {
		return false
	}
	if s.from > 0 {
		s.to = copy(s.buf, s.buf[s.from:s.to])
		s.from = 0
	}
	for range 100 { // readers that return nothing are not waited for forever
		n, err := s.src.Read(s.buf[s.to:])
		s.to += n
		s.err = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	s.err = io.ErrNoProgress
	return false
}
