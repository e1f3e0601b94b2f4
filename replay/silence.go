package replay

import (
	"math"
	"slices"
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
//     room, hiss. Soft music and distant voices go up and down, and stay.
//
// What is louder than that is part of what the creator let listeners hear.
const (
	deepBelow   = -35.0 // LU from the integrated loudness
	steadyBelow = -20.0 // LU
	deviation   = 1.5   // dB; noise has 0.5, music 3, a voice 5 and more
	hysteresis  = 3.0   // dB above the threshold end a silence

	// deepest is the level in LUFS under which nothing counts as sound (the
	// absolute gate of BS.1770-4), unless the recording itself is as soft.
	deepest = -70.0

	// levelBlocks is how many blocks a level is averaged over: 40 ms, two periods
	// of the lowest voice.
	levelBlocks = 16
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
		d.steady = integrated + steadyBelow
		d.below = min(max(deepest, integrated+deepBelow), d.steady)
	}
	return d
}

// find gives the silences longer than the shortest, in order.
func (d detector) find() []span {
	whole := span{0, d.env.blocks()}
	found := d.quiet(whole, d.below)
	if !math.IsInf(d.steady, -1) {
		for _, s := range d.quiet(whole, d.steady) {
			found = append(found, d.still(s)...)
		}
	}
	slices.SortFunc(found, func(a, b span) int { return a.begin - b.begin })
	return slices.DeleteFunc(merge(found), func(s span) bool { return s.blocks() <= d.shortest })
}

// quiet gives the stretches of s, longer than the shortest, in which no 40 ms
// reach a threshold. Once such a stretch has begun it takes the hysteresis more
// to end it. Its ends are exact to a block: they touch the sound.
func (d detector) quiet(s span, threshold float64) (found []span) {
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

// still gives the stretches of s in which the level does not vary: every moment of
// them lies in one as long as the shortest silence whose steps of 100 ms deviate
// little from their mean.
func (d detector) still(s span) (found []span) {
	steps := d.steps(s)
	window := max(d.shortest/stepBlocks, 4)
	var sum, squares float64
	for i, db := range steps {
		sum += db
		squares += db * db
		first := i - window + 1
		if first < 0 {
			continue
		}
		mean := sum / float64(window)
		if squares/float64(window)-mean*mean <= deviation*deviation {
			found = append(found, span{s.begin + first*stepBlocks, s.begin + (i+1)*stepBlocks})
		}
		sum -= steps[first]
		squares -= steps[first] * steps[first]
	}
	if n := len(found); n > 0 && s.end-found[n-1].end < stepBlocks {
		found[n-1].end = s.end // the rest is shorter than a step
	}
	return merge(found)
}

// steps gives the level in dB of every whole 100 ms of s. What varies below the
// lower threshold is silence all the same.
func (d detector) steps(s span) (db []float64) {
	table := powers()
	floor := loudness.Power(d.below)
	for at := s.begin; at+stepBlocks <= s.end; at += stepBlocks {
		var sum float64
		for _, p := range d.env.power[at : at+stepBlocks] {
			sum += float64(table[p])
		}
		db = append(db, 10*math.Log10(max(floor, sum/stepBlocks)))
	}
	return db
}

// merge joins stretches, in order, that touch or overlap.
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
	margin = max(margin, fadeBlocks/2) // a join needs that much
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
