package opus_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

func TestEncoder(t *testing.T) {
	const d = 3 * time.Second
	cases := []struct {
		config opus.EncoderConfig
		least  float64
	}{
		{opus.EncoderConfig{}, 0.97},
		{opus.EncoderConfig{Bitrate: 24000}, 0.9},
		{opus.EncoderConfig{Bitrate: 64000, Complexity: 1}, 0.95},
		{opus.EncoderConfig{Channels: 2, Bitrate: 96000}, 0.95},
	}
	for _, c := range cases {
		pcm := mediatest.Speech(mediatest.Voice{}, -20, d)
		channels := max(c.config.Channels, 1)
		if channels == 2 {
			pcm = mediatest.Stereo(pcm, mediatest.Speech(mediatest.Voice{Pitch: 210, Seed: 3}, -26, d))
		}
		packets := mediatest.EncodeOpus(pcm, c.config)
		size := 0
		for _, p := range packets {
			size += len(p.Data)
			if mode(p) != "celt" || p.Duration != 960 {
				t.Fatalf("%+v: packet of %d samples in mode %s", c.config, p.Duration, mode(p))
			}
		}
		want := c.config.Bitrate
		if want == 0 {
			want = opus.DefaultBitrate
		}
		if rate := float64(size*8) / d.Seconds(); math.Abs(rate/float64(want)-1) > 0.15 {
			t.Errorf("%+v: %.0f bit/s", c.config, rate)
		}
		heard := mediatest.DecodeOpus(packets, channels)
		for ch := range channels {
			offset, similarity := mediatest.Align(mediatest.Channel(pcm, ch, channels), mediatest.Channel(heard, ch, channels))
			if offset != 312 || similarity < c.least {
				t.Errorf("%+v: channel %d comes %d samples later with similarity %.3f, want 312 and %.2f", c.config, ch, offset, similarity, c.least)
			}
		}
	}
}

func TestEncoderConfig(t *testing.T) {
	for _, config := range []opus.EncoderConfig{
		{Channels: 3}, {Channels: -1}, {Bitrate: 5999}, {Bitrate: 510001}, {Bitrate: -1}, {Complexity: 11}, {Complexity: -1},
	} {
		if _, err := opus.NewEncoder(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}

func TestEncodeFaults(t *testing.T) {
	e, err := opus.NewEncoder(opus.EncoderConfig{Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	if e.Channels() != 2 || e.PreSkip() != 312 {
		t.Errorf("%d channels, pre-skip %d", e.Channels(), e.PreSkip())
	}
	for _, values := range []int{0, 1, 962, 1919, 1921, 3840} {
		if out, err := e.Encode([]byte("kept"), make([]float32, values)); string(out) != "kept" || err == nil {
			t.Errorf("%d values: %q, %v; want an error", values, out, err)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		pcm := make([]float32, 1920)
		pcm[77] = float32(bad)
		if out, err := e.Encode(nil, pcm); len(out) != 0 || !errors.Is(err, opus.ErrSound) {
			t.Errorf("%v: %d bytes, %v; want ErrSound", bad, len(out), err)
		}
	}
	loud := mediatest.Stereo(mediatest.Sine(500, 12, 20*time.Millisecond), mediatest.Sine(500, 12, 20*time.Millisecond))
	if out, err := e.Encode(nil, loud); err != nil || len(out) == 0 {
		t.Errorf("sound beyond full scale: %d bytes, %v; want it clipped", len(out), err)
	}
}

func TestEncodeAppends(t *testing.T) {
	pcm := mediatest.Sine(500, -20, 20*time.Millisecond)
	a, _ := opus.NewEncoder(opus.EncoderConfig{})
	b, _ := opus.NewEncoder(opus.EncoderConfig{})
	alone, err := a.Encode(nil, pcm)
	if err != nil {
		t.Fatal(err)
	}
	after, err := b.Encode([]byte("before"), pcm)
	if err != nil || !slices.Equal(after, append([]byte("before"), alone...)) {
		t.Errorf("Encode does not append: %v", err)
	}
	for _, samples := range []int{120, 240, 480, 960} {
		out, err := a.Encode(nil, pcm[:samples])
		if err != nil {
			t.Fatal(err)
		}
		if n, err := media.PacketDuration(out); err != nil || n != samples {
			t.Errorf("%d samples become a packet of %d, %v", samples, n, err)
		}
	}
}
