package mediatest_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

func TestLevels(t *testing.T) {
	const d = 2 * time.Second
	sounds := map[string]struct {
		make  func() []float32
		level float64
	}{
		"sine":   {func() []float32 { return mediatest.Sine(440, -20, d) }, -20},
		"chord":  {func() []float32 { return mediatest.Chord(-10, d, 220, 277, 330) }, -10 - 10*math.Log10(3)},
		"sweep":  {func() []float32 { return mediatest.Sweep(100, 8000, -6, d) }, -6},
		"pink":   {func() []float32 { return mediatest.Pink(1, -23, d) }, -23},
		"speech": {func() []float32 { return mediatest.Speech(mediatest.Voice{}, -23, d) }, -23},
		"louder": {func() []float32 { return mediatest.Gain(mediatest.Sine(440, -26, d), 6) }, -20},
	}
	for name, sound := range sounds {
		t.Run(name, func(t *testing.T) {
			pcm := sound.make()
			if len(pcm) != 2*media.SampleRate {
				t.Errorf("%d samples, want two seconds", len(pcm))
			}
			if got := mediatest.RMS(pcm); math.Abs(got-sound.level) > 0.1 {
				t.Errorf("level %.2f dBFS, want %.2f", got, sound.level)
			}
			if peak := mediatest.Peak(pcm); peak > 1 {
				t.Errorf("peak %.2f is beyond full scale", peak)
			}
			if !slices.Equal(pcm, sound.make()) {
				t.Error("the same arguments give another sound")
			}
		})
	}
	if got := mediatest.RMS(mediatest.Silence(time.Second)); !math.IsInf(got, -1) {
		t.Errorf("silence has %v dBFS", got)
	}
}

// TestPink checks that octaves hold equal power, within what the method gives.
func TestPink(t *testing.T) {
	pcm := mediatest.Pink(3, -20, 4*time.Second)
	low := bandPower(pcm, 200, 400)
	for _, hz := range []float64{400, 800, 1600, 3200} {
		if difference := bandPower(pcm, hz, 2*hz) - low; math.Abs(difference) > 2.5 {
			t.Errorf("octave from %.0f Hz: %.1f dB off the one from 200 Hz", hz, difference)
		}
	}
}

// bandPower is the power of a few probes in a band, times its width, in dB.
func bandPower(pcm []float32, from, to float64) float64 {
	const probes = 40
	power := 0.0
	for p := range probes {
		hz := from + (to-from)*float64(p)/probes
		var re, im float64
		for i, v := range pcm {
			s, c := math.Sincos(2 * math.Pi * hz * float64(i) / media.SampleRate)
			re, im = re+float64(v)*c, im+float64(v)*s
		}
		power += re*re + im*im
	}
	return 10 * math.Log10(power/probes*(to-from))
}

func TestSpeechHasPauses(t *testing.T) {
	pcm := mediatest.Speech(mediatest.Voice{Pitch: 200, Seed: 5}, -20, 10*time.Second)
	const window = media.SampleRate / 10
	quiet := 0
	for i := 0; i+window <= len(pcm); i += window {
		if mediatest.RMS(pcm[i:i+window]) < -45 {
			quiet++
		}
	}
	if quiet < 5 || quiet > 50 {
		t.Errorf("%d of 100 tenths of a second are quiet; a speaker pauses now and then", quiet)
	}
}

func TestStereo(t *testing.T) {
	both := mediatest.Stereo([]float32{1, 2, 3}, []float32{4})
	if want := []float32{1, 4, 2, 0, 3, 0}; !slices.Equal(both, want) {
		t.Errorf("got %v, want %v", both, want)
	}
	if left := mediatest.Channel(both, 0, 2); !slices.Equal(left, []float32{1, 2, 3}) {
		t.Errorf("left channel is %v", left)
	}
}

func ExampleEncodeOpus() {
	voice := mediatest.Speech(mediatest.Voice{Pitch: 190}, -20, time.Second)
	packets := mediatest.EncodeOpus(voice, opus.EncoderConfig{Bitrate: 48000})
	heard := mediatest.DecodeOpus(packets, 1)
	delay, similarity := mediatest.Align(voice, heard)
	fmt.Printf("%d packets, heard %v later, the same: %v\n", len(packets), media.Duration(int64(delay)), similarity > 0.95)
	// Output: 50 packets, heard 6.5ms later, the same: true
}
