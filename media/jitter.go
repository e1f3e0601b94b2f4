package media

import (
	"time"
)

// JitterConfig tells how long a [Jitter] waits for what is missing.
type JitterConfig struct {
	// MinWait is the shortest time that a missing packet is waited for after
	// the moment it was expected. Default 60 ms, at least 1 ms.
	MinWait time.Duration
	// MaxWait is the longest. Default 200 ms, at least MinWait.
	MaxWait time.Duration
}

// JitterStats count what a [Jitter] saw since its start.
type JitterStats struct {
	Received   int64         // valid packets, each counted once
	Lost       int64         // sequence numbers that never came or came too late
	Late       int64         // packets that came after their place was given away
	Duplicates int64         // packets that came again
	Reordered  int64         // packets that came after a younger one, in time
	Invalid    int64         // payloads that are no Opus packet
	Stray      int64         // packets of a stream that another one replaced
	Excess     int64         // packets that came faster than real time, or that nobody read
	Rebased    int64         // times that the sender's clock or stream started anew
	Filled     time.Duration // audio marked lost on the timeline
	Jitter     time.Duration // interarrival jitter (RFC 3550 §6.4.1)
	Wait       time.Duration // the present wait for a missing packet
}

// A Jitter puts RTP packets on the timeline. It is a state machine without a
// clock, a goroutine or a lock: the caller says what time it is.
//
// What arrived in order leaves at once; only a hole is waited for, from the
// moment its packet was due (judged by the fastest packets of the last
// seconds) for as long as packets have recently been late, within MinWait and
// MaxWait. Then the hole is given away as packets marked Lost, 20 ms at a time,
// so the timeline goes on in real time even when nothing arrives: an outage is
// a hole without an end. It is waited for MaxWait, since nothing stands behind
// it that would come later, and the pause before a proper end is none.
//
// The timeline follows the creator's RTP timestamps. Where those cannot be
// true (a new stream, a sender that restarted, a capture that was suspended
// while its timestamps stood still, a leap) the stream is laid onto the
// timeline anew, at the place that the time of arrival tells.
//
// A sender cannot make the timeline run away: it is at most 2 s and one percent
// ahead of the time since the first packet, and what would go beyond that is
// dropped. Nor can it fill the memory when nobody calls Pop: what comes while
// 4096 packets are held is dropped, too.
type Jitter struct {
	clock    arrivalClock
	seq      sequencer
	held     []arrival // in sequence order, none before next
	limbo    []arrival // see late
	next     int64     // PTS of the next packet out
	offset   int64     // PTS minus extended timestamp
	toc      TOC       // of the last packet out, for fillers
	started  bool
	flushing bool
	lastOut  int64 // extended sequence number of the last received packet out
	first    int64 // extended sequence number that offset holds from
	previous uint32
	stats    JitterStats
	filled   int64
}

// An arrival is a valid packet on its way through the buffer.
type arrival struct {
	seq      int64 // extended, noSequence once its stream was replaced
	ts       int64 // extended
	pts      int64 // place on the timeline
	duration int
	payload  []byte
	at       time.Time
}

const (
	heldMax       = 512                    // packets; with more, no hole is waited for
	unreadMax     = 4096                   // packets held; more are not taken
	leapMax       = 500 * time.Millisecond // a timestamp further ahead of the arrivals is not believed
	probation     = 100 * time.Millisecond // how long late packets are watched before a verdict
	burstMin      = 60 * time.Millisecond  // how much faster than real time makes them a burst
	strayFor      = 500 * time.Millisecond // how long a replaced stream is ignored
	fillerTOC TOC = 31 << 3                // CELT, fullband, 20 ms, mono: when nothing came before
)

// NewJitter makes a buffer; the zero config is right for WebRTC.
func NewJitter(cfg JitterConfig) *Jitter {
	if cfg.MinWait <= 0 {
		cfg.MinWait = 60 * time.Millisecond
	}
	if cfg.MaxWait <= 0 {
		cfg.MaxWait = 200 * time.Millisecond
	}
	cfg.MaxWait = max(cfg.MaxWait, cfg.MinWait)
	return &Jitter{clock: arrivalClock{minWait: cfg.MinWait, maxWait: cfg.MaxWait}, toc: fillerTOC}
}

// Flush ends the live: what is held is due now, holes in it included.
func (j *Jitter) Flush() {
	j.dropLimbo()
	j.flushing = true
}

// SetRoundTrip tells the time to the creator and back, so that a packet that
// is asked for again has time to arrive.
func (j *Jitter) SetRoundTrip(d time.Duration) { j.clock.roundTrip = d }

// Stats gives the counts so far.
func (j *Jitter) Stats() JitterStats {
	s := j.stats
	s.Lost += j.seq.missing
	s.Filled = Duration(j.filled)
	s.Jitter = j.clock.jitter
	s.Wait = j.clock.wait()
	return s
}
