package ogg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// slowChecksum is the definition of RFC 3533 §6, bit by bit.
func slowChecksum(page []byte) (crc uint32) {
	for i, b := range page {
		if i >= offsetChecksum && i < offsetChecksum+4 {
			b = 0
		}
		crc ^= uint32(b) << 24
		for range 8 {
			if crc>>31 == 1 {
				crc = crc<<1 ^ polynomial
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

func TestChecksum(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for size := headerSize; size < 400; size++ {
		page := make([]byte, size)
		for i := range page {
			page[i] = byte(random.Uint32())
		}
		if got, want := Checksum(page), slowChecksum(page); got != want {
			t.Fatalf("%d bytes: %08x, want %08x", size, got, want)
		}
	}
}

func build(h Header, packets ...[]byte) []byte {
	var b Builder
	for _, p := range packets {
		b.Add(p)
	}
	return bytes.Clone(b.Page(h))
}

func packetOf(n int) []byte { return bytes.Repeat([]byte{0x5a}, n) }

func TestPageRoundTrip(t *testing.T) {
	for _, sizes := range [][]int{{}, {0}, {1}, {254}, {255}, {256}, {510, 0, 3}, {61440}, {254 * 255}, slices.Repeat([]int{120}, 255)} {
		var b Builder
		for round := range 2 { // the second page uses the memory of the first
			header := Header{Flags: First | Last, Granule: 1 << 40, Serial: 0xdeadbeef, Sequence: uint32(round)}
			for _, n := range sizes {
				if !b.Fits(n) {
					t.Fatalf("%v does not fit", sizes)
				}
				b.Add(packetOf(n))
			}
			if b.Empty() != (len(sizes) == 0) {
				t.Errorf("%v: empty is %v", sizes, b.Empty())
			}
			page, err := Parse(b.Page(header))
			if err != nil || page.Header != header {
				t.Fatalf("%v: %+v, %v", sizes, page.Header, err)
			}
			var got []int
			for p, ends := range page.Packets() {
				if !ends || !bytes.Equal(p, packetOf(len(p))) {
					t.Errorf("%v: a packet of %d bytes is not whole", sizes, len(p))
				}
				got = append(got, len(p))
			}
			if !slices.Equal(got, sizes) && len(got)+len(sizes) > 0 {
				t.Errorf("%v came back as %v", sizes, got)
			}
		}
	}
}

func TestFits(t *testing.T) {
	var b Builder
	if b.Fits(255*255) || !b.Fits(255*255-1) {
		t.Error("an empty page takes packets of up to 65024 bytes")
	}
	for range 254 {
		b.Add(nil)
	}
	if b.Fits(255) || !b.Fits(254) {
		t.Error("the last segment takes a packet of up to 254 bytes")
	}
	b.Add(nil)
	if b.Fits(0) {
		t.Error("a full page takes nothing more")
	}
}

func TestParseErrors(t *testing.T) {
	page := build(Header{Serial: 7}, packetOf(300), packetOf(9))
	with := func(change func(b []byte)) []byte {
		b := bytes.Clone(page)
		change(b)
		return b
	}
	signed := func(change func(b []byte)) []byte {
		return with(func(b []byte) {
			change(b)
			binary.LittleEndian.PutUint32(b[offsetChecksum:], slowChecksum(b))
		})
	}
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"whole", page, nil},
		{"more follows", append(bytes.Clone(page), "OggS"...), nil},
		{"nothing", nil, ErrShort},
		{"magic only", []byte("OggS"), ErrShort},
		{"part of the magic", []byte("Og"), ErrShort},
		{"other magic", []byte("OgX"), ErrNoPage},
		{"in the lacing", page[:28], ErrShort},
		{"in the body", page[:len(page)-1], ErrShort},
		{"version 1", signed(func(b []byte) { b[4] = 1 }), ErrNoPage},
		{"unknown flag", signed(func(b []byte) { b[5] = 8 }), ErrNoPage},
		{"flipped bit", with(func(b []byte) { b[100] ^= 1 }), ErrChecksum},
		{"flipped granule", with(func(b []byte) { b[6] ^= 1 }), ErrChecksum},
		{"flipped checksum", with(func(b []byte) { b[22] ^= 1 }), ErrChecksum},
	}
	for _, tt := range tests {
		if _, err := Parse(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for i := range page {
		b := with(func(b []byte) { b[i] ^= 0x40 })
		if _, err := Parse(b); err == nil {
			t.Errorf("byte %d may change unnoticed", i)
		}
	}
}

func TestPiecesOfPackets(t *testing.T) {
	// 510 bytes that go on on the next page, after one whole packet of 10.
	raw := build(Header{}, packetOf(10), packetOf(510))
	raw[26]-- // without the segment of 0 bytes that ends it
	raw = slices.Delete(raw, headerSize+3, headerSize+4)
	binary.LittleEndian.PutUint32(raw[offsetChecksum:], slowChecksum(raw))
	page, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for p, ends := range page.Packets() {
		got = append(got, len(p))
		if ends != (len(p) == 10) {
			t.Errorf("piece of %d bytes: ends %v", len(p), ends)
		}
	}
	if !slices.Equal(got, []int{10, 510}) {
		t.Errorf("pieces of %v bytes", got)
	}
	for range page.Packets() {
		break
	}
}

// FuzzPage holds the parser to what it accepts: the same page is built again
// from what it gave.
func FuzzPage(f *testing.F) {
	f.Add(build(Header{Flags: First, Serial: 1}, []byte("OpusHead")))
	f.Add(build(Header{Flags: Last, Granule: NoGranule, Serial: 1, Sequence: 9}))
	f.Add(build(Header{Granule: 960, Serial: 1}, packetOf(255), packetOf(1))[:200])
	f.Add([]byte("OggS\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Parse(b); err == nil {
			checkParsed(t, b)
		}
		if _, size, err := parseHeader(b); err == nil && size <= len(b) {
			// Most of what is tried has a wrong checksum; put it right.
			b = bytes.Clone(b[:size])
			binary.LittleEndian.PutUint32(b[offsetChecksum:], Checksum(b))
			checkParsed(t, b)
		}
	})
}

func checkParsed(t *testing.T, b []byte) {
	page, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var again Builder
	body := 0
	for p, ends := range page.Packets() {
		body += len(p)
		if ends {
			again.Add(p)
		}
	}
	if body != len(page.Body) {
		t.Fatalf("the packets have %d bytes, the page %d", body, len(page.Body))
	}
	if n := len(page.Lacing); n > 0 && page.Lacing[n-1] == maxSegment {
		return // the last packet goes on; pages like this are not built
	}
	if !bytes.Equal(again.Page(page.Header), b[:page.Size()]) {
		t.Fatal("the page is built differently")
	}
}
