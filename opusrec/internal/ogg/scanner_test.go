package ogg

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"
)

// stream is n pages with the serial number 7.
func stream(n int) (all []byte, ends []int) {
	for i := range n {
		all = append(all, build(Header{Serial: 7, Sequence: uint32(i)}, packetOf(100+i*300))...)
		ends = append(ends, len(all))
	}
	return all, ends
}

// scan gives the sequence numbers found and the bytes skipped in all.
func scan(t *testing.T, s *Scanner) (sequence []uint32, skipped int64) {
	t.Helper()
	for range 1000 {
		before := s.Offset()
		page, n, err := s.Next(math.MaxInt64)
		skipped += n
		if errors.Is(err, io.EOF) {
			if s.Offset() != before+n {
				t.Fatalf("at the end %d bytes are skipped, the offset goes from %d to %d", n, before, s.Offset())
			}
			return sequence, skipped
		}
		if err != nil {
			t.Fatal(err)
		}
		if s.Offset() != before+n+int64(page.Size()) {
			t.Fatalf("offset %d after %d, %d skipped and a page of %d", s.Offset(), before, n, page.Size())
		}
		sequence = append(sequence, page.Sequence)
	}
	t.Fatal("the scanner does not end")
	return nil, 0
}

func TestScanner(t *testing.T) {
	whole, ends := stream(5)
	decoy := build(Header{Serial: 8, Sequence: 99}, packetOf(10))
	tests := []struct {
		name    string
		b       []byte
		want    []uint32
		skipped int64
	}{
		{"whole", whole, []uint32{0, 1, 2, 3, 4}, 0},
		{"nothing", nil, nil, 0},
		{"no page", packetOf(300_000), nil, 300_000},
		{"junk before", append(packetOf(1000), whole...), []uint32{0, 1, 2, 3, 4}, 1000},
		{"junk between", slices.Insert(bytes.Clone(whole), ends[1], packetOf(200_000)...), []uint32{0, 1, 2, 3, 4}, 200_000},
		{"decoy in the junk", slices.Insert(bytes.Clone(whole), ends[1], append(packetOf(5), decoy...)...), []uint32{0, 1, 2, 3, 4}, int64(5 + len(decoy))},
		{"other stream", slices.Insert(bytes.Clone(whole), ends[1], decoy...), []uint32{0, 1, 99, 2, 3, 4}, 0},
		{"torn", whole[:len(whole)-1], []uint32{0, 1, 2, 3}, int64(ends[4] - ends[3] - 1)},
		{"magic at the end", append(bytes.Clone(whole), "OggS"...), []uint32{0, 1, 2, 3, 4}, 4},
		{"part of the magic at the end", append(bytes.Clone(whole), "Ogg"...), []uint32{0, 1, 2, 3, 4}, 3},
	}
	for _, tt := range tests {
		for name, src := range map[string]io.Reader{"at once": bytes.NewReader(tt.b), "bytewise": iotest.OneByteReader(bytes.NewReader(tt.b)), "with EOF": iotest.DataErrReader(bytes.NewReader(tt.b))} {
			s := NewScanner(src)
			s.Lock(7)
			got, skipped := scan(t, s)
			if !slices.Equal(got, tt.want) || skipped != tt.skipped {
				t.Errorf("%s, %s: pages %v, %d skipped; want %v, %d", tt.name, name, got, skipped, tt.want, tt.skipped)
			}
		}
	}
}

func TestScannerDamage(t *testing.T) {
	whole, ends := stream(4)
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x80
		hit := slices.IndexFunc(ends, func(end int) bool { return i < end })
		s := NewScanner(bytes.NewReader(b))
		s.Lock(7)
		got, _ := scan(t, s)
		want := slices.Delete([]uint32{0, 1, 2, 3}, hit, hit+1)
		if !slices.Equal(got, want) {
			t.Fatalf("byte %d changed: pages %v, want %v", i, got, want)
		}
	}
}

func TestScannerLimitsAndErrors(t *testing.T) {
	whole, _ := stream(1)
	s := NewScanner(bytes.NewReader(append(packetOf(500_000), whole...)))
	if _, skipped, err := s.Next(400_000); !errors.Is(err, ErrNoPage) || skipped <= 400_000 {
		t.Errorf("beyond the limit: %v after %d bytes", err, skipped)
	}
	broken := errors.New("broken disk")
	s = NewScanner(io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(broken)))
	if _, _, err := s.Next(0); err != nil {
		t.Errorf("the page before the error: %v", err)
	}
	if _, _, err := s.Next(0); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the reader", err)
	}
	s = NewScanner(iotest.OneByteReader(bytes.NewReader(whole)))
	if got := s.Peek(4); string(got) != "OggS" {
		t.Errorf("peeked %q", got)
	}
	if got := s.Peek(MaxPage); !bytes.Equal(got, whole) {
		t.Errorf("peeked %d bytes of %d", len(got), len(whole))
	}
	s = NewScanner(idle{})
	if _, _, err := s.Next(0); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

// idle reads nothing and says nothing.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func BenchmarkChecksum(b *testing.B) {
	page := packetOf(6000)
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		Checksum(page)
	}
}
