package loudness

import "math"

const (
	// StepsPerSecond is how many steps a second of programme has for a [Gate].
	StepsPerSecond = 10

	momentarySteps = 4  // 400 ms
	shortTermSteps = 30 // 3 s

	absoluteGate  = -70.0 // LUFS, BS.1770-4 annex 1
	relativeGate  = -10.0 // LU, for integrated loudness
	rangeGate     = -20.0 // LU, for the range (Tech 3342 §3)
	rangeLowPart  = 0.10
	rangeHighPart = 0.95
)

// A Gate turns the power of 100 ms steps into momentary, short-term and
// integrated loudness and loudness range. Its memory does not grow: windows
// above the absolute gate are counted in bins of 0.05 LU that remember the exact
// sum of their powers, so only windows within 0.05 LU of the relative gate can
// be judged wrong; they hold a tenth of the mean power, which keeps the
// error of the result far below 0.01 LU on real programmes. The zero value is ready.
type Gate struct {
	recent   [shortTermSteps]float64 // power of the last steps, a ring
	steps    int64
	blocks   histogram // 400 ms windows
	sections histogram // 3 s windows
}

// Add takes the K-weighted power of the next 100 ms (see [Loudness]).
func (g *Gate) Add(power float64) {
	g.recent[g.steps%shortTermSteps] = power
	g.steps++
	// Incomplete windows are not measured (BS.1770-4 annex 1, equation 3).
	if g.steps >= momentarySteps {
		g.blocks.add(g.mean(momentarySteps))
	}
	if g.steps >= shortTermSteps {
		g.sections.add(g.mean(shortTermSteps))
	}
}

// mean is the power of the last n steps; what lies before the start is silence.
func (g *Gate) mean(n int64) float64 {
	var sum float64
	for i := range min(n, g.steps) {
		sum += g.recent[(g.steps-1-i)%shortTermSteps]
	}
	return sum / float64(n)
}

// Momentary is the loudness in LUFS of the last 400 ms.
func (g *Gate) Momentary() float64 { return Loudness(g.mean(momentarySteps)) }

// ShortTerm is the loudness in LUFS of the last 3 s.
func (g *Gate) ShortTerm() float64 { return Loudness(g.mean(shortTermSteps)) }

// Integrated is the gated loudness in LUFS of everything so far: −Inf when
// there is less than 400 ms or nothing is louder than −70 LUFS.
func (g *Gate) Integrated() float64 {
	threshold := Loudness(g.blocks.mean(absoluteGate)) + relativeGate
	return Loudness(g.blocks.mean(max(absoluteGate, threshold)))
}

// Range is the loudness range in LU (LRA, Tech 3342): the distance between
// quiet and loud passages. It is 0 when there is less than 3 s.
func (g *Gate) Range() float64 {
	threshold := max(absoluteGate, Loudness(g.sections.mean(absoluteGate))+rangeGate)
	return g.sections.quantile(rangeHighPart, threshold) - g.sections.quantile(rangeLowPart, threshold)
}

const (
	binsPerLU = 20
	topLUFS   = 20 // what is louder shares the last bin
	bins      = int(topLUFS-absoluteGate) * binsPerLU
)

// histogram counts windows by loudness from the absolute gate up.
type histogram struct {
	count [bins]uint32
	power [bins]float64
}

func (h *histogram) add(power float64) {
	if l := Loudness(power); l >= absoluteGate {
		i := bin(l)
		h.count[i]++
		h.power[i] += power
	}
}

func bin(lufs float64) int {
	return max(0, min(bins-1, int(math.Floor((lufs-absoluteGate)*binsPerLU))))
}

// first is the bin from which on windows are above a threshold: the nearest
// boundary between bins.
func first(threshold float64) int { return bin(threshold + 0.5/binsPerLU) }

// mean is the mean power of the windows above the threshold.
func (h *histogram) mean(threshold float64) float64 {
	var n, sum float64
	for i := first(threshold); i < bins; i++ {
		n += float64(h.count[i])
		sum += h.power[i]
	}
	if n == 0 {
		return 0
	}
	return sum / n
}

// quantile is the loudness below which part of the windows above the threshold
// lie; 0 when there are none.
func (h *histogram) quantile(part, threshold float64) float64 {
	if math.IsInf(threshold, 0) {
		return 0
	}
	var n uint64
	from := first(threshold)
	for _, c := range h.count[from:] {
		n += uint64(c)
	}
	if n == 0 {
		return 0
	}
	rank := uint64(math.Round(part * float64(n-1)))
	for i := from; ; i++ {
		c := uint64(h.count[i])
		if rank < c {
			return Loudness(h.power[i] / float64(c))
		}
		rank -= c
	}
}
