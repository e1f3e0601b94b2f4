package replay

import (
	"math"
	"time"

	"github.com/roadwave/roadwave/media/loudness"
)

// An Interval is a stretch of a recording.
type Interval struct{ Begin, End time.Duration }

// Duration is how long it lasts.
func (i Interval) Duration() time.Duration { return i.End - i.Begin }

// What silence is when no threshold is configured. A fixed −50 dBFS fails both
// ways on the road: the hum of a car between two sentences is louder, and a
// phone held far away records speech that is hardly louder. So silence is
// judged against the loudness of the recording itself:
//
//   - what never comes within 35 LU of it is silence, whatever it is;
//   - what stays 20 LU below it is silence where it does not vary: the road, a
//     room, hiss. Soft music and distant voices vary by more than 4 dB from
//     one moment to the next, and stay.
//
// What is louder than that is part of what the creator let listeners hear.
const (
	deepBelow   = -35.0 // LU from the integrated loudness
	steadyBelow = -20.0 // LU
	steadiness  = 4.0   // dB between a moment (400 ms) and the one after it
	hysteresis  = 3.0   // dB above the threshold end a silence

	// deepest is the level in LUFS under which nothing counts as sound
	// (the absolute gate of BS.1770-4).
	deepest = -70.0

	// levelBlocks is how many blocks a level is averaged over: 40 ms, two periods
	// of the lowest voice.
	levelBlocks  = 16
	momentBlocks = 4 * stepBlocks
)

// A detector finds silences in an envelope.
type detector struct {
	env      *envelope
	shortest int // blocks
	// below is the level in LUFS that is silence.
	below float64
	// steady is the level in LUFS that is silence where it does not vary; −Inf
	// for never.
	steady float64
}

// newDetector takes a fixed threshold in dBFS, or 0 to judge by the loudness of the
// recording.
func newDetector(env *envelope, threshold, integrated float64, shortest time.Duration) detector {
	d := detector{env: env, shortest: blocksIn(shortest), below: threshold, steady: math.Inf(-1)}
	if threshold == 0 {
		d.below = max(deepest, integrated+deepBelow)
		d.steady = max(deepest, integrated+steadyBelow)
	}
	return d
}

// find gives the silences longer than the shortest, in order.
func (d detector) find() []span {
	var found []span
	if math.IsInf(d.steady, -1) {
		return d.quiet(found, span{0, d.env.blocks()}, d.below)
	}
	for _, s := range d.quiet(nil, span{0, d.env.blocks()}, d.steady) {
		for at := s.begin; at < s.end; {
			still, lively := d.stillness(span{at, s.end})
			if still.blocks() > d.shortest {
				found = append(found, still)
			} else {
				found = d.quiet(found, still, d.below)
			}
			found = d.quiet(found, lively, d.below)
			at = lively.end
		}
	}
	return merge(found)
}

// quiet appends the stretches of s, longer than the shortest, in which no 40 ms
// reach a threshold. Once such a stretch has begun it takes the hysteresis more
// to end it. Its ends are exact to a block: they touch the sound.
func (d detector) quiet(found []span, s span, threshold float64) []span {
	var (
		table = powers()
		enter = loudness.Power(threshold) * levelBlocks
		leave = enter * math.Pow(10, hysteresis/10)
		sum   float64
		begin = -1 // of the stretch, −1 outside
	)
	power := func(i int) float64 { return float64(table[d.env.power[i]]) }
	end := func(at int) {
		if begin >= 0 && at-begin > d.shortest {
			found = append(found, span{begin, at})
		}
		begin = -1
	}
	for i := s.begin; i < s.end; i++ {
		sum += power(i)
		first := i - levelBlocks + 1
		if first > s.begin {
			sum -= power(first - 1)
		}
		switch {
		case begin < 0 && sum < enter && (first >= s.begin || s.blocks() < levelBlocks):
			begin = max(first, s.begin)
		case begin >= 0 && sum >= leave:
			end(i)
		}
	}
	end(s.end)
	return found
}

// stillness divides s in two: how far it does not vary, and the stretch after
// that in which it does.
func (d detector) stillness(s span) (still, lively span) {
	moment := func(at int) float64 {
		var sum float64
		table := powers()
		for _, p := range d.env.power[at : at+momentBlocks] {
			sum += float64(table[p])
		}
		return 10 * math.Log10(sum+1e-12)
	}
	varies := func(at int) bool {
		return math.Abs(moment(at+momentBlocks)-moment(at)) > steadiness
	}
	at := s.begin
	for at+2*momentBlocks <= s.end && !varies(at) {
		at += stepBlocks
	}
	if at+2*momentBlocks > s.end {
		return s, span{s.end, s.end}
	}
	// The change lies somewhere in the two moments.
	last := at
	for last+2*momentBlocks <= s.end && varies(last) {
		last += stepBlocks
	}
	return span{s.begin, at + momentBlocks}, span{at + momentBlocks, min(s.end, last+momentBlocks)}
}

// merge joins stretches that touch.
func merge(spans []span) []span {
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].end >= s.begin {
			out[n-1].end = max(out[n-1].end, s.end)
			continue
		}
		out = append(out, s)
	}
	return out
}

// keep gives the spans that stay when of every silence only margin is left
// beside the sound: on both sides in the middle, on one at the beginning and at
// the end of the recording.
func keep(silences []span, blocks, margin int) []span {
	var kept []span
	at := 0
	for _, s := range silences {
		cut := span{s.begin + margin, s.end - margin}
		if s.begin == 0 {
			cut.begin = 0
		}
		if s.end == blocks {
			cut.end = blocks
		}
		if cut.blocks() < 2*fadeBlocks { // nothing to gain
			continue
		}
		if cut.begin > at {
			kept = append(kept, span{at, cut.begin})
		}
		at = cut.end
	}
	if at < blocks {
		kept = append(kept, span{at, blocks})
	}
	return kept
}

// extend adds a block to spans in order.
func extend(spans []span, block int) []span {
	if n := len(spans); n > 0 && spans[n-1].end == block {
		spans[n-1].end++
		return spans
	}
	return append(spans, span{block, block + 1})
}
