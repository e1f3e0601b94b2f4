package loudness

import "math"

const (
	half   = 12 // taps on each side of the point between two samples
	window = 2 * half

	// Delay is how many sample frames after a peak [TruePeak.Write] sees it.
	Delay = half
)

// taps interpolates the signal at a quarter, a half and three quarters between
// two samples (4 times oversampling, BS.1770-4 annex 2). The filter is a sinc
// under a Kaiser window: flat to 20 kHz, and unlike the example filter in
// the annex it passes the samples themselves unchanged, so they need no
// computing. It is symmetric around the middle, so for each pair of samples
// at the same distance it works on their sum and their difference:
//
//	middle   = Σ mid·sum
//	quarters = Σ even·sum ± Σ odd·difference
var taps = func() (t struct{ mid, even, odd [half]float32 }) {
	const beta = 6
	kernel := func(x float64) float64 { // x in samples from the wanted point
		r := x / half
		if math.Abs(r) >= 1 {
			return 0
		}
		return math.Sin(math.Pi*x) / (math.Pi * x) * bessel(beta*math.Sqrt(1-r*r)) / bessel(beta)
	}
	// Each phase is made to pass a constant unchanged.
	var middle, quarter float64
	var mid, near, far [half]float64
	for j := range half {
		d := float64(j)
		mid[j], near[j], far[j] = kernel(d+0.5), kernel(d+0.25), kernel(d+0.75)
		middle += 2 * mid[j]
		quarter += near[j] + far[j]
	}
	for j := range half {
		t.mid[j] = float32(mid[j] / middle)
		t.even[j] = float32((near[j] + far[j]) / 2 / quarter)
		t.odd[j] = float32((near[j] - far[j]) / 2 / quarter)
	}
	return t
}()

// bessel is the modified Bessel function of the first kind and order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// Three bounds on what lies between samples spare most of the computing:
// overshoot is how far a window can exceed its largest sample (the sum of
// absolute taps); nearest is what the two middle samples can add; spread is
// the square of what all others can add per square root of their energy (the
// Cauchy-Schwarz inequality). They are a little too large on purpose: sums round.
var overshoot, nearest, spread = func() (all, near, rest float32) {
	abs := func(x float32) float32 { return float32(math.Abs(float64(x))) }
	var absolute, middle, quarter float32
	for j := range half {
		left, right := abs(taps.even[j]+taps.odd[j]), abs(taps.even[j]-taps.odd[j])
		absolute += max(2*taps.mid[j], -2*taps.mid[j], left+right)
		if j > 0 {
			middle += 2 * taps.mid[j] * taps.mid[j]
			quarter += left*left + right*right
		}
	}
	near = max(abs(taps.mid[0]), abs(taps.even[0])+abs(taps.odd[0]))
	const safe = 1.0001
	return absolute * safe, near * safe, max(middle, quarter) * safe
}()

// chunk is how many frames are judged at once by overshoot: few, so that one
// peak costs little.
const chunk = 60

// TruePeak finds the largest value that the continuous signal behind the
// samples reaches, by interpolation at 192 kHz. It computes only where the
// samples nearby are high enough to matter.
type TruePeak struct {
	channels int
	lines    [2]line
}

// line is one channel: the samples that windows still need, then new ones.
type line struct {
	samples [window - 1 + chunk]float32
	before  uint32 // magnitude of the highest of the samples still needed, or more
}

// magnitude is the absolute value of a sample as bits: they order as the
// values do, and integers compare faster.
func magnitude(s float32) uint32 { return math.Float32bits(s) &^ (1 << 31) }

// NewTruePeak makes a detector for 1 or 2 channels; it panics for any other
// number.
func NewTruePeak(channels int) *TruePeak {
	if channels != 1 && channels != 2 {
		panic("loudness: a programme has 1 or 2 channels")
	}
	return &TruePeak{channels: channels}
}

// Write takes interleaved samples and gives the true peak among the last
// len/channels sample frames that have [Delay] frames after them, as an
// amplitude, or floor when the peak is not above it. The higher the
// floor, the less there is to compute. All samples must be finite.
func (p *TruePeak) Write(samples []float32, floor float32) float32 {
	for len(samples) >= p.channels {
		n := min(chunk, len(samples)/p.channels)
		for c := range p.channels {
			floor = p.lines[c].write(samples[c:n*p.channels], p.channels, floor)
		}
		samples = samples[n*p.channels:]
	}
	return floor
}

// Flush gives the peak of the frames that still wait for what follows them,
// taken to be silence, and starts anew.
func (p *TruePeak) Flush(floor float32) float32 {
	floor = p.Write(make([]float32, Delay*p.channels), floor)
	p.lines = [2]line{}
	return floor
}

// write takes every stride-th sample, up to a chunk of them.
func (l *line) write(samples []float32, stride int, floor float32) float32 {
	n := 0
	var highest uint32
	fresh := l.samples[window-1:]
	for i := 0; i < len(samples) && n < len(fresh); i += stride {
		fresh[n] = samples[i]
		highest = max(highest, magnitude(samples[i]))
		n++
	}
	if math.Float32frombits(max(highest, l.before))*overshoot > floor {
		floor = l.peak(n, floor)
	}
	if l.before = highest; n < window-1 { // older samples remain
		for _, s := range l.samples[n : n+window-1] {
			l.before = max(l.before, magnitude(s))
		}
	}
	copy(l.samples[:], l.samples[n:n+window-1])
	return floor
}

// peak looks at the n windows that the newest n samples complete.
func (l *line) peak(n int, floor float32) float32 {
	var energy float64
	for _, s := range l.samples[:window-1] {
		energy += float64(s) * float64(s)
	}
	for i := range n {
		w := (*[window]float32)(l.samples[i : i+window])
		energy += float64(w[window-1]) * float64(w[window-1])
		before := math.Float32frombits(magnitude(w[half-1]))
		after := math.Float32frombits(magnitude(w[half]))
		if before > floor {
			floor = before
		}
		room := floor - (before+after)*nearest
		if room <= 0 || room*room < spread*float32(energy) {
			floor = max(floor, between(w))
		}
		energy -= float64(w[0]) * float64(w[0])
	}
	return floor
}

// between is the highest of the three values between the middle samples of w.
func between(w *[window]float32) float32 {
	var middle, even, odd float32
	for j := range half {
		before, after := w[half-1-j], w[half+j]
		sum, difference := before+after, before-after
		middle += taps.mid[j] * sum
		even += taps.even[j] * sum
		odd += taps.odd[j] * difference
	}
	return max(middle, -middle, max(even, -even)+max(odd, -odd))
}
