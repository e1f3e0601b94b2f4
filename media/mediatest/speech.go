package mediatest

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/roadwave/roadwave/media"
)

// A Voice is who speaks in [Speech].
type Voice struct {
	// Pitch is the mean frequency of the vocal cords in hertz, 80 (a low man)
	// to 300 (a child); 0 is 120.
	Pitch float64
	// Seed chooses the words.
	Seed uint64
}

// vowels holds the first three formants of French vowels, in hertz.
var vowels = [...][3]float64{
	{750, 1350, 2600}, // a
	{550, 1850, 2550}, // è
	{370, 2050, 2700}, // é
	{260, 2200, 3000}, // i
	{550, 1000, 2450}, // o ouvert
	{300, 750, 2300},  // ou
	{260, 1850, 2200}, // u
}

// Speech sounds like somebody speaking a language nobody knows: syllables at a
// human pace with the formants of vowels, hissing consonants, a falling melody
// and pauses between sentences. Its level is dbfs RMS, pauses included. It is what
// codecs, level meters and silence finders expect of a voice, without a recording of one.
func Speech(voice Voice, dbfs float64, d time.Duration) []float32 {
	if voice.Pitch == 0 {
		voice.Pitch = 120
	}
	pcm := Silence(d)
	random := rand.New(rand.NewPCG(voice.Seed, 2))
	for at := 0; at < len(pcm); {
		syllables := 6 + random.IntN(12)
		for s := range syllables {
			melody := 1.15 - 0.3*float64(s)/float64(syllables)
			at += syllable(pcm[min(at, len(pcm)):], voice.Pitch*melody, random)
		}
		at += int(media.SampleRate * (0.25 + 0.35*random.Float64()))
	}
	return scaleTo(pcm, dbfs)
}

// syllable speaks a consonant and a vowel at the start of pcm and gives their length.
func syllable(pcm []float32, pitch float64, random *rand.Rand) int {
	consonant := int(media.SampleRate * (0.03 + 0.05*random.Float64()))
	vowel := int(media.SampleRate * (0.09 + 0.1*random.Float64()))
	hiss := newResonator(2500+3500*random.Float64(), 1200)
	loudness := 0.05 + 0.1*random.Float64()
	for i := range min(consonant, len(pcm)) {
		pcm[i] += float32(loudness * hill(i, consonant) * hiss.next(random.Float64()*2-1))
	}
	pcm = pcm[min(consonant, len(pcm)):]

	formants := vowels[random.IntN(len(vowels))]
	mouth := [3]resonator{newResonator(formants[0], 90), newResonator(formants[1], 120), newResonator(formants[2], 180)}
	stress := 0.5 + 0.5*random.Float64()
	phase := 0.0
	for i := range min(vowel, len(pcm)) {
		phase += pitch * (1 + 0.01*math.Sin(float64(i)/1500)) / media.SampleRate
		source := 0.02 * (random.Float64()*2 - 1)
		if phase >= 1 { // the cords close: one pulse per period
			phase--
			source++
		}
		sound := mouth[0].next(source) + 0.6*mouth[1].next(source) + 0.3*mouth[2].next(source)
		pcm[i] += float32(stress * hill(i, vowel) * sound)
	}
	return consonant + vowel
}

// hill rises from 0 to 1 and falls back within n samples.
func hill(i, n int) float64 { return math.Pow(math.Sin(math.Pi*float64(i)/float64(n)), 0.6) }

// resonator is a band of the vocal tract: a two-pole filter.
type resonator struct{ gain, b1, b2, y1, y2 float64 }

func newResonator(hz, bandwidth float64) resonator {
	r := math.Exp(-math.Pi * bandwidth / media.SampleRate)
	w := 2 * math.Pi * hz / media.SampleRate
	return resonator{gain: (1 - r) * 4, b1: 2 * r * math.Cos(w), b2: -r * r}
}

func (r *resonator) next(x float64) float64 {
	y := r.gain*x + r.b1*r.y1 + r.b2*r.y2
	r.y1, r.y2 = y, r.y1
	return y
}
