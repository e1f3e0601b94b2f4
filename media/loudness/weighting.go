package loudness

import "math"

// SampleRate is the only rate the package measures at, in hertz: the filter
// coefficients of BS.1770-4 are given for it.
const SampleRate = 48000

// biquad is one second-order section in transposed direct form II.
type biquad struct{ b0, b1, b2, a1, a2 float64 }

// The two stages of K-weighting at 48 kHz, BS.1770-4 annex 1 tables 1 and 2:
// the effect of a head, and a high-pass.
var (
	shelf    = biquad{1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585}
	highPass = biquad{1, -2, 1, -1.99004745483398, 0.99007225036621}
)

// memory is what one channel carries from sample to sample: two values of the
// shelf, two of the high-pass.
type memory struct{ s1, s2, h1, h2 float64 }

// step filters one sample. It is written out, not looped over sections,
// because it runs 96 000 times per second of sound and must be inlined.
func (m *memory) step(x float64) float64 {
	y := shelf.b0*x + m.s1
	m.s1 = shelf.b1*x - shelf.a1*y + m.s2
	m.s2 = shelf.b2*x - shelf.a2*y
	z := y + m.h1
	m.h1 = -2*y - highPass.a1*z + m.h2
	m.h2 = y - highPass.a2*z
	return z
}

// settle drops what is left of a sound 600 dB down: in silence the filters
// would decay into denormal numbers, on which processors are 100 times slower.
func (m *memory) settle() {
	for _, v := range []*float64{&m.s1, &m.s2, &m.h1, &m.h2} {
		if math.Abs(*v) < 1e-30 {
			*v = 0
		}
	}
}

// A Weighting is the K-weighting filter of BS.1770-4 for one programme of one
// or two channels. The zero value is not ready; see [NewWeighting].
type Weighting struct {
	channels    int
	left, right memory
}

// NewWeighting makes a filter for 1 or 2 channels; it panics for any other
// number.
func NewWeighting(channels int) *Weighting {
	if channels != 1 && channels != 2 {
		panic("loudness: a programme has 1 or 2 channels")
	}
	return &Weighting{channels: channels}
}

// Energy filters interleaved samples and gives the sum of the squares of all
// that come out. Divided by the number of sample frames it is the power that
// [Loudness] takes. A NaN or an infinity stays in the filter for ever: the
// [Meter] keeps them out, others must.
func (w *Weighting) Energy(samples []float32) float64 {
	l := w.left
	var sum float64
	if w.channels == 1 {
		for _, s := range samples {
			y := l.step(float64(s))
			sum += y * y
		}
	} else {
		r := w.right
		var right float64
		for ; len(samples) >= 2; samples = samples[2:] {
			y, z := l.step(float64(samples[0])), r.step(float64(samples[1]))
			sum += y * y
			right += z * z
		}
		sum += right
		r.settle()
		w.right = r
	}
	l.settle()
	w.left = l
	return sum
}

// offset makes a 997 Hz tone at full scale in one channel read −3.01 LUFS
// (BS.1770-4 annex 1, equation 2).
const offset = -0.691

// Loudness is the loudness in LUFS of a K-weighted power (mean square per
// sample frame, summed over the channels).
func Loudness(power float64) float64 { return offset + 10*math.Log10(power) }

// Power is the inverse of [Loudness].
func Power(lufs float64) float64 { return math.Pow(10, (lufs-offset)/10) }

// Decibels is the level in dB of an amplitude where 1 is full scale.
func Decibels(amplitude float64) float64 { return 20 * math.Log10(amplitude) }

// Amplitude is the inverse of [Decibels].
func Amplitude(db float64) float64 { return math.Pow(10, db/20) }
