package loudness

import (
	"math"
	"math/rand/v2"
)

// part is a stretch of test signal: the same in all channels.
type part struct {
	seconds float64
	dbfs    float64 // of the peak
	hz      float64
	phase   float64 // degrees at the start
}

// tone joins parts into interleaved samples, without a break in phase between
// parts of the same frequency.
func tone(channels int, parts ...part) []float32 {
	var out []float32
	var n int
	for _, p := range parts {
		a := Amplitude(p.dbfs)
		for range int(math.Round(p.seconds * SampleRate)) {
			v := float32(a * math.Sin(2*math.Pi*p.hz*float64(n)/SampleRate+p.phase*math.Pi/180))
			for range channels {
				out = append(out, v)
			}
			n++
		}
	}
	return out
}

// sine1k is a stereo 1 kHz tone whose level changes: seconds and dBFS in turn.
func sine1k(secondsAndLevels ...float64) []float32 {
	var parts []part
	for i := 0; i < len(secondsAndLevels); i += 2 {
		parts = append(parts, part{seconds: secondsAndLevels[i], dbfs: secondsAndLevels[i+1], hz: 1000})
	}
	return tone(2, parts...)
}

func repeat(times int, signal []float32) []float32 {
	out := make([]float32, 0, times*len(signal))
	for range times {
		out = append(out, signal...)
	}
	return out
}

// noise is uncorrelated white noise, its loudness drifting like a programme's.
func noise(channels int, seconds float64, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, int(seconds*SampleRate)*channels)
	for i := range out {
		t := float64(i/channels)/SampleRate + 8 // starts loud: FFmpeg counts the first, incomplete windows
		a := 0.05 * math.Exp(1.5*math.Sin(t)+math.Sin(t/7.3))
		out[i] = float32(a * r.NormFloat64() / 3)
	}
	return out
}

// pulse is a band-limited click that reaches 1.0 exactly, sampled shift quarters
// of a sample after its top.
func pulse(shift int) []float32 {
	out := make([]float32, 2*4800)
	for i := range len(out) / 2 {
		x := float64(i-2400) + float64(shift)/4
		v := 1.0
		if x != 0 {
			const band = 0.8 // of the Nyquist frequency
			w := math.Exp(-x * x / 800)
			v = math.Sin(math.Pi*band*x) / (math.Pi * band * x) * w
		}
		out[2*i], out[2*i+1] = float32(v), float32(v)
	}
	return out
}
