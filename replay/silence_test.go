package replay

import (
	"math"
	"slices"
	"testing"
	"time"
)

// measureSound is Analyze without FFmpeg.
func measureSound(t testing.TB, cfg Config, s sound) *Analysis {
	t.Helper()
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	env, g := &envelope{}, newGauge(0)
	for _, block := range s.blocks() {
		env.add(g.write(block))
	}
	a := &Analysis{Duration: blockTime(env.blocks()), Loudness: g.result(), env: env}
	env.exact = g.exact
	(&Maker{cfg: cfg}).findSilences(a)
	return a
}

// blocks cuts a sound into stereo blocks, both channels the same.
func (s sound) blocks() (out [][]float32) {
	for part := range slices.Chunk(s, blockFrames) {
		block := make([]float32, blockSamples)
		for i, v := range part {
			block[2*i], block[2*i+1] = float32(v), float32(v)
		}
		out = append(out, block)
	}
	return out
}

func TestSilencesFound(t *testing.T) {
	talk := func(seconds float64) sound { // begins and ends with sound, to measure exactly
		return join(sine(0.05, 300, 0.2), voice(seconds-0.1, 1), sine(0.05, 300, 0.2))
	}
	type found [][2]float64 // begin and end in seconds
	for _, c := range []struct {
		name    string
		cfg     Config
		sound   sound
		want    found
		removed found
	}{
		{name: "digital silence", sound: join(talk(4), silence(5), talk(4)),
			want: found{{4, 9}}, removed: found{{4.5, 8.5}}},
		{name: "a pause of 2 s is wanted", sound: join(talk(4), silence(2), talk(4))},
		{name: "exactly 3 s is not longer", sound: join(talk(4), silence(3), talk(4))},
		{name: "a little more is", sound: join(talk(4), silence(3.01), talk(4)),
			want: found{{4, 7.01}}, removed: found{{4.5, 6.51}}},
		{name: "two", sound: join(talk(4), silence(4), talk(1), silence(10), talk(4)),
			want: found{{4, 8}, {9, 19}}, removed: found{{4.5, 7.5}, {9.5, 18.5}}},
		{name: "at the beginning and the end", sound: join(silence(6), talk(4), silence(7)),
			want: found{{0, 6}, {10, 17}}, removed: found{{0, 5.5}, {10.5, 17}}},
		{name: "hiss", sound: join(talk(4), silence(5), talk(4)).mix(road(13, 1e-4, 1)),
			want: found{{4, 9}}, removed: found{{4.5, 8.5}}},
		{name: "the road between sentences", sound: join(talk(4), silence(8), talk(4)).mix(road(16, 0.002, 1)),
			want: found{{4, 12}}, removed: found{{4.5, 11.5}}},
		{name: "a loud road is atmosphere", sound: join(talk(4), silence(8), talk(4)).mix(road(16, 0.03, 1))},
		{name: "a soft voice", sound: join(talk(5), voice(6, 2).gain(-22), talk(5))},
		{name: "all very soft", sound: join(talk(4), silence(5), talk(4), silence(2), talk(4)).gain(-40), want: found{{4, 9}}},
		{name: "soft music", sound: join(talk(5), music(6, 2).gain(-36), talk(5))},
		{name: "a soft voice after a pause on the road", sound: join(talk(5), silence(5), voice(6, 2).gain(-22), silence(5), talk(5)).mix(road(26, 5e-4, 1)),
			want: found{{5, 10}, {16, 21}}},
		{name: "a click ends a silence", sound: join(talk(4), silence(4), sine(0.01, 1000, 0.5), silence(4), talk(4)),
			want: found{{4, 8}, {8.01, 12.01}}, removed: found{{4.5, 7.5}, {8.51, 11.51}}},
		{name: "fixed threshold above the road", cfg: Config{SilenceThreshold: -25},
			sound: join(talk(4), silence(8), talk(4)).mix(road(16, 0.03, 1)), want: found{{4, 12}}},
		{name: "fixed threshold below it", cfg: Config{SilenceThreshold: -80}, sound: join(talk(4), silence(8), talk(4)).mix(road(16, 0.002, 1))},
		{name: "shorter silences", cfg: Config{SilenceMin: time.Second, SilenceKeep: 100 * time.Millisecond},
			sound: join(talk(4), silence(2), talk(4)), want: found{{4, 6}}, removed: found{{4.1, 5.9}}},
		{name: "nothing kept", cfg: Config{SilenceKeep: -1}, sound: join(talk(4), silence(5), talk(4)),
			want: found{{4, 9}}, removed: found{{4.005, 8.995}}},
		{name: "none wanted", cfg: Config{SilenceMin: -1}, sound: join(talk(4), silence(50), talk(4))},
		{name: "only the road", sound: road(20, 0.01, 1)},
		{name: "one click in a minute", cfg: Config{SilenceKeep: -1}, sound: join(silence(10), sine(0.02, 1000, 0.5), silence(10))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := measureSound(t, c.cfg, c.sound)
			check := func(what string, got []Interval, want found, tolerance float64) {
				if len(got) != len(want) {
					t.Fatalf("%s: %v, want %v", what, got, want)
				}
				for i, g := range got {
					if math.Abs(g.Begin.Seconds()-want[i][0]) > tolerance || math.Abs(g.End.Seconds()-want[i][1]) > tolerance {
						t.Errorf("%s: %v, want %v", what, got, want)
					}
				}
			}
			// In noise a silence is only known to begin to 100 ms.
			check("silences", a.Silences, c.want, 0.1)
			var removed time.Duration
			for _, r := range a.Removed {
				removed += r.Duration()
			}
			if a.Kept+removed != a.Duration {
				t.Errorf("kept %v + removed %v ≠ %v", a.Kept, removed, a.Duration)
			}
			if c.removed != nil {
				check("removed", a.Removed, c.removed, 0.01)
			}
		})
	}
}

// The joins must not click: nothing in the result may move faster than the sound
// itself does, and the noise of the road must neither dip nor swell.
func TestJoinsAreSmooth(t *testing.T) {
	low := join(sine(4, 100, 0.3), silence(6).mix(sine(6, 60, 0.0005)), sine(4, 100, 0.3)).mix(road(14, 5e-4, 3))
	a := measureSound(t, Config{}, low)
	if len(a.Removed) != 1 {
		t.Fatalf("removed %v", a.Removed)
	}
	out := edited(t, a, low)
	if got, want := len(out), total(a.kept)*blockFrames; got != want {
		t.Fatalf("%d frames, want %d", got, want)
	}
	cut := a.kept[0].end * blockFrames
	around := func(from, to int) (power, jump float64) {
		for i := from; i < to; i++ {
			power += out[i] * out[i]
			jump = max(jump, math.Abs(out[i]-2*out[i-1]+out[i-2]))
		}
		return 10 * math.Log10(power/float64(to-from)), jump
	}
	const f = fadeBlocks * blockFrames
	_, jump := around(cut-f, cut+f)
	_, usual := around(cut-10*f, cut-2*f)
	if jump > 1.5*usual {
		t.Errorf("the waveform bends by %.2g at the join, by %.2g elsewhere", jump, usual)
	}
	power, _ := around(cut-4*f, cut+4*f)
	reference, _ := around(cut-20*f, cut-4*f)
	if math.Abs(power-reference) > 2 {
		t.Errorf("%.1f dB at the join, %.1f dB beside it", power, reference)
	}
}

// What lies outside the joins must pass untouched, bit for bit.
func TestEditorKeepsTheRest(t *testing.T) {
	s := silence(3)
	for i := range s {
		s[i] = float64(i+1) / float64(len(s))
	}
	blocks := len(s) / blockFrames
	for _, kept := range [][]span{
		{{0, blocks}}, {{0, 100}, {300, blocks}}, {{50, 100}, {300, 400}, {500, 1100}}, {{7, 11}}, {{0, 4}, {20, 24}, {40, 44}}, nil,
	} {
		a := &Analysis{env: &envelope{power: make([]level, blocks)}, kept: kept}
		out := edited(t, a, s)
		if len(out) != total(kept)*blockFrames {
			t.Fatalf("%v: %d frames", kept, len(out))
		}
		at := 0
		for i, k := range kept {
			for b := k.begin; b < k.end; b++ {
				fades := i > 0 && b < k.begin+fadeBlocks/2 || i == 0 && k.begin > 0 && b < k.begin+fadeBlocks ||
					i < len(kept)-1 && b >= k.end-fadeBlocks/2 || i == len(kept)-1 && k.end < blocks && b >= k.end-fadeBlocks
				for f := range blockFrames {
					if !fades && float32(out[at+f]) != float32(s[b*blockFrames+f]) {
						t.Fatalf("%v: block %d changed", kept, b)
					}
				}
				at += blockFrames
			}
		}
	}
}

// edited runs a sound through the editor and gives its left channel.
func edited(t testing.TB, a *Analysis, s sound) (out sound) {
	t.Helper()
	e := newEditor(a.kept, a.env.blocks(), func(block []float32) error {
		for i := 0; i < len(block); i += channels {
			out = append(out, float64(block[i]))
		}
		return nil
	})
	for _, block := range s.blocks() {
		if err := e.write(block); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
