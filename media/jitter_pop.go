package media

import (
	"slices"
	"time"
)

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
