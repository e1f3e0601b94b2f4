package media_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/media"
)

// sink records what it gets; gate, when set, blocks each write until it lets
// one through.
type sink struct {
	mu      sync.Mutex
	packets []media.Packet
	closed  int
	gate    chan struct{}
	fail    error
}

func (s *sink) WritePacket(p media.Packet) error {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.packets = append(s.packets, p)
	return nil
}

func (s *sink) Close() error { s.closed++; return nil }

func packet(i int) media.Packet {
	return media.Packet{PTS: int64(i) * 960, Duration: 960, Data: []byte{0xf8, byte(i)}}
}

func TestFanGivesEverySinkEverything(t *testing.T) { synctest.Test(t, testFanGivesEverySinkEverything) }

func testFanGivesEverySinkEverything(t *testing.T) {
	a, b := &sink{}, &sink{}
	fan := media.Fanout(a, b)
	for i := range 1000 {
		if i%100 == 0 {
			synctest.Wait() // the queue holds 512
		}
		if err := fan.WritePacket(packet(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(fan.Close(), fan.Close()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*sink{a, b} {
		if len(s.packets) != 1000 || s.closed != 1 {
			t.Fatalf("got %d packets, closed %d times", len(s.packets), s.closed)
		}
		checkTimeline(t, s.packets)
	}
	if err := fan.WritePacket(packet(0)); err == nil {
		t.Fatal("a closed fan took a packet")
	}
}

func TestFanStalledSinkCostsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, good := &sink{gate: make(chan struct{})}, &sink{}
		fan := media.NewFan(media.FanConfig{Queue: 10}, media.Branch{Name: "slow", Sink: slow}, media.Branch{Name: "good", Sink: good})
		for i := range 100 {
			if err := fan.WritePacket(packet(i)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if n := fan.Dropped("slow"); n != 100-11 {
			t.Errorf("%d packets dropped, want all but the 10 queued and the one in hand", n)
		}
		if n := fan.Dropped("good"); n != 0 || len(good.packets) != 100 {
			t.Errorf("good sink got %d, missed %d", len(good.packets), n)
		}
		close(slow.gate)
		synctest.Wait()
		for i := range 5 {
			if err := fan.WritePacket(packet(100 + i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := fan.Close(); err != nil {
			t.Fatal(err)
		}
		checkTimeline(t, slow.packets)
		lost := 0
		for _, p := range slow.packets {
			if p.Lost {
				lost++
			}
		}
		if lost != 89 || len(slow.packets) != 105 {
			t.Errorf("slow sink saw %d packets, %d of them lost", len(slow.packets), lost)
		}
	})
}

func TestFanFailedSinkIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("disk full")
		bad, good := &sink{fail: boom}, &sink{}
		var told []string
		fan := media.NewFan(media.FanConfig{OnFailure: func(name string, err error) { told = append(told, name+": "+err.Error()) }},
			media.Branch{Name: "bad", Sink: bad}, media.Branch{Name: "good", Sink: good})
		for i := range 20 {
			if err := fan.WritePacket(packet(i)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := fan.Close(); !errors.Is(err, boom) {
			t.Fatalf("Close says %v", err)
		}
		if !slices.Equal(told, []string{"bad: disk full"}) {
			t.Errorf("told %q", told)
		}
		if len(good.packets) != 20 || bad.closed != 1 || good.closed != 1 {
			t.Fatalf("good got %d; closed %d and %d times", len(good.packets), bad.closed, good.closed)
		}
	})
}

func TestFanWithoutSinksLeftFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fan := media.Fanout(&sink{fail: errors.New("gone")})
		if err := fan.WritePacket(packet(0)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := fan.WritePacket(packet(1)); err == nil {
			t.Fatal("nobody listens, and nobody says so")
		}
		if err := fan.Close(); err == nil {
			t.Fatal("the failure is not in Close")
		}
	})
}

func TestFanStuckSinkDoesNotHoldClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, good := &sink{gate: make(chan struct{})}, &sink{}
		fan := media.Fanout(stuck, good)
		if err := fan.WritePacket(packet(0)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := fan.Close(); !errors.Is(err, media.ErrStuck) {
			t.Fatalf("Close says %v", err)
		}
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("Close took %v", d)
		}
		if len(good.packets) != 1 || good.closed != 1 {
			t.Error("the good sink was not finished")
		}
		close(stuck.gate) // so that its goroutine ends with the test
	})
}

// checkTimeline holds packets against the law: in order, without a hole or an
// overlap, every packet decodable.
func checkTimeline(t *testing.T, packets []media.Packet) {
	t.Helper()
	for i, p := range packets {
		if d, err := media.PacketDuration(p.Data); err != nil || d != p.Duration {
			t.Fatalf("packet %d: lasts %d, says %d: %v", i, d, p.Duration, err)
		}
		if i > 0 && p.PTS != packets[i-1].End() {
			t.Fatalf("packet %d: PTS %d after one that ended at %d", i, p.PTS, packets[i-1].End())
		}
	}
}

// source gives packets and then an error.
type source struct {
	packets []media.Packet
	err     error
	closed  bool
}

func (s *source) ReadPacket() (media.Packet, error) {
	if len(s.packets) == 0 {
		return media.Packet{}, s.err
	}
	p := s.packets[0]
	s.packets = s.packets[1:]
	return p, nil
}

func (s *source) Close() error { s.closed = true; return nil }

func TestCopy(t *testing.T) {
	boom := errors.New("boom")
	in := []media.Packet{packet(0), packet(1)}
	t.Run("to the end", func(t *testing.T) {
		dst, src := &sink{}, &source{packets: in, err: errEOF}
		if err := media.Copy(dst, src); err != nil || dst.closed != 1 || src.closed {
			t.Fatalf("%v; closed dst %d times, src %v", err, dst.closed, src.closed)
		}
		if !slices.EqualFunc(dst.packets, in, func(a, b media.Packet) bool { return a.PTS == b.PTS }) {
			t.Fatalf("got %v", dst.packets)
		}
	})
	t.Run("source fails", func(t *testing.T) {
		dst := &sink{}
		if err := media.Copy(dst, &source{packets: in, err: boom}); !errors.Is(err, boom) || dst.closed != 1 {
			t.Fatalf("%v; closed %d times", err, dst.closed)
		}
	})
	t.Run("sink fails", func(t *testing.T) {
		dst, src := &sink{fail: boom}, &source{packets: in, err: errEOF}
		if err := media.Copy(dst, src); !errors.Is(err, boom) || !src.closed || dst.closed != 1 {
			t.Fatalf("%v; src closed %v", err, src.closed)
		}
	})
	t.Run("sink fails with the end of its connection", func(t *testing.T) {
		dst, src := &sink{fail: fmt.Errorf("store: %w", io.EOF)}, &source{packets: in, err: errEOF}
		if err := media.Copy(dst, src); !errors.Is(err, io.EOF) || !src.closed || dst.closed != 1 {
			t.Fatalf("%v; src closed %v", err, src.closed)
		}
	})
}
