package aac_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	codec "github.com/tphakala/go-aac"
	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// encode gives the frames of pcm, written piece values at a time.
func encode(t testing.TB, config aac.Config, pcm []float32, piece int) [][]byte {
	t.Helper()
	e, err := aac.NewEncoder(config)
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	emit := func(frame []byte) { frames = append(frames, bytes.Clone(frame)) }
	for p := range slices.Chunk(pcm, piece) {
		if err := e.Encode(p, emit); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(emit); err != nil {
		t.Fatal(err)
	}
	return frames
}

// decode is what FFmpeg hears, from the first sample of the first frame on.
func decode(t testing.TB, frames [][]byte, channels int) []float32 {
	t.Helper()
	var stream []byte
	for _, frame := range frames {
		var err error
		if stream, err = codec.AppendADTSHeader(stream, media.SampleRate, channels, len(frame)); err != nil {
			t.Fatal(err)
		}
		stream = append(stream, frame...)
	}
	return mediatest.Listen(t, stream, channels, "-f", "aac")
}

// TestFFmpeg has FFmpeg decode every kind of stream, and measures the delay, which all
// timestamps rest on, to the sample.
func TestFFmpeg(t *testing.T) {
	const d = 4 * time.Second
	for _, config := range []aac.Config{
		{},
		{Bitrate: 32000},
		{Bitrate: 32000, Coder: aac.Fast},
		{Bitrate: 24000},
		{Channels: 2, Bitrate: 96000},
		{Channels: 2, Bitrate: 128000, Coder: aac.Fast},
	} {
		t.Run(fmt.Sprintf("%+v", config), func(t *testing.T) {
			channels := max(config.Channels, 1)
			pcm := mediatest.Speech(mediatest.Voice{}, -20, d)
			if channels == 2 {
				pcm = mediatest.Stereo(pcm, mediatest.Sweep(80, 6000, -20, d))
			}
			frames := encode(t, config, pcm, 960*channels)
			got := decode(t, frames, channels)
			if len(got) != len(frames)*aac.FrameSize*channels {
				t.Fatalf("%d frames give %d values", len(frames), len(got))
			}
			if rest := len(got)/channels - aac.FrameSize - len(pcm)/channels; rest < 0 || rest >= aac.FrameSize {
				t.Errorf("the sound ends %d samples after what was encoded", rest)
			}
			for c := range channels {
				offset, similarity := mediatest.Align(mediatest.Channel(pcm, c, channels), mediatest.Channel(got, c, channels))
				t.Logf("channel %d: similarity %.4f", c, similarity)
				if offset != aac.FrameSize || similarity < 0.95 {
					t.Errorf("channel %d: %d samples later with similarity %.3f, want %d and the same sound", c, offset, similarity, aac.FrameSize)
				}
			}
			size := 0
			for _, f := range frames {
				size += len(f)
			}
			want := config.Track().Bitrate
			if rate := float64(size*8) / media.Duration(int64(len(frames)*aac.FrameSize)).Seconds(); rate > 1.05*float64(want) || rate < 0.8*float64(want) {
				t.Errorf("%.0f bit/s, want %d", rate, want)
			}
		})
	}
}

// TestWholeSound checks that the last sample comes out, however the sound ends.
func TestWholeSound(t *testing.T) {
	for _, samples := range []int{1, 960, 1023, 1024, 1025, 2048, 5000} {
		pcm := make([]float32, samples)
		pcm[samples-1] = 0.9
		got := decode(t, encode(t, aac.Config{Bitrate: 96000}, pcm, 960), 1)
		at := slices.IndexFunc(got, func(v float32) bool { return v > 0.4 })
		if at != aac.FrameSize+samples-1 {
			t.Errorf("%d samples: the last one comes out at %d, want %d", samples, at, aac.FrameSize+samples-1)
		}
	}
}

// TestBandwidth checks what the rungs leave of the treble.
func TestBandwidth(t *testing.T) {
	for _, c := range []struct {
		config aac.Config
		kept   float64
		cut    float64
	}{
		{aac.Config{Bitrate: 48000}, 13000, 17500},
		{aac.Config{Bitrate: 32000}, 12000, 16000},
		{aac.Config{Bitrate: 32000, Coder: aac.Fast}, 8500, 11000},
	} {
		got := decode(t, encode(t, c.config, mediatest.Pink(1, -20, 2*time.Second), 960), 1)
		kept, cut := density(got, c.kept), density(got, c.cut)
		t.Logf("%+v: %.1f dB between %.0f and %.0f Hz", c.config, kept-cut, c.kept, c.cut)
		if kept-cut < 20 {
			t.Errorf("%+v: %.0f Hz is only %.1f dB above %.0f Hz", c.config, c.kept, kept-cut, c.cut)
		}
	}
}

// density is the power around a frequency, in dB.
func density(pcm []float32, hz float64) float64 {
	power := 0.0
	for probe := -10; probe <= 10; probe++ {
		f := hz + 15*float64(probe)
		var re, im float64
		for i, v := range pcm {
			s, c := math.Sincos(2 * math.Pi * f * float64(i) / media.SampleRate)
			re, im = re+float64(v)*c, im+float64(v)*s
		}
		power += re*re + im*im
	}
	return 10 * math.Log10(power+1e-9)
}

// TestPieces checks that it does not matter how the sound is cut.
func TestPieces(t *testing.T) {
	pcm := mediatest.Stereo(mediatest.Speech(mediatest.Voice{}, -20, time.Second), mediatest.Pink(1, -30, time.Second))
	config := aac.Config{Channels: 2, Bitrate: 96000}
	want := encode(t, config, pcm, len(pcm))
	for _, piece := range []int{2, 240, 1920, 11520} {
		if !slices.EqualFunc(want, encode(t, config, pcm, piece), bytes.Equal) {
			t.Errorf("pieces of %d values give other frames", piece)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, config := range []aac.Config{
		{Channels: 3}, {Channels: -1}, {Bitrate: 7999}, {Bitrate: 288001}, {Bitrate: -1},
		{Channels: 2, Bitrate: 15000}, {Coder: 2}, {Coder: -1},
	} {
		if _, err := aac.NewEncoder(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}

func TestFaults(t *testing.T) {
	none := func([]byte) { t.Error("a frame was emitted") }
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		e, err := aac.NewEncoder(aac.Config{})
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]float32, aac.FrameSize)
		pcm[77] = float32(bad)
		if err := e.Encode(pcm, none); !errors.Is(err, aac.ErrSound) {
			t.Errorf("%v: %v, want ErrSound", bad, err)
		}
		if err := e.Encode(make([]float32, 4096), none); !errors.Is(err, aac.ErrSound) {
			t.Errorf("after it: %v, want the same error", err)
		}
		if err := e.Flush(none); !errors.Is(err, aac.ErrSound) {
			t.Errorf("Flush after it: %v, want the same error", err)
		}
	}
	e, err := aac.NewEncoder(aac.Config{Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Encode(make([]float32, 3), none); err == nil {
		t.Error("one and a half samples are taken")
	}
	if e.Channels() != 2 || e.FrameSize() != 1024 {
		t.Errorf("%d channels, frames of %d", e.Channels(), e.FrameSize())
	}
	for range 2 {
		if err := e.Flush(none); err != nil {
			t.Errorf("Flush of an unused encoder: %v", err)
		}
	}
	if err := e.Encode(make([]float32, 2), none); !errors.Is(err, aac.ErrFlushed) {
		t.Errorf("Encode after Flush: %v, want ErrFlushed", err)
	}
}

// TestPanic shows that a codec that fails costs an error and this encoder.
func TestPanic(t *testing.T) {
	e, err := aac.NewEncoder(aac.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e.BreakCodec()
	none := func([]byte) { t.Error("a frame was emitted") }
	for range 2 {
		if err := e.Encode(make([]float32, 2048), none); !errors.Is(err, aac.ErrPanic) {
			t.Errorf("%v, want ErrPanic", err)
		}
	}
}

func TestTrack(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		config := aac.Config{Channels: channels, Bitrate: 96000}
		e, err := codec.NewEncoder(codec.EncoderConfig{SampleRate: media.SampleRate, Channels: channels, Bitrate: 96000})
		if err != nil {
			t.Fatal(err)
		}
		track := config.Track()
		if !bytes.Equal(track.Config, e.AudioSpecificConfig()) {
			t.Errorf("AudioSpecificConfig % x, the codec says % x", track.Config, e.AudioSpecificConfig())
		}
		if track.Name != "aac96" || track.Codec != media.CodecAACLC || track.SampleRate != 48000 || track.Channels != channels || track.Bitrate != 96000 {
			t.Errorf("track is %+v", track)
		}
	}
	if ladder := aac.Ladder(); len(ladder) != 2 || ladder[0].Track.Name != "aac48" || ladder[1].Track.Name != "aac32" {
		t.Errorf("the ladder is %+v", ladder)
	}
}

// TestWildSound encodes what no microphone gives: nothing may panic, even inside.
func TestWildSound(t *testing.T) {
	const d = 300 * time.Millisecond
	for name, pcm := range map[string][]float32{
		"silence":           mediatest.Silence(d),
		"far too loud":      mediatest.Sine(1000, 100, d),
		"constant":          slices.Repeat([]float32{1}, 14400),
		"as fast as can be": slices.Repeat([]float32{1, -1}, 7200),
		"almost nothing":    mediatest.Pink(1, -180, d),
		"clicks":            mediatest.Clicks(time.Millisecond, 0, d),
		"largest numbers":   slices.Repeat([]float32{math.MaxFloat32}, 14400),
	} {
		for _, coder := range []aac.Coder{aac.Quality, aac.Fast} {
			e, err := aac.NewEncoder(aac.Config{Bitrate: 32000, Coder: coder})
			if err != nil {
				t.Fatal(err)
			}
			err = e.Encode(pcm, func([]byte) {})
			if errors.Is(err, aac.ErrPanic) || err != nil && name != "largest numbers" {
				t.Errorf("%s, coder %d: %v", name, coder, err)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, config := range []aac.Config{
		{Bitrate: 48000}, {Bitrate: 32000}, {Bitrate: 32000, Coder: aac.Fast}, {Channels: 2, Bitrate: 96000},
	} {
		b.Run(fmt.Sprintf("%s-%dch-coder%d", config.Track().Name, config.Track().Channels, config.Coder), func(b *testing.B) {
			e, err := aac.NewEncoder(config)
			if err != nil {
				b.Fatal(err)
			}
			pcm := mediatest.Speech(mediatest.Voice{}, -20, 10*time.Second)
			if config.Channels == 2 {
				pcm = mediatest.Stereo(pcm, mediatest.Pink(1, -25, 10*time.Second))
			}
			size := 960 * e.Channels()
			emit := func([]byte) {}
			done := 0
			b.ReportAllocs()
			for b.Loop() {
				at := done * size % len(pcm)
				if err := e.Encode(pcm[at:at+size], emit); err != nil {
					b.Fatal(err)
				}
				done++
			}
			b.ReportMetric(media.Duration(int64(done)*960).Seconds()/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
