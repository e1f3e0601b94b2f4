package replay

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
)

// A sound is mono; it is recorded in stereo, a little different on each side.
type sound []float64

func frames48(seconds float64) int { return int(math.Round(seconds * media.SampleRate)) }

func silence(seconds float64) sound { return make(sound, frames48(seconds)) }

func join(sounds ...sound) (out sound) {
	for _, s := range sounds {
		out = append(out, s...)
	}
	return out
}

func (s sound) gain(db float64) sound {
	out := make(sound, len(s))
	for i, v := range s {
		out[i] = v * math.Pow(10, db/20)
	}
	return out
}

func (s sound) mix(others ...sound) sound {
	out := append(sound(nil), s...)
	for _, o := range others {
		for i := range min(len(o), len(out)) {
			out[i] += o[i]
		}
	}
	return out
}

func sine(seconds, hz, amplitude float64) sound {
	out := silence(seconds)
	for i := range out {
		out[i] = amplitude * math.Sin(2*math.Pi*hz*float64(i)/media.SampleRate)
	}
	return out
}

// voice is buzz through three formants, in syllables, words and sentences with
// short pauses: the dynamics of speech, peaks 15 dB above its loudness.
func voice(seconds float64, seed uint64) sound {
	r := rand.New(rand.NewPCG(seed, 1))
	out := silence(seconds)
	type formant struct{ hz, width, y1, y2 float64 }
	for at := 0; at < len(out); {
		formants := []formant{{hz: 300 + 500*r.Float64(), width: 80}, {hz: 900 + 1300*r.Float64(), width: 120}, {hz: 2500, width: 200}}
		length := frames48(0.1 + 0.2*r.Float64())
		pitch := 90 + 60*r.Float64()
		strength := 0.3 + 0.7*r.Float64()
		phase := 0.0
		for i := 0; i < length && at+i < len(out); i++ {
			x := float64(i) / float64(length)
			envelope := strength * math.Pow(math.Sin(math.Pi*x), 0.7)
			source := 0.02 * r.NormFloat64()
			if phase += pitch * (1 + 0.1*math.Sin(3*x)) / media.SampleRate; phase >= 1 {
				phase--
				source++
			}
			v := 0.0
			for k := range formants {
				f := &formants[k]
				radius := math.Exp(-math.Pi * f.width / media.SampleRate)
				y := source + 2*radius*math.Cos(2*math.Pi*f.hz/media.SampleRate)*f.y1 - radius*radius*f.y2
				f.y1, f.y2 = y, f.y1
				v += y * f.hz / media.SampleRate
			}
			out[at+i] = 0.6 * envelope * v
		}
		at += length
		if r.Float64() < 0.25 {
			at += frames48(0.05 + 0.3*r.Float64())
		}
	}
	return out
}

// music is chords that are struck and die away over a steady beat.
func music(seconds float64, seed uint64) sound {
	r := rand.New(rand.NewPCG(seed, 2))
	out := silence(seconds)
	const beat = 0.4
	for b := 0; float64(b)*beat < seconds; b++ {
		at := frames48(float64(b) * beat)
		for range 3 {
			hz := 110 * math.Pow(2, float64(r.IntN(30))/12)
			for i := 0; i < frames48(1.5) && at+i < len(out); i++ {
				t := float64(i) / media.SampleRate
				for h := 1.0; h < 5; h++ {
					out[at+i] += 0.1 / h * math.Exp(-t*2*h) * min(1, t*200) * math.Sin(2*math.Pi*hz*h*t)
				}
			}
		}
		for i := 0; i < frames48(0.05) && at+i < len(out); i++ {
			out[at+i] += 0.3 * r.NormFloat64() * math.Exp(-float64(i)/400)
		}
	}
	return out
}

// road is the noise in a car: strong below 200 Hz, falling above.
func road(seconds, rms float64, seed uint64) sound {
	r := rand.New(rand.NewPCG(seed, 3))
	out := silence(seconds)
	var low, power float64
	for i := range out {
		low += 0.03 * (r.NormFloat64() - low)
		out[i] = low + 0.01*r.NormFloat64()
		power += out[i] * out[i]
	}
	return out.gain(20 * math.Log10(rms/math.Sqrt(power/float64(len(out)))))
}

// claps are short bursts, one per second, at full scale.
func claps(seconds float64, seed uint64) sound {
	r := rand.New(rand.NewPCG(seed, 4))
	out := silence(seconds)
	for at := frames48(0.5); at < len(out); at += media.SampleRate {
		for i := 0; i < 480 && at+i < len(out); i++ {
			out[at+i] = 0.9 * (2*r.Float64() - 1) * math.Exp(-float64(i)/100)
		}
	}
	return out
}

// pcm is the sound in stereo, little-endian float32.
func (s sound) pcm() []byte {
	out := make([]byte, 0, 8*len(s))
	for i, v := range s {
		side := 0.0
		if i >= 20 {
			side = s[i-20] // the other microphone hears it 0.4 ms later
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(0.8*v+0.2*side)))
	}
	return out
}

// record encodes a sound with FFmpeg: to Opus at a rate that does not
// change levels much, or losslessly for a name that ends in .wav.
func record(t testing.TB, name string, s sound) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args := []string{"-v", "error", "-f", "f32le", "-ar", "48000", "-ac", "2", "-i", "pipe:0"}
	if strings.HasSuffix(name, ".wav") {
		args = append(args, "-c:a", "pcm_f32le")
	} else {
		args = append(args, "-c:a", "libopus", "-b:a", "96k")
	}
	cmd := exec.Command(mediatest.Tool(t, "ffmpeg"), append(args, path)...)
	cmd.Stdin = strings.NewReader(string(s.pcm()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("record %s: %v\n%s", name, err, out)
	}
	return path
}

// found looks FFmpeg up once for all tests: that runs it five times.
var found = sync.OnceValues(func() (ffmpeg, error) { return findFFmpeg(context.Background(), "") })

func newMaker(t testing.TB, cfg Config) *Maker {
	t.Helper()
	mediatest.Tool(t, "ffmpeg")
	if cfg.TempDir == "" {
		cfg.TempDir = t.TempDir()
	}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	f, err := found()
	if err != nil {
		t.Fatal(err)
	}
	return &Maker{cfg: cfg, ffmpeg: f}
}
