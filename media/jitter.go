package media

import (
	"cmp"
	"slices"
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

// Push takes a packet that arrived now. It keeps the payload, which must not
// change afterwards. What is no Opus packet is counted and forgotten: its
// sequence number then counts as lost.
func (j *Jitter) Push(now time.Time, p RTP) {
	duration, err := PacketDuration(p.Payload)
	if err != nil {
		j.stats.Invalid++
		return
	}
	if j.seq.started && p.SSRC != j.seq.ssrc {
		if p.SSRC == j.previous && now.Sub(j.clock.last) < strayFor {
			j.stats.Stray++
			return
		}
		j.previous = j.seq.ssrc
		j.restart()
	}
	seq, ts, order := j.seq.extend(p)
	if order == orderRestart {
		j.restart()
		seq, ts, _ = j.seq.extend(p)
	}
	a := arrival{seq: seq, ts: ts, duration: duration, payload: p.Payload, at: now}
	if order == orderOld {
		j.pushOld(a)
		return
	}
	if !j.pushNewest(a) {
		j.stats.Excess++
		return
	}
	j.seq.advance(seq, ts+int64(duration))
	j.clock.last = now
}

// restart forgets the sequence numbers and timestamps of a stream that ended;
// the next packet begins another one.
func (j *Jitter) restart() {
	j.stats.Lost += j.seq.missing
	j.dropLimbo()
	j.seq = sequencer{}
}

// pushNewest takes a packet that follows all others of its stream; false when
// there is more than can be.
func (j *Jitter) pushNewest(a arrival) bool {
	if j.full(a.at) {
		return false
	}
	if !j.seq.started {
		j.begin(a)
	}
	a.pts = a.ts + j.offset
	limit := j.clock.limit(a.at)
	if a.ts != j.seq.nextTS && a.pts > min(limit, j.clock.expected(a.at)+Samples(leapMax)) {
		j.rebase(a)
		a.pts = a.ts + j.offset
	}
	if a.pts > limit {
		return false
	}
	j.stats.Received++
	j.seq.missing += a.seq - j.seq.highest - 1
	if a.pts <= j.next-minFrame {
		j.late(a)
		return true
	}
	j.dropLimbo()
	j.hold(a)
	return true
}

// pushOld takes a packet that a younger one overtook: one that was reordered or
// sent again, or one that we have already.
func (j *Jitter) pushOld(a arrival) {
	i, found := slices.BinarySearchFunc(j.held, a.seq, func(h arrival, seq int64) int { return cmp.Compare(h.seq, seq) })
	a.pts = a.ts + j.offset
	switch {
	case found || j.seq.seen(a.seq):
		j.stats.Duplicates++
	case a.seq < j.first, a.ts+int64(a.duration) > j.seq.nextTS: // or its timestamp runs against the sequence
		j.stats.Late++
	case a.pts <= j.next-minFrame:
		j.stats.Late++
		j.clock.delayed(a)
	default:
		j.stats.Received++
		j.stats.Reordered++
		j.seq.missing--
		j.seq.mark(a.seq)
		j.clock.delayed(a)
		j.held = slices.Insert(j.held, i, a)
	}
}

// begin lays the first packet of a stream onto the timeline: at its start, or
// where the time of arrival puts it when another stream came before.
func (j *Jitter) begin(a arrival) {
	j.seq.begin(a)
	if j.started {
		j.rebase(a)
		return
	}
	j.started = true
	j.offset = -a.ts
	j.first, j.lastOut = a.seq, a.seq-1
	j.clock.begin(a.at)
}

// hold keeps a packet that is in sequence and in time.
func (j *Jitter) hold(a arrival) {
	j.clock.observe(a)
	j.held = append(j.held, a)
}

// rebase lays a and what follows it where its arrival puts it, but never over
// what has already left or is held.
func (j *Jitter) rebase(a arrival) {
	at := max(j.end(), j.clock.expected(a.at))
	for i := range j.held { // nothing can come between them any more
		j.held[i].seq = noSequence
	}
	j.offset = at - a.ts
	j.first, j.lastOut = a.seq, a.seq-1
	j.stats.Rebased++
}

// full tells whether there is more already than time has passed, or than should
// be held.
func (j *Jitter) full(now time.Time) bool {
	return j.started && (j.end() > j.clock.limit(now) || len(j.held) >= unreadMax)
}

// end is where the timeline ends once everything that is held has left.
func (j *Jitter) end() int64 {
	if n := len(j.held); n > 0 {
		return max(j.next, j.held[n-1].pts+int64(j.held[n-1].duration))
	}
	return j.next
}

// late takes a packet in sequence whose place was already given away. A little
// late means a slower path: it is dropped, and the clock follows, so that the
// timeline waits until the packets behind it are in time again. Very late means
// one of two things. The network held packets back and lets them go in a
// burst: those are too late, but the ones behind them catch up. Or the sender
// paused while its timestamps stood still: then packets arrive in step with
// the clock, and the stream goes on here and now. Some are watched to tell.
func (j *Jitter) late(a arrival) {
	j.limbo = append(j.limbo, a)
	first := j.limbo[0]
	if j.next-first.pts <= Samples(j.clock.maxWait) {
		j.dropLimbo()
		j.clock.follow(a)
		return
	}
	arrived, sent := a.at.Sub(first.at), Duration(a.ts-first.ts)
	switch {
	case sent-arrived >= burstMin:
		j.dropLimbo()
	case arrived >= probation || len(j.limbo) >= heldMax:
		// The clock must not learn from those that came long before the place
		// that they would get now.
		n := slices.IndexFunc(j.limbo, func(b arrival) bool { return a.at.Sub(b.at) <= 2*probation })
		j.giveUp(j.limbo[:n])
		limbo, limit := j.limbo[n:], j.clock.limit(a.at)
		j.limbo = nil
		j.rebase(limbo[0])
		for _, a := range limbo {
			if a.pts = a.ts + j.offset; a.pts <= limit {
				j.hold(a)
			} else {
				j.stats.Excess++
				j.stats.Lost++
				j.stats.Received--
			}
		}
	}
}

// dropLimbo gives up on late packets.
func (j *Jitter) dropLimbo() {
	j.giveUp(j.limbo)
	j.limbo = j.limbo[:0]
}

func (j *Jitter) giveUp(late []arrival) {
	for _, a := range late {
		j.stats.Late++
		j.stats.Lost++
		j.stats.Received--
		j.clock.delayed(a)
	}
}

// Pop gives the next packet of the timeline if it is due now: one that
// arrived, or a piece of a hole that is no longer waited for.
func (j *Jitter) Pop(now time.Time) (Packet, bool) {
	for len(j.held) > 0 {
		first := j.held[0]
		hole := first.pts - j.next
		if hole >= minFrame {
			if j.known(first) || !now.Before(j.clock.deadline(j.next)) {
				return j.fill(hole), true
			}
			return Packet{}, false
		}
		j.held = slices.Delete(j.held, 0, 1)
		if hole <= -minFrame { // timestamps that run against the sequence
			j.stats.Late++
			continue
		}
		return j.take(first), true
	}
	if !j.started || j.flushing || now.Before(j.clock.outage(j.next)) {
		return Packet{}, false
	}
	if len(j.limbo) > 0 && now.Sub(j.limbo[0].at) < probation {
		return Packet{}, false // the sender is back, its place is being decided
	}
	return j.fill(fillStep), true
}

// fillStep is how much is given away at once while nothing arrives.
const fillStep = 960

// known tells whether nothing can arrive any more for the hole before a.
func (j *Jitter) known(a arrival) bool {
	return j.flushing || len(j.held) >= heldMax || a.seq == noSequence || a.seq == j.lastOut+1
}

func (j *Jitter) fill(hole int64) Packet {
	for p := range Gap(j.toc, j.next, min(hole, fillStep)) {
		j.next = p.End()
		j.filled += int64(p.Duration)
		return p
	}
	panic("media: hole shorter than a frame")
}

func (j *Jitter) take(a arrival) Packet {
	p := Packet{PTS: j.next, Duration: a.duration, Data: a.payload}
	j.next = p.End()
	j.toc = p.TOC()
	if a.seq != noSequence {
		j.lastOut = a.seq
	}
	return p
}

// Wake tells when Pop will give something if nothing arrives until then; false
// before the first packet and after Flush.
func (j *Jitter) Wake() (time.Time, bool) {
	if !j.started || j.flushing && len(j.held) == 0 {
		return time.Time{}, false
	}
	if len(j.held) > 0 {
		first := j.held[0]
		if j.known(first) || first.pts-j.next < minFrame {
			return first.at, true
		}
		return j.clock.deadline(j.next), true
	}
	wake := j.clock.outage(j.next)
	if len(j.limbo) > 0 {
		if verdict := j.limbo[0].at.Add(probation); verdict.After(wake) {
			wake = verdict
		}
	}
	return wake, true
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
