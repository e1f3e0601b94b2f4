package whip

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/transport/v4/packetio"
	"github.com/roadwave/roadwave/media"
)

// An ear is a receiver without a network.
type ear struct {
	*receiver
	rtp, rtcp io.Writer
	sent      []rtcp.Packet
	abused    int
}

func newEar() *ear {
	e := &ear{receiver: newReceiver(media.JitterConfig{})}
	e.opus = 111
	e.onRTP, e.abuse = func() {}, func() { e.abused++ }
	e.send = func(p rtcp.Packet) { e.sent = append(e.sent, p) }
	e.rtp, e.rtcp = e.buffer(packetio.RTPBufferPacket, 1), e.buffer(packetio.RTCPBufferPacket, 1)
	return e
}

func packet(t *testing.T, ssrc uint32, n int, payload ...byte) []byte {
	t.Helper()
	b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SSRC: ssrc, SequenceNumber: uint16(n), Timestamp: uint32(n) * 960}, Payload: payload}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const voice = 31 << 3 // TOC: CELT, fullband, 20 ms

// say sends packets 20 ms apart.
func (e *ear) say(t *testing.T, ssrc uint32, from, to int) {
	for n := from; n < to; n++ {
		_, _ = e.rtp.Write(packet(t, ssrc, n, voice, byte(n)))
		time.Sleep(20 * time.Millisecond)
	}
}

// hear reads in the background until the end.
func (e *ear) hear() <-chan []media.Packet {
	heard := make(chan []media.Packet, 1)
	go func() {
		var packets []media.Packet
		for {
			p, err := e.next()
			if errors.Is(err, io.EOF) {
				heard <- packets
				return
			}
			packets = append(packets, p)
		}
	}()
	return heard
}

func TestTimeGoesOnInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEar()
		heard := e.hear()
		time.Sleep(time.Minute) // nothing before the first packet
		e.say(t, 1, 0, 10)
		time.Sleep(time.Second)
		e.say(t, 1, 60, 65)
		e.finish()
		packets := <-heard
		if len(packets) != 65 {
			t.Fatalf("%d packets", len(packets))
		}
		for i, p := range packets {
			if silence := i >= 10 && i < 60; p.PTS != int64(i)*960 || p.Lost != silence {
				t.Fatalf("packet %d: %+v", i, p)
			}
		}
	})
}

func TestLateReaderLooksTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEar()
		for late, want := range map[time.Duration]time.Duration{-time.Second: time.Second, 0: 0, lateMin / 2: 0, 30 * time.Millisecond: 30 * time.Millisecond, time.Hour: graceMax} {
			begin := time.Now()
			e.sleep(begin.Add(-late), true)
			if slept := time.Since(begin); slept != want {
				t.Errorf("%v late: slept %v, want %v", late, slept, want)
			}
		}
	})
}

func TestAnotherSSRCGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEar()
		heard := e.hear()
		e.say(t, 1, 0, 10)
		e.say(t, 2, 5000, 5010)
		e.finish()
		var arrived int
		var end int64
		for _, p := range <-heard {
			if p.PTS != end {
				t.Fatalf("packet at %d, want %d", p.PTS, end)
			}
			end = p.End()
			if !p.Lost {
				arrived++
			}
		}
		if arrived != 20 || e.ssrc != 2 {
			t.Errorf("%d packets arrived, SSRC %d", arrived, e.ssrc)
		}
	})
}

func TestWhatIsNoAudioIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEar()
		other := packet(t, 1, 3, 1, 2)
		other[1] = 13 // comfort noise
		for _, b := range [][]byte{nil, {0x80}, make([]byte, 12), packet(t, 1, 1), other, packet(t, 1, 2, 3)} {
			if n, err := e.rtp.Write(b); n != len(b) || err != nil {
				t.Errorf("%x: %d %v", b, n, err)
			}
			_, _ = e.rtcp.Write(b)
		}
		if s := e.jitter.Stats(); e.empty != 1 || s.Received != 0 || s.Invalid != 1 {
			t.Errorf("empty %d, %+v", e.empty, s)
		}
		e.finish()
		if _, err := e.next(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

func TestWhatIsAskedForIsBounded(t *testing.T) {
	for name, payload := range map[string][]byte{"audio": {voice, 1}, "padding": nil} {
		t.Run(name, func(t *testing.T) {
			e := newEar()
			now := time.Now()
			for n := range 2000 { // within 200 ms, 49 of 50 missing
				now = now.Add(100 * time.Microsecond)
				e.takeRTP(now, packet(t, 1, 50*n, payload...))
				if len(e.feedback.lost) > lostMax {
					t.Fatalf("%d requests wait", len(e.feedback.lost))
				}
			}
			asked := 0
			for _, p := range e.sent {
				for _, p := range *p.(*rtcp.CompoundPacket) {
					if nack, ok := p.(*rtcp.TransportLayerNack); ok {
						asked += len(nack.Nacks)
					}
				}
			}
			if asked == 0 {
				t.Error("nothing was asked for")
			}
		})
	}
}

func TestStreamsAreBounded(t *testing.T) {
	e := newEar() // has two
	for ssrc := range uint32(streamsMax - 2) {
		e.buffer(packetio.RTPBufferPacket, ssrc)
	}
	if e.abused > 0 {
		t.Error("too early")
	}
	if b := e.buffer(packetio.RTPBufferPacket, 9999); b == nil || e.abused == 0 {
		t.Errorf("%v, abused %d times", b, e.abused)
	}
}

func TestReportsGoOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEar()
		report, err := (&rtcp.SenderReport{SSRC: 1, NTPTime: 1 << 32}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = e.rtcp.Write(report)
		e.say(t, 1, 0, 53)
		e.say(t, 1, 54, 60)
		var reports, requests int
		for _, p := range e.sent {
			compound := *p.(*rtcp.CompoundPacket)
			if err := compound.Validate(); err != nil {
				t.Error(err)
			}
			reports++
			if len(compound) == 3 {
				requests++
			}
		}
		if reports != 3 || requests != 2 || e.rate < 700 || e.rate > 900 {
			t.Errorf("%d reports, %d requests, %d bit/s", reports, requests, e.rate)
		}
		e.finish()
	})
}

// BenchmarkReceive is what a packet costs between decryption and the reader.
func BenchmarkReceive(b *testing.B) {
	e := newEar()
	raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SSRC: 1}, Payload: append([]byte{voice}, make([]byte, 119)...)}).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		raw[2], raw[3] = byte(n>>8), byte(n)
		ts := uint32(n) * 960
		raw[4], raw[5], raw[6], raw[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
		now = now.Add(20 * time.Millisecond)
		e.takeRTP(now, raw)
		if _, ok := e.jitter.Pop(now); !ok {
			b.Fatal("nothing to read")
		}
	}
}
