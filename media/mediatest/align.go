package mediatest

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// coarse is how much sound is thinned out for the first search, to 12 kHz.
const coarse = 4

// Align finds where in got the sound of sent is: got[i+offset] is sent[i], so a
// positive offset is a delay, in samples. Similarity is the correlation there, 1
// for the same waveform at any volume, near 0 for another sound; a good codec at 48
// kbit/s keeps more than 0.9 of speech and 0.7 of noise. At least half of the shorter sound must
// be in both. Silence resembles nothing.
//
// Both are one channel. A minute takes about a second.
func Align(sent, got []float32) (offset int, similarity float64) {
	a, b := thin(sent), thin(got)
	if len(a) == 0 || len(b) == 0 {
		return 0, 0
	}
	guess := searchOffset(a, b) * coarse
	for o := guess - 2*coarse; o <= guess+2*coarse; o++ {
		if s := Similarity(sent, got, o); s > similarity {
			offset, similarity = o, s
		}
	}
	return offset, similarity
}

// Similarity is the correlation of sent[i] and got[i+offset], 0 to 1.
func Similarity(sent, got []float32, offset int) float64 {
	var product, powerA, powerB float64
	for i := max(0, -offset); i < min(len(sent), len(got)-offset); i++ {
		a, b := float64(sent[i]), float64(got[i+offset])
		product += a * b
		powerA += a * a
		powerB += b * b
	}
	if powerA == 0 || powerB == 0 {
		return 0
	}
	return max(0, product/math.Sqrt(powerA*powerB))
}

// thin averages every few samples into one.
func thin(pcm []float32) []float64 {
	out := make([]float64, len(pcm)/coarse)
	for i := range out {
		for _, v := range pcm[i*coarse : (i+1)*coarse] {
			out[i] += float64(v)
		}
	}
	return out
}

// searchOffset tries all offsets at once: correlation is multiplication in the
// frequency domain. Each is judged by what both sounds hold in their overlap.
func searchOffset(a, b []float64) int {
	size := 1 << bits.Len(uint(len(a)+len(b)-1))
	fa, fb := spectrum(a, size), spectrum(b, size)
	for i := range fa {
		fa[i] = cmplx.Conj(fa[i]) * fb[i]
	}
	// The inverse transform of x is the conjugate of the transform of its conjugate;
	// correlation is real, so only the first conjugation matters.
	for i := range fa {
		fa[i] = cmplx.Conj(fa[i])
	}
	fft(fa)

	powerA, powerB := powers(a), powers(b)
	enough := min(len(a), len(b)) / 2
	const even = 1e-9 // of two offsets as good, as in clicks, the smaller one is meant
	best, at := 0.0, 0
	for o := -len(a) + 1; o < len(b); o++ {
		from, to := max(0, -o), min(len(a), len(b)-o)
		if to-from < enough {
			continue
		}
		power := (powerA[to] - powerA[from]) * (powerB[to+o] - powerB[from+o])
		if power <= 0 {
			continue
		}
		s := real(fa[(o+size)%size]) / float64(size) / math.Sqrt(power)
		if s > best+even || s > best-even && abs(o) < abs(at) {
			best, at = s, o
		}
	}
	return at
}

func abs(n int) int { return max(n, -n) }

// powers holds at i the sum of squares before i.
func powers(pcm []float64) []float64 {
	sums := make([]float64, len(pcm)+1)
	for i, v := range pcm {
		sums[i+1] = sums[i] + v*v
	}
	return sums
}

func spectrum(pcm []float64, size int) []complex128 {
	x := make([]complex128, size)
	for i, v := range pcm {
		x[i] = complex(v, 0)
	}
	fft(x)
	return x
}

// fft transforms x in place (Cooley and Tukey); its length is a power of two.
func fft(x []complex128) {
	n := len(x)
	shift := bits.UintSize - bits.Len(uint(n-1))
	for i := 1; i < n; i++ {
		if j := int(bits.Reverse(uint(i)) >> shift); j > i {
			x[i], x[j] = x[j], x[i]
		}
	}
	for half := 1; half < n; half *= 2 {
		turns := make([]complex128, half)
		for k := range turns {
			turns[k] = cmplx.Rect(1, -math.Pi*float64(k)/float64(half))
		}
		for start := 0; start < n; start += 2 * half {
			for k, turn := range turns {
				even, odd := x[start+k], x[start+k+half]*turn
				x[start+k], x[start+k+half] = even+odd, even-odd
			}
		}
	}
}
