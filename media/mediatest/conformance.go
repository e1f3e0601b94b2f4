package mediatest

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
)

// patience is how long a conformance suite waits for what must not block.
const patience = time.Minute

// Conformance is the live that the suites play: packets of every duration from
// 2.5 to 120 ms, mono and stereo, with single losses and one loss of a second.
// It is small and always the same. The packets have the right framing, their sound is
// noise: sinks and sources that pass packets on never look into it.
func Conformance() []media.Packet {
	// A TOC, then a frame count where a packet has several frames (RFC 6716
	// §3.2): CELT of 2.5 and 20 ms, SILK of 60, hybrid of 20, CELT 3 × 20, 6 × 20.
	heads := [][]byte{{28 << 3}, {31 << 3}, {31<<3 | 4}, {11 << 3}, {15 << 3}, {31<<3 | 3, 3}, {31<<3 | 4 | 3, 6}}
	var packets []media.Packet
	pts := int64(0)
	for i := range 120 {
		if i%10 == 7 || i == 60 {
			missing := int64(frame)
			if i == 60 {
				missing = media.SampleRate
			}
			for lost := range media.Gap(packets[len(packets)-1].TOC(), pts, missing) {
				packets = append(packets, lost)
				pts = lost.End()
			}
		}
		head := heads[i%len(heads)]
		data := bytes.Repeat([]byte{byte(i)}, len(head)+60)
		copy(data, head)
		duration, err := media.PacketDuration(data)
		if err != nil {
			panic(err)
		}
		packets = append(packets, media.Packet{PTS: pts, Duration: duration, Data: data})
		pts += int64(duration)
	}
	return packets
}

// TestSource checks the law of [media.Source]: packets in PTS order, each exactly
// once, gaps marked as lost and not hidden, nothing changed after it was given,
// io.EOF at the end and ever after, Close idempotent, and a blocked ReadPacket
// released by Close.
//
// open gives a source of the packets; those marked Lost are what its transport
// loses. Lost time may come back in other pieces. The first PTS is free, what
// follows is relative to it. stalled gives a source that has no packet yet
// and is not at its end; nil says that the kind of source never blocks.
func TestSource(t *testing.T, open func(t *testing.T, packets []media.Packet) media.Source, stalled func(t *testing.T) media.Source) {
	t.Run("delivers", func(t *testing.T) { testDelivery(t, open) })
	t.Run("no packets", func(t *testing.T) {
		src := open(t, nil)
		if p, err := src.ReadPacket(); !errors.Is(err, io.EOF) {
			t.Errorf("ReadPacket gives %+v, %v; want io.EOF", p, err)
		}
		closeTwice(t, src)
	})
	t.Run("closed early", func(t *testing.T) {
		src := open(t, Conformance())
		if _, err := src.ReadPacket(); err != nil {
			t.Fatalf("first ReadPacket: %v", err)
		}
		closeTwice(t, src)
		within(t, "reading a closed source to its end", func() {
			for range len(Conformance()) + 1 { // it may still give what it holds
				if _, err := src.ReadPacket(); err != nil {
					return
				}
			}
			t.Error("a closed source gives more packets than there were")
		})
	})
	if stalled == nil {
		return
	}
	t.Run("close unblocks", func(t *testing.T) {
		src := stalled(t)
		released := make(chan error, 1)
		go func() { _, err := src.ReadPacket(); released <- err }()
		time.Sleep(20 * time.Millisecond) // likely blocked by now; correct if not
		closeTwice(t, src)
		within(t, "ReadPacket after Close", func() {
			if err := <-released; err == nil {
				t.Error("ReadPacket gives a packet where there was none")
			}
		})
	})
}

func testDelivery(t *testing.T, open func(*testing.T, []media.Packet) media.Source) {
	want := Conformance()
	src := open(t, want)
	var got []media.Packet
	var copies [][]byte
	within(t, "reading to the end", func() {
		for range 10 * len(want) {
			p, err := src.ReadPacket()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Errorf("ReadPacket: %v", err)
				return
			}
			got, copies = append(got, p), append(copies, bytes.Clone(p.Data))
		}
		t.Error("the source does not end")
	})
	if _, err := src.ReadPacket(); !errors.Is(err, io.EOF) {
		t.Errorf("ReadPacket after the end: %v; want io.EOF again", err)
	}
	closeTwice(t, src)
	for i, p := range got {
		if !bytes.Equal(p.Data, copies[i]) {
			t.Fatalf("packet %d changed after it was given", i)
		}
	}
	CheckTimeline(t, got)
	checkReceived(t, want, got)
}

// CheckTimeline fails the test where packets are not in order, leave a hole, or
// are not what they say they are.
func CheckTimeline(t testing.TB, packets []media.Packet) {
	t.Helper()
	for i, p := range packets {
		if n, err := media.PacketDuration(p.Data); err != nil || n != p.Duration {
			t.Fatalf("packet %d says %d samples, its data %d (%v)", i, p.Duration, n, err)
		}
		if i > 0 && p.PTS != packets[i-1].End() {
			t.Fatalf("packet %d starts at %d, the one before ends at %d", i, p.PTS, packets[i-1].End())
		}
	}
}

// checkReceived compares the packets that were not lost and where they lie.
func checkReceived(t *testing.T, want, got []media.Packet) {
	t.Helper()
	want, got = received(want), received(got)
	if len(got) != len(want) {
		t.Fatalf("%d packets received, want %d", len(got), len(want))
	}
	for i, p := range got {
		w := want[i]
		if p.PTS-got[0].PTS != w.PTS-want[0].PTS || p.Duration != w.Duration || !bytes.Equal(p.Data, w.Data) {
			t.Fatalf("received packet %d is %d+%d (%d bytes), want %d+%d (%d bytes)",
				i, p.PTS-got[0].PTS, p.Duration, len(p.Data), w.PTS-want[0].PTS, w.Duration, len(w.Data))
		}
	}
}

func received(packets []media.Packet) []media.Packet {
	var out []media.Packet
	for _, p := range packets {
		if !p.Lost {
			out = append(out, p)
		}
	}
	return out
}

// TestSink checks the law of [media.Sink]: it takes every kind of packet, changes
// none, can be closed at any time and more than once, and refuses packets after
// that. It gives the sink the packets of [Conformance], so that the caller can go on and
// look at what the sink made of them: open may keep the sink.
func TestSink(t *testing.T, open func(t *testing.T) media.Sink) {
	t.Run("takes a live", func(t *testing.T) {
		sink, packets := open(t), Conformance()
		var copies [][]byte
		for _, p := range packets {
			copies = append(copies, bytes.Clone(p.Data))
		}
		within(t, "writing a live", func() {
			for i, p := range packets {
				if err := sink.WritePacket(p); err != nil {
					t.Errorf("packet %d at %d: %v", i, p.PTS, err)
					return
				}
			}
		})
		closeTwice(t, sink)
		refuses(t, sink)
		for i, p := range packets {
			if !bytes.Equal(p.Data, copies[i]) {
				t.Fatalf("the sink changed packet %d", i)
			}
		}
	})
	t.Run("closed at once", func(t *testing.T) {
		sink := open(t)
		closeTwice(t, sink)
		refuses(t, sink)
	})
	t.Run("one packet", func(t *testing.T) {
		sink := open(t)
		if err := sink.WritePacket(Conformance()[0]); err != nil {
			t.Errorf("first packet: %v", err)
		}
		closeTwice(t, sink)
	})
}

func refuses(t *testing.T, sink media.Sink) {
	t.Helper()
	within(t, "WritePacket after Close", func() {
		if err := sink.WritePacket(Conformance()[0]); err == nil {
			t.Error("WritePacket after Close gives no error")
		}
	})
}

func closeTwice(t *testing.T, c io.Closer) {
	t.Helper()
	for _, which := range []string{"Close", "second Close"} {
		within(t, which, func() {
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", which, err)
			}
		})
	}
}

// within runs f and fails the test if it takes longer than anything here may.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s blocks", what)
	}
}
