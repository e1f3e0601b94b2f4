package replay

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/roadwave/roadwave/media/loudness"
)

// limitSound runs a sound through the limiter as master does, and gives the gauge of
// what comes out.
func limitSound(t testing.TB, a *Analysis, s sound, gain, ceiling float64) (out [][]float32, g *gauge, reduction float64) {
	t.Helper()
	g = newGauge(0)
	c, v := float32(loudness.Amplitude(ceiling)), float32(loudness.Amplitude(gain))
	l := newLimiter(v, c, a.peaks(c/v), func(block []float32) error {
		out = append(out, append([]float32(nil), block...))
		g.write(block)
		return nil
	})
	for _, block := range s.blocks() {
		if err := l.write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	return out, g, -loudness.Decibels(float64(l.lowest))
}

// The ceiling must hold between the samples too, and what was decided on the
// envelope must come true in the sound.
func TestLimiterDoesWhatTheEnvelopeSaid(t *testing.T) {
	for name, s := range map[string]sound{
		"voice":        voice(10, 1),
		"music":        music(10, 2),
		"voice, claps": voice(10, 3).gain(-10).mix(claps(10, 3)),
		"loud":         music(10, 4).gain(20),
		"mixed":        join(voice(5, 5).gain(-20), music(5, 5)),
		"high tones":   sine(5, 12000, 0.3).mix(sine(5, 11000, 0.3)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := join(s, silence(0.1)) // what ends abruptly rings
			a := measureSound(t, Config{SilenceMin: -1}, s)
			const target, ceiling = -14, -1.8
			gain := a.gainFor(target, ceiling)
			out, g, reduction := limitSound(t, a, s, gain, ceiling)
			if got := g.result(); math.Abs(got.Integrated-target) > 0.15 || got.TruePeak > ceiling+0.1 {
				t.Errorf("%.2f LUFS, %.2f dBTP with a gain of %.1f and a reduction of %.1f dB", got.Integrated, got.TruePeak, gain, reduction)
			}
			if len(out) != a.env.blocks() {
				t.Errorf("%d blocks out, %d in", len(out), a.env.blocks())
			}
		})
	}
}

func TestLimiterLeavesAloneWhatFits(t *testing.T) {
	s := voice(3, 1).gain(-20)
	a := measureSound(t, Config{}, s)
	out, _, reduction := limitSound(t, a, s, 6, -1)
	if reduction != 0 {
		t.Errorf("reduction %v", reduction)
	}
	gain := float32(loudness.Amplitude(6))
	for i, block := range s.blocks() {
		for k := range block {
			if out[i][k] != block[k]*gain {
				t.Fatalf("sample %d of block %d is %v, want %v", k, i, out[i][k], block[k]*gain)
			}
		}
	}
}

// A steady tone above the ceiling must come out as a tone: the gain may not
// follow its waveform.
func TestLimiterDoesNotDistort(t *testing.T) {
	for _, hz := range []float64{50, 100, 250, 1000} {
		s := sine(3, hz, 0.9)
		a := measureSound(t, Config{}, s)
		out, _, _ := limitSound(t, a, s, 10, -6)
		// What is left of the second second when its sine is taken out.
		var sin, cos, power float64
		const from, n = 400, 400 // blocks: one second
		at := func(i int) (v, phase float64) {
			return float64(out[from+i/blockFrames][2*(i%blockFrames)]), 2 * math.Pi * hz * float64(i) / 48000
		}
		for i := range n * blockFrames {
			v, phase := at(i)
			sin, cos, power = sin+v*math.Sin(phase), cos+v*math.Cos(phase), power+v*v
		}
		tone := 2 * (sin*sin + cos*cos) / (n * blockFrames)
		if thd := math.Sqrt(max(0, power-tone) / power); thd > 0.005 {
			t.Errorf("%v Hz: %.2f %% distortion", hz, 100*thd)
		}
	}
}

// The formula that the doc of curve promises.
func TestCurveNeverExceedsWhatBlocksBear(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		bears, gains := make([]float32, 300), make([]float32, 0, 300)
		c := newCurve()
		for i := range bears {
			bears[i] = 1
			if r.Float64() < 0.05 {
				bears[i] = r.Float32()
			}
			gains = append(gains, c.next(bears[i]))
		}
		gains = gains[lag:] // gains[j] is at the beginning of block j
		for j := 1; j < len(gains)-1; j++ {
			if most := min(bears[j-1], bears[j], bears[j+1]); gains[j] > most+1e-6 {
				t.Fatalf("gain %v before block %d, which bears %v", gains[j], j, most)
			}
		}
	}
}

func TestLevelsRoundTrip(t *testing.T) {
	for db := -159.0; db < 90; db += 0.37 {
		power := math.Pow(10, db/10)
		if got := 10 * math.Log10(float64(powers()[powerLevel(power)])); math.Abs(got-db) > 0.003 {
			t.Fatalf("%.3f dB comes back as %.3f", db, got)
		}
	}
	for _, nothing := range []float64{0, 1e-20, math.NaN(), -1} {
		if l := powerLevel(nothing); l != 0 {
			t.Errorf("power %v has level %d", nothing, l)
		}
	}
	if l := powerLevel(math.Inf(1)); l != math.MaxUint16 {
		t.Errorf("infinite power has level %d", l)
	}
}

func TestAim(t *testing.T) {
	a := aim{target: -14}
	response := func(aimed float64) float64 { return -17 + 0.5*(aimed+14) } // hits too low, and goes up by half
	for range 4 {
		aimed := a.next()
		a.shots = append(a.shots, shot{aimed, response(aimed)})
	}
	if hit := a.shots[3].hit; math.Abs(hit+14) > 0.01 {
		t.Errorf("after %v", a.shots)
	}
	// The same again, because only the ceiling was wrong.
	b := aim{target: -14, shots: []shot{{-14, -14}, {-14, -14}}}
	if aimed := b.next(); aimed != -14 {
		t.Errorf("aims at %v", aimed)
	}
}
