package whip

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/transport/v4/packetio"
	"github.com/roadwave/roadwave/media"
)

// A receiver takes a session's decrypted packets. Pion would keep them in a
// buffer of its own until a track is read; it lets the application bring that
// buffer, and this is ours: a packet goes from the goroutine that decrypted it
// straight into the jitter buffer, and wakes the reader only when there is
// something to read. That saves a copy, a queue and Pion's interceptors, and a
// sender that comes back with another SSRC needs no negotiation.
type receiver struct {
	opus  uint8             // payload type
	begin time.Time         // what the atomics count from
	media atomic.Int64      // nanoseconds after begin of the newest packet
	onRTP func()            // called after each packet that was taken
	abuse func()            // called when the creator opens too many streams
	send  func(rtcp.Packet) // to the creator

	streams  atomic.Int32 // that Pion asked a buffer for
	packet   rtp.Packet   // reused; packets come from one goroutine
	feedback feedback     // the same

	mu      sync.Mutex
	jitter  *media.Jitter
	over    bool
	waiting time.Time // until when the reader sleeps; zero: it does not
	idle    bool      // the reader sleeps without a limit
	bytes   int64
	empty   int64
	rate    int64 // bits per second over the last report interval
	ssrc    uint32

	wake  chan struct{}
	timer *time.Timer
}

func newReceiver(cfg media.JitterConfig) *receiver {
	r := &receiver{begin: time.Now(), jitter: media.NewJitter(cfg), wake: make(chan struct{}, 1)}
	r.timer = time.NewTimer(time.Hour)
	r.timer.Stop()
	return r
}

// streamsMax is how many buffers a session gets: Pion keeps a stream, a
// transceiver and a goroutine for every SSRC until the connection is closed, and
// a creator may make up four billion of them. A browser needs two, and two more
// each time it starts anew.
const streamsMax = 64

// buffer is called by Pion for every SSRC, and once more for its RTCP.
func (r *receiver) buffer(kind packetio.BufferPacketType, _ uint32) io.ReadWriteCloser {
	if r.streams.Add(1) > streamsMax {
		r.abuse()
	}
	if kind == packetio.RTCPBufferPacket {
		return rtcpBuffer{r}
	}
	return rtpBuffer{r}
}

type (
	rtpBuffer  struct{ *receiver }
	rtcpBuffer struct{ *receiver }
)

// Read gives Pion nothing: its tracks are not used.
func (rtpBuffer) Read([]byte) (int, error)  { return 0, io.EOF }
func (rtcpBuffer) Read([]byte) (int, error) { return 0, io.EOF }
func (rtpBuffer) Close() error              { return nil }
func (rtcpBuffer) Close() error             { return nil }

func (b rtpBuffer) Write(packet []byte) (int, error) {
	b.takeRTP(time.Now(), packet)
	return len(packet), nil
}

func (b rtcpBuffer) Write(packet []byte) (int, error) {
	b.takeRTCP(time.Now(), packet)
	return len(packet), nil
}

func (r *receiver) takeRTP(now time.Time, raw []byte) {
	p := &r.packet
	if p.Unmarshal(raw) != nil || p.PayloadType != r.opus {
		return
	}
	if len(p.Payload) == 0 { // padding, sent to probe the network
		r.mu.Lock()
		r.empty++
		r.mu.Unlock()
		r.feedback.received(now, &p.Header)
		r.answer(now)
		return
	}
	payload := append(make([]byte, 0, len(p.Payload)), p.Payload...)
	r.push(now, media.RTP{SSRC: p.SSRC, Sequence: p.SequenceNumber, Timestamp: p.Timestamp, Payload: payload})
	r.media.Store(int64(now.Sub(r.begin)))
	r.onRTP()
	r.feedback.received(now, &p.Header)
	r.answer(now)
}

// push gives a packet to the jitter buffer and wakes the reader if it now has
// something to do earlier than it planned.
func (r *receiver) push(now time.Time, p media.RTP) {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return
	}
	r.jitter.Push(now, p)
	r.bytes += int64(len(p.Payload))
	r.ssrc = p.SSRC
	asleep := r.idle || !r.waiting.IsZero()
	if asleep {
		due, ok := r.jitter.Wake()
		asleep = ok && (r.idle || due.Before(r.waiting))
	}
	if asleep {
		r.idle, r.waiting = false, time.Time{}
	}
	r.mu.Unlock()
	if asleep {
		r.signal()
	}
}

func (r *receiver) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// answer sends what the packet just received calls for: a report every second,
// and requests for what is missing. No timer is needed: without packets there
// is nobody to ask.
func (r *receiver) answer(now time.Time) {
	missing := r.feedback.missing(now)
	due := r.feedback.reportDue(now)
	if missing == nil && !due {
		return
	}
	// RFC 3550 §6.1: whatever is sent begins with a report and a name.
	compound := rtcp.CompoundPacket{r.feedback.report(now), sourceDescription}
	if missing != nil {
		compound = append(compound, missing)
	}
	if due {
		r.mu.Lock()
		r.rate = r.feedback.endInterval(now, r.bytes)
		r.mu.Unlock()
	}
	r.send(&compound)
}

func (r *receiver) takeRTCP(now time.Time, raw []byte) {
	packets, err := rtcp.Unmarshal(raw)
	if err != nil {
		return
	}
	for _, p := range packets {
		if report, ok := p.(*rtcp.SenderReport); ok {
			r.feedback.senderReport(now, report)
		}
	}
}

// next blocks until a packet is due, and returns io.EOF after the last one.
func (r *receiver) next() (media.Packet, error) {
	r.mu.Lock()
	for {
		now := time.Now()
		if p, ok := r.jitter.Pop(now); ok {
			r.mu.Unlock()
			return p, nil
		}
		if r.over {
			r.mu.Unlock()
			return media.Packet{}, io.EOF
		}
		due, ok := r.jitter.Wake()
		r.idle, r.waiting = !ok, due
		r.mu.Unlock()
		r.sleep(due, ok)
		r.mu.Lock()
		r.idle, r.waiting = false, time.Time{}
	}
}

// On a busy machine a timer fires late, and what the reader waits for may have
// arrived in time and stand behind it in a queue. So it waits once more, for as
// long as it was late itself.
const (
	lateMin  = 5 * time.Millisecond
	graceMax = 100 * time.Millisecond
)

func (r *receiver) sleep(due time.Time, limited bool) {
	if !limited {
		<-r.wake
		return
	}
	if r.rest(time.Until(due)) {
		return
	}
	if late := time.Since(due); late >= lateMin {
		r.rest(min(late, graceMax))
	}
}

// rest sleeps, and tells whether it was woken.
func (r *receiver) rest(d time.Duration) bool {
	r.timer.Reset(d)
	select {
	case <-r.wake:
		return true
	case <-r.timer.C:
		return false
	}
}

// finish ends the stream: the reader gets what is held, then io.EOF.
func (r *receiver) finish() {
	r.mu.Lock()
	if !r.over {
		r.over = true
		r.jitter.Flush()
	}
	r.mu.Unlock()
	r.signal()
}

// silence is how long ago the newest packet arrived.
func (r *receiver) silence(now time.Time) time.Duration {
	return now.Sub(r.begin) - time.Duration(r.media.Load())
}
