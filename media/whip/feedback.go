package whip

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/roadwave/roadwave/media"
)

// ownSSRC is who our reports come from. We send no media, so any number does
// (RFC 4585 §6.1 asks for one; browsers use 1).
const ownSSRC = 1

var sourceDescription = &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
	Source: ownSSRC,
	Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "roadwave"}},
}}}

const (
	reportInterval = time.Second
	askAgain       = 50 * time.Millisecond  // between two requests for the same packet
	askMax         = 4                      // requests per packet
	askFor         = 250 * time.Millisecond // older than this it comes too late
	gapMax         = 64                     // a longer gap is an outage, not loss
	lostMax        = 4 * gapMax             // requests that wait; a sender that skips more gets none
	numberingAnew  = 1000                   // a number further back begins another stream
)

// feedback keeps what the sender is told by RTCP: reports (RFC 3550 §6.4) and
// requests for missing packets (RFC 4585 §6.2.1). A packet is asked for as soon
// as a younger one arrives: waiting for a timer first costs more time than a
// request too many costs bytes.
type feedback struct {
	stream
	reported time.Time
	bytes    int64 // of payload, at the last report

	mu         sync.Mutex // the sender's reports come from another goroutine
	clock      uint32     // middle of the NTP time in the last one
	clockFrom  uint32     // its SSRC
	clockAfter time.Time  // when it came
}

// A stream is what one SSRC sent.
type stream struct {
	started  bool
	ssrc     uint32
	first    int64 // extended sequence number
	highest  int64
	packets  int64
	transit  int64
	jitter   float64
	expected int64 // at the last report
	got      int64
	lost     []request
}

// A request is a missing packet.
type request struct {
	sequence int64
	since    time.Time
	asked    time.Time
	times    int
}

func (f *feedback) received(now time.Time, h *rtp.Header) {
	if f.reported.IsZero() {
		f.reported = now
	}
	ahead := int64(int16(h.SequenceNumber - uint16(f.highest)))
	if !f.started || h.SSRC != f.ssrc || ahead < -numberingAnew {
		f.stream = stream{started: true, ssrc: h.SSRC, lost: f.lost[:0]}
		f.first, ahead = int64(h.SequenceNumber), 1
		f.highest = f.first - 1
		f.transit = arrival(now) - int64(h.Timestamp)
	}
	f.packets++
	f.observe(now, h)
	switch {
	case ahead <= 0:
		f.found(f.highest + ahead)
		return
	case ahead > gapMax || len(f.lost) > lostMax-gapMax:
		f.lost = f.lost[:0]
	default:
		for n := f.highest + 1; n < f.highest+ahead; n++ {
			f.lost = append(f.lost, request{sequence: n, since: now})
		}
	}
	f.highest += ahead
}

// arrival is a time on the clock of RTP timestamps, with an origin of its own.
func arrival(now time.Time) int64 { return media.Samples(time.Duration(now.UnixNano())) }

// observe estimates the interarrival jitter (RFC 3550 §A.8).
func (f *feedback) observe(now time.Time, h *rtp.Header) {
	transit := arrival(now) - int64(h.Timestamp)
	d := int64(int32(transit - f.transit)) // the timestamp wraps
	f.transit = transit
	if d < 0 {
		d = -d
	}
	f.jitter += (float64(d) - f.jitter) / 16
}

func (f *feedback) found(sequence int64) {
	for i, r := range f.lost {
		if r.sequence == sequence {
			f.lost = append(f.lost[:i], f.lost[i+1:]...)
			return
		}
	}
}

// missing is the request that is due now, or nil.
func (f *feedback) missing(now time.Time) rtcp.Packet {
	if len(f.lost) == 0 {
		return nil
	}
	var ask []uint16
	waiting := f.lost[:0]
	for _, r := range f.lost {
		if now.Sub(r.since) > askFor || r.times >= askMax {
			continue
		}
		if r.times == 0 || now.Sub(r.asked) >= askAgain {
			r.times++
			r.asked = now
			ask = append(ask, uint16(r.sequence))
		}
		waiting = append(waiting, r)
	}
	f.lost = waiting
	if ask == nil {
		return nil
	}
	return &rtcp.TransportLayerNack{SenderSSRC: ownSSRC, MediaSSRC: f.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(ask)}
}

// reportDue tells whether a report interval is over.
func (f *feedback) reportDue(now time.Time) bool { return now.Sub(f.reported) >= reportInterval }

// endInterval begins another report interval and gives the bitrate of the
// payloads in the one that ended.
func (f *feedback) endInterval(now time.Time, bytes int64) int64 {
	rate := (bytes - f.bytes) * 8 * int64(time.Second) / max(int64(now.Sub(f.reported)), 1)
	f.reported, f.bytes = now, bytes
	f.expected, f.got = f.highest-f.first+1, f.packets
	return rate
}

func (f *feedback) report(now time.Time) rtcp.Packet {
	expected := f.highest - f.first + 1
	r := rtcp.ReceptionReport{
		SSRC:               f.ssrc,
		TotalLost:          uint32(min(max(expected-f.packets, 0), 1<<23-1)),
		LastSequenceNumber: uint32(f.highest),
		Jitter:             uint32(f.jitter),
	}
	if interval := expected - f.expected; interval > 0 {
		r.FractionLost = uint8(min(max(interval-(f.packets-f.got), 0)*256/interval, 255))
	}
	f.mu.Lock()
	if f.clockFrom == f.ssrc && !f.clockAfter.IsZero() {
		r.LastSenderReport = f.clock
		r.Delay = uint32(now.Sub(f.clockAfter) * 65536 / time.Second)
	}
	f.mu.Unlock()
	return &rtcp.ReceiverReport{SSRC: ownSSRC, Reports: []rtcp.ReceptionReport{r}}
}

// senderReport is remembered: the sender computes the round trip from it.
func (f *feedback) senderReport(now time.Time, r *rtcp.SenderReport) {
	f.mu.Lock()
	f.clock, f.clockFrom, f.clockAfter = uint32(r.NTPTime>>16), r.SSRC, now
	f.mu.Unlock()
}
