package loudness

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
)

func measure(t testing.TB, channels int, samples []float32) *Meter {
	t.Helper()
	m, err := New(Config{Channels: channels})
	if err != nil {
		t.Fatal(err)
	}
	m.Write(samples)
	return m
}

func within(t *testing.T, what string, got, want, below, above float64) {
	t.Helper()
	if !(got >= want-below && got <= want+above) {
		t.Errorf("%s = %.3f, want %.2f (−%.2f +%.2f)", what, got, want, below, above)
	}
}

// The test signals of EBU Tech 3341 table 1 that have one or two channels
// (signal 6 has five).
func TestTech3341Loudness(t *testing.T) {
	for _, c := range []struct {
		name     string
		signal   []float32
		want     float64
		constant bool // momentary and short-term read the same at the end
	}{
		{"1 tone at −23", sine1k(20, -23), -23, true},
		{"2 tone at −33", sine1k(20, -33), -33, true},
		{"3 relative gate", sine1k(10, -36, 60, -23, 10, -36), -23, false},
		{"4 absolute gate", sine1k(10, -72, 10, -36, 60, -23, 10, -36, 10, -72), -23, false},
		{"5 two levels", sine1k(20, -26, 20.1, -20, 20, -26), -23, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := measure(t, 2, c.signal)
			within(t, "integrated", m.Integrated(), c.want, 0.1, 0.1)
			if c.constant {
				within(t, "momentary", m.Momentary(), c.want, 0.1, 0.1)
				within(t, "short-term", m.ShortTerm(), c.want, 0.1, 0.1)
			}
		})
	}
}

// Signals 9 and 12: windows that hold a whole period of a changing level must
// read the same wherever they start.
func TestTech3341Windows(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal []float32
		from   float64 // seconds
		read   func(*Meter) float64
	}{
		{"9 short-term", repeat(5, sine1k(1.34, -20, 1.66, -30)), 3, (*Meter).ShortTerm},
		{"12 momentary", repeat(25, sine1k(0.18, -20, 0.22, -30)), 1, (*Meter).Momentary},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := measure(t, 2, nil)
			for n := 0; n < len(c.signal); n += 960 {
				m.Write(c.signal[n:min(n+960, len(c.signal))])
				if float64(n+960)/2/SampleRate >= c.from {
					within(t, "loudness", c.read(m), -23, 0.1, 0.1)
				}
			}
		})
	}
}

// Signals 15 to 23. The last four are a click that reaches full scale between
// the samples, at the four places that oversampling by four can see exactly
// and, unlike those of Tech 3341, also between them.
func TestTech3341TruePeak(t *testing.T) {
	sine := func(amplitude, divisor, phase float64) []float32 {
		return tone(2, part{1, Decibels(amplitude), SampleRate / divisor, phase})
	}
	for _, c := range []struct {
		name   string
		signal []float32
		want   float64
	}{
		{"15", sine(0.5, 4, 0), -6},
		{"16", sine(0.5, 4, 45), -6},
		{"17", sine(0.5, 6, 60), -6},
		{"18", sine(0.5, 8, 67.5), -6},
		{"19", sine(1.41, 4, 45), 3},
		{"20", pulse(0), 0},
		{"21", pulse(1), 0},
		{"22", pulse(2), 0},
		{"23", pulse(3), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A tone that starts at once rings above itself: fade it in.
			for i := range min(len(c.signal), 2*480) {
				c.signal[i] *= float32(i/2) / 480
				c.signal[len(c.signal)-1-i] *= float32(i/2) / 480
			}
			within(t, "true peak", measure(t, 2, c.signal).TruePeak(), c.want, 0.4, 0.2)
		})
	}
}

// The test signals 1 to 4 of EBU Tech 3342 table 1.
func TestTech3342Range(t *testing.T) {
	for _, c := range []struct {
		signal []float32
		want   float64
	}{
		{sine1k(20, -20, 20, -30), 10},
		{sine1k(20, -20, 20, -15), 5},
		{sine1k(20, -40, 20, -20), 20},
		{sine1k(20, -50, 20, -35, 20, -20, 20, -35, 20, -50), 15},
	} {
		within(t, "range", measure(t, 2, c.signal).Range(), c.want, 0.5, 0.5)
	}
}

func TestToneReads(t *testing.T) {
	// BS.1770-4 annex 1: 0 dBFS at 997 Hz in one channel reads −3.01 LUFS.
	within(t, "mono", measure(t, 1, tone(1, part{10, 0, 997, 0})).Integrated(), -3.01, 0.02, 0.02)
	within(t, "stereo", measure(t, 2, tone(2, part{10, 0, 997, 0})).Integrated(), 0, 0.02, 0.02)
}

func TestSilenceAndShortSounds(t *testing.T) {
	silent := func(t *testing.T, m *Meter) {
		t.Helper()
		for name, v := range map[string]float64{"integrated": m.Integrated(), "momentary": m.Momentary(),
			"short-term": m.ShortTerm(), "true peak": m.TruePeak(), "sample peak": m.SamplePeak()} {
			if !math.IsInf(v, -1) {
				t.Errorf("%s = %v, want −Inf", name, v)
			}
		}
		if m.Range() != 0 {
			t.Errorf("range = %v, want 0", m.Range())
		}
	}
	t.Run("nothing", func(t *testing.T) { silent(t, measure(t, 2, nil)) })
	t.Run("zeros", func(t *testing.T) { silent(t, measure(t, 2, make([]float32, 20*SampleRate))) })
	t.Run("399 ms", func(t *testing.T) {
		m := measure(t, 2, sine1k(0.399, -20))
		if !math.IsInf(m.Integrated(), -1) {
			t.Errorf("integrated = %v, want −Inf: no window is complete", m.Integrated())
		}
		within(t, "true peak", m.TruePeak(), -20, 0.1, 0.1)
	})
	t.Run("400 ms", func(t *testing.T) {
		within(t, "integrated", measure(t, 2, sine1k(0.4, -20)).Integrated(), -20, 0.2, 0.2)
	})
}

func TestNotFiniteSamplesAreSilence(t *testing.T) {
	signal := sine1k(10, -23)
	want := measure(t, 2, signal).Integrated()
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		signal[100_000+2*i] = float32(v)
	}
	m := measure(t, 2, signal)
	within(t, "integrated", m.Integrated(), want, 0.01, 0.01)
	within(t, "sample peak", m.SamplePeak(), -23, 0.01, 0.01)
	within(t, "true peak", m.TruePeak(), -23, 0.01, 3)
}

// How the samples are cut into writes must not matter.
func TestWritesOfAnySize(t *testing.T) {
	signal := noise(2, 7, 1)
	whole, cut := measure(t, 2, signal), measure(t, 2, nil)
	r := rand.New(rand.NewPCG(1, 2))
	for rest := signal; len(rest) > 0; {
		n := min(2*r.IntN(3000), len(rest))
		cut.Write(rest[:n])
		rest = rest[n:]
	}
	for _, v := range [][2]float64{
		{whole.Integrated(), cut.Integrated()}, {whole.Range(), cut.Range()}, {whole.Momentary(), cut.Momentary()},
		{whole.TruePeak(), cut.TruePeak()}, {whole.SamplePeak(), cut.SamplePeak()},
	} {
		within(t, "cut", v[1], v[0], 1e-6, 1e-6)
	}
}

// The short cut past samples that cannot matter must find what computing all
// of them finds.
func TestTruePeakShortCutIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		signal := make([]float32, 500)
		for i := range signal {
			signal[i] = float32(r.NormFloat64() * math.Exp(r.NormFloat64()))
		}
		got := NewTruePeak(1).Write(signal, 0)
		var want float32
		padded := append(make([]float32, window-1), signal...)
		for i := range signal {
			w := (*[window]float32)(padded[i:])
			want = max(want, w[half-1], -w[half-1], between(w))
		}
		if got != want {
			t.Fatalf("true peak = %v, want %v", got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, channels := range []int{-1, 3, 6} {
		if _, err := New(Config{Channels: channels}); err == nil {
			t.Errorf("%d channels were accepted", channels)
		}
	}
}

// FFmpeg's ebur128 filter (libebur128's algorithm) is the independent judge.
func TestAgainstFFmpeg(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	edges := func(signal []float32) []float32 { // a sudden start rings, in each filter differently
		for i := range 4800 {
			signal[i] *= float32(i) / 4800
			signal[len(signal)-1-i] *= float32(i) / 4800
		}
		return signal
	}
	for _, c := range []struct {
		name     string
		channels int
		signal   []float32
	}{
		{"tones", 2, sine1k(5, -20, 5, -33, 3, -14)},
		{"noise", 2, noise(2, 40, 7)},
		{"noise, mono", 1, noise(1, 40, 8)},
		{"low and high tones", 2, tone(2, part{10, -12, 60, 0}, part{10, -18, 9000, 30})},
		{"peaks between samples", 2, edges(tone(2, part{5, -3, SampleRate / 4, 45}))},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := measure(t, c.channels, c.signal)
			want := judge(t, c.channels, c.signal)
			within(t, "integrated", m.Integrated(), want.Integrated, 0.1, 0.1)
			within(t, "range", m.Range(), want.Range, 0.3, 0.3)
			within(t, "true peak", m.TruePeak(), want.TruePeak, 0.15, 0.15)
		})
	}
}

func judge(t *testing.T, channels int, samples []float32) mediatest.Judgement {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "signal.f32")
	b := make([]byte, 0, 4*len(samples))
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s))
	}
	if err := os.WriteFile(raw, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return mediatest.Judge(t, raw, "-f", "f32le", "-ar", "48000", "-ac", strconv.Itoa(channels))
}

func BenchmarkMeterHour(b *testing.B) {
	signals := map[string][]float32{"programme": noise(2, 30, 1), "constant level": make([]float32, 30*2*SampleRate)}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range signals["constant level"] {
		signals["constant level"][i] = r.Float32() - 0.5 // the worst case: every sample could be the peak
	}
	for name, signal := range signals {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				m := measure(b, 2, nil)
				for range 120 {
					m.Write(signal)
				}
			}
		})
	}
}
