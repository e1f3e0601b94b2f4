package media

import (
	"cmp"
	"slices"
	"time"
)

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
