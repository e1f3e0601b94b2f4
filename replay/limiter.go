package replay

import (
	"math"

	"github.com/roadwave/roadwave/media/loudness"
)

// smoothing is how many blocks the gain takes to bend down before a peak and
// how far the limiter looks ahead for it: 10 ms, too slow to be heard as
// distortion of a voice, too short to be heard as a dip before it.
const smoothing = 4

// bend is the weight of each block in the moving average of the gain.
var bend = [smoothing + 1]float32{0.07, 0.25, 0.36, 0.25, 0.07}

// recovery is what part of the way back to 1 the gain goes per block: a time
// constant of 120 ms.
var recovery = float32(1 - math.Exp(-2.5/120))

// A curve turns the gain that each block can bear into the gain at the
// boundaries between blocks, smooth and never above what the blocks on both
// sides bear. It is the limiter without the sound, so that its effect on
// loudness can be computed from an [envelope].
//
// With r the gain that a block bears (its peak may lie in the block before, because
// oversampling sees it late), the gain at the beginning of block j is
//
//	bear[j] = min(r[j−1], r[j], r[j+1])
//	hold[j] = min(bear[j … j+smoothing])
//	ease[j] = min(hold[j], ease[j−1] + recovery·(1−ease[j−1]))
//	gain[j] = Σ bend[i]·ease[j−i]
//
// Each ease in the sum is at most bear[j], and so is the sum.
type curve struct {
	bears [lag + 2]float32       // the last r, newest first
	eases [smoothing + 1]float32 // newest first
	calm  int                    // blocks since anything was below 1
}

// lag is how many blocks after a boundary's block its gain is known.
const lag = smoothing + 1

func newCurve() curve {
	var c curve
	for i := range c.bears {
		c.bears[i] = 1
	}
	for i := range c.eases {
		c.eases[i] = 1
	}
	return c
}

// next takes r of block k and gives the gain at the beginning of block k−lag.
func (c *curve) next(r float32) float32 {
	if r >= 1 && c.calm > len(c.bears) { // nothing to do, most of the time
		return 1
	}
	copy(c.bears[1:], c.bears[:])
	c.bears[0] = min(r, 1)
	hold := c.bears[0]
	for _, b := range c.bears[1:] {
		hold = min(hold, b)
	}
	ease := c.eases[0] + recovery*(1-c.eases[0])
	if ease > 0.9999 {
		ease = 1
	}
	ease = min(hold, ease)
	copy(c.eases[1:], c.eases[:])
	c.eases[0] = ease
	if c.calm++; ease < 1 {
		c.calm = 0
	}
	var gain float32
	for i, e := range c.eases {
		gain += bend[i] * e
	}
	return min(gain, 1)
}

// tryMaster computes the integrated loudness that the blocks of some spans
// would have after a gain and a limiter with that ceiling (amplitudes).
func (e *envelope) tryMaster(spans []span, gain, ceiling float32) float64 {
	var (
		gate  loudness.Gate
		table = powers()
		c     = newCurve()
		high  = peakLevel(ceiling / gain)
		past  [lag + 1]float32 // powers that wait for their gain, a ring
		at    int
		begin float32 = 1 // gain at the beginning of the block that leaves
		sum   float64
		count = -lag - 2
	)
	next := func(power float32, r float32) {
		end := c.next(r)
		if count++; count >= 0 {
			g := (begin + end) / 2
			sum += float64(past[at] * g * g)
			if count%stepBlocks == stepBlocks-1 {
				gate.Add(sum * float64(gain) * float64(gain) / stepBlocks)
				sum = 0
			}
		}
		begin = end
		past[at] = power
		if at++; at == len(past) {
			at = 0
		}
	}
	for _, s := range spans {
		peaks := e.peak[s.begin:s.end]
		for i, p := range e.power[s.begin:s.end] {
			r := float32(1)
			if peaks[i] > high {
				r = ceiling / (gain * float32(math.Sqrt(float64(table[peaks[i]]))))
			}
			next(table[p], r)
		}
	}
	for range lag + 1 {
		next(0, 1)
	}
	return gate.Integrated()
}

// A limiter multiplies a sound by a gain and holds its true peak below a
// ceiling. It looks ahead, so blocks come out lag+1 blocks later.
type limiter struct {
	gain, ceiling float32
	curve         curve
	peak          func(block []float32) float32
	pending       [lag + 1][blockSamples]float32 // a ring
	taken         int
	begin         float32 // gain at the beginning of the oldest block
	lowest        float32 // of the curve so far
	emit          func(block []float32) error
}

// newLimiter makes a limiter that asks for the true peak of each block before the
// gain; the answer may come one block late.
func newLimiter(gain, ceiling float32, peak func(block []float32) float32, emit func([]float32) error) *limiter {
	return &limiter{gain: gain, ceiling: ceiling, curve: newCurve(), peak: peak, begin: 1, lowest: 1, emit: emit}
}

// write takes one block. The block given to emit is only valid until it returns.
func (l *limiter) write(block []float32) error {
	r := float32(1)
	if peak := l.peak(block); peak*l.gain > l.ceiling {
		r = l.ceiling / (peak * l.gain)
	}
	end := l.curve.next(r)
	// The gain known now is that at the end of the oldest block.
	slot := &l.pending[l.taken%len(l.pending)]
	var err error
	if l.taken >= len(l.pending) {
		l.apply(slot, l.begin, end)
		err = l.emit(slot[:])
	}
	l.begin, l.lowest = end, min(l.lowest, end)
	copy(slot[:], block)
	l.taken++
	return err
}

// apply bends the gain in a straight line over a block.
func (l *limiter) apply(block *[blockSamples]float32, begin, end float32) {
	g := l.gain * begin
	if begin == end {
		for i := range block {
			block[i] *= g
		}
		return
	}
	step := l.gain * (end - begin) / blockFrames
	for i := 0; i < blockSamples; i += channels {
		block[i] *= g
		block[i+1] *= g
		g += step
	}
}

// flush emits what is pending.
func (l *limiter) flush() error {
	var silence [blockSamples]float32
	for range l.pending {
		if err := l.write(silence[:]); err != nil {
			return err
		}
	}
	return nil
}
