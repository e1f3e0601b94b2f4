package mediatest

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/roadwave/roadwave/media"
)

// Sounds are mono PCM in the form of package media/opus: []float32, full scale ±1,
// 48 kHz. The same arguments always give the same samples. Join them with
// slices.Concat; make two channels of them with Stereo.

// Silence is d of nothing.
func Silence(d time.Duration) []float32 { return make([]float32, media.Samples(d)) }

// Sine is a tone of hz. Its level is in dBFS RMS relative to a full-scale sine,
// so 0 reaches ±1 (AES17), −20 is a tenth of that.
func Sine(hz, dbfs float64, d time.Duration) []float32 {
	pcm := Silence(d)
	peak := gain(dbfs)
	for i := range pcm {
		pcm[i] = float32(peak * math.Sin(2*math.Pi*hz*float64(i)/media.SampleRate))
	}
	return pcm
}

// Chord is several tones at once, each at dbfs less what keeps their sum in scale.
func Chord(dbfs float64, d time.Duration, hz ...float64) []float32 {
	pcm := Silence(d)
	for _, f := range hz {
		Mix(pcm, Sine(f, dbfs-20*math.Log10(float64(len(hz))), d))
	}
	return pcm
}

// Sweep rises from one frequency to another, by the same ratio every second.
// It is the surest sound to align: no part of it resembles another.
func Sweep(from, to, dbfs float64, d time.Duration) []float32 {
	pcm := Silence(d)
	peak, phase := gain(dbfs), 0.0
	for i := range pcm {
		pcm[i] = float32(peak * math.Sin(phase))
		hz := from * math.Pow(to/from, float64(i)/float64(len(pcm)))
		phase += 2 * math.Pi * hz / media.SampleRate
	}
	return pcm
}

// Clicks is silence with a short burst at the start of every period: 2 ms of
// 4 kHz with a sharp start.
func Clicks(period time.Duration, dbfs float64, d time.Duration) []float32 {
	pcm := Silence(d)
	click := Sine(4000, dbfs, 2*time.Millisecond)
	for at := 0; at < len(pcm); at += int(max(media.Samples(period), 1)) {
		copy(pcm[at:], click)
	}
	return pcm
}

// Pink is noise with the same power in every octave, at dbfs RMS (of a
// full-scale sine). It stands for music where only the spectrum matters.
func Pink(seed uint64, dbfs float64, d time.Duration) []float32 {
	pcm := Silence(d)
	random := rand.New(rand.NewPCG(seed, 1))
	// Voss and McCartney: row r changes every 2^r samples, their sum falls 3 dB
	// per octave.
	var rows [16]float64
	sum := 0.0
	for i := range pcm {
		row := bits.TrailingZeros(uint(i+1)) % len(rows)
		fresh := random.Float64()*2 - 1
		sum += fresh - rows[row]
		rows[row] = fresh
		pcm[i] = float32(sum + random.Float64()*2 - 1)
	}
	return scaleTo(pcm, dbfs)
}

// Mix adds b to a, sample by sample, and gives a.
func Mix(a, b []float32) []float32 {
	for i := range min(len(a), len(b)) {
		a[i] += b[i]
	}
	return a
}

// Gain gives a copy of pcm, db louder.
func Gain(pcm []float32, db float64) []float32 {
	out := make([]float32, len(pcm))
	g := float32(gain(db))
	for i, v := range pcm {
		out[i] = v * g
	}
	return out
}

// Stereo interleaves two channels; the shorter one ends in silence.
func Stereo(left, right []float32) []float32 {
	out := make([]float32, 2*max(len(left), len(right)))
	for i, v := range left {
		out[2*i] = v
	}
	for i, v := range right {
		out[2*i+1] = v
	}
	return out
}

// Channel is one channel of interleaved PCM.
func Channel(pcm []float32, channel, channels int) []float32 {
	out := make([]float32, 0, len(pcm)/channels)
	for i := channel; i < len(pcm); i += channels {
		out = append(out, pcm[i])
	}
	return out
}

// RMS is the level of pcm in dBFS: 0 for a full-scale sine, −∞ for silence.
func RMS(pcm []float32) float64 {
	power := 0.0
	for _, v := range pcm {
		power += float64(v) * float64(v)
	}
	return 10 * math.Log10(2*power/float64(max(len(pcm), 1)))
}

// Peak is the largest magnitude in pcm, 1 for full scale.
func Peak(pcm []float32) float64 {
	peak := 0.0
	for _, v := range pcm {
		peak = max(peak, math.Abs(float64(v)))
	}
	return peak
}

// scaleTo brings pcm to a level, in place.
func scaleTo(pcm []float32, dbfs float64) []float32 {
	g := float32(gain(dbfs - RMS(pcm)))
	for i := range pcm {
		pcm[i] *= g
	}
	return pcm
}

func gain(db float64) float64 { return math.Pow(10, db/20) }
