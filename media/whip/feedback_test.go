package whip

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// A wire is a receiver's feedback with a sender and a clock.
type wire struct {
	feedback
	now time.Time
}

func newWire() *wire { return &wire{now: time.Unix(1000, 0)} }

// receive takes packets 20 ms apart.
func (w *wire) receive(sequences ...uint16) {
	for _, n := range sequences {
		w.now = w.now.Add(20 * time.Millisecond)
		w.received(w.now, &rtp.Header{SSRC: 7, SequenceNumber: n, Timestamp: uint32(n) * 960})
	}
}

// asked is which packets are asked for now.
func (w *wire) asked() (sequences []uint16) {
	nack, ok := w.missing(w.now).(*rtcp.TransportLayerNack)
	if !ok {
		return nil
	}
	for _, pair := range nack.Nacks {
		sequences = append(sequences, pair.PacketList()...)
	}
	return sequences
}

func TestMissingPacketsAreAskedForAtOnce(t *testing.T) {
	w := newWire()
	w.receive(65533, 65534)
	if got := w.asked(); got != nil {
		t.Errorf("nothing is missing, asked for %v", got)
	}
	w.receive(2)
	if got := w.asked(); !slices.Equal(got, []uint16{65535, 0, 1}) {
		t.Errorf("asked for %v", got)
	}
	w.receive(0, 3)
	if got := w.asked(); got != nil {
		t.Errorf("asked again for %v after 40 ms", got)
	}
	w.receive(4)
	if got := w.asked(); !slices.Equal(got, []uint16{65535, 1}) {
		t.Errorf("asked again for %v after 60 ms", got)
	}
}

func TestRequestsEnd(t *testing.T) {
	w := newWire()
	w.receive(1, 3)
	times := 0
	for n := range uint16(100) {
		if w.asked() != nil {
			times++
		}
		w.receive(4 + n)
	}
	if times != askMax || len(w.lost) != 0 {
		t.Errorf("asked %d times, %d still waiting", times, len(w.lost))
	}
}

func TestOutageIsNotAskedFor(t *testing.T) {
	w := newWire()
	w.receive(1, 2, 2+gapMax+1)
	if got := w.asked(); got != nil {
		t.Errorf("asked for %d packets of an outage", len(got))
	}
	w.receive(9000) // the sender counts anew
	w.receive(9001)
	if w.first != 1 || w.highest != 9001 {
		t.Errorf("first %d, highest %d", w.first, w.highest)
	}
	w.receive(30, 31)
	if w.first != 30 || w.highest != 31 || w.packets != 2 {
		t.Errorf("first %d, highest %d, %d packets", w.first, w.highest, w.packets)
	}
}

func TestReports(t *testing.T) {
	w := newWire()
	for n := range uint16(100) {
		if n%4 != 1 {
			w.receive(n)
		}
	}
	w.senderReport(w.now, &rtcp.SenderReport{SSRC: 7, NTPTime: 0x1111_2222_3333_4444})
	w.now = w.now.Add(500 * time.Millisecond)
	if !w.reportDue(w.now) {
		t.Fatal("no report after two seconds")
	}
	r := w.report(w.now).(*rtcp.ReceiverReport).Reports[0]
	if r.SSRC != 7 || r.LastSequenceNumber != 99 || r.TotalLost != 25 || r.FractionLost != 64 || r.LastSenderReport != 0x2222_3333 || r.Delay != 1<<15 {
		t.Errorf("%+v", r)
	}
	if rate := w.endInterval(w.now, 10000); rate <= 0 || w.reportDue(w.now) {
		t.Errorf("rate %d", rate)
	}
	w.receive(100, 101)
	if r := w.report(w.now).(*rtcp.ReceiverReport).Reports[0]; r.FractionLost != 0 || r.TotalLost != 25 {
		t.Errorf("%+v", r)
	}
}
