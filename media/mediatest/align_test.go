package mediatest_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

func TestAlign(t *testing.T) {
	const d = 3 * time.Second
	speech := mediatest.Speech(mediatest.Voice{}, -20, d)
	noise := mediatest.Pink(9, -20, d)
	lead := mediatest.Silence(1234567 * time.Microsecond)
	cases := map[string]struct {
		sent, got []float32
		offset    int
		least     float64
		most      float64
	}{
		"the same":           {speech, speech, 0, 1, 1},
		"later":              {speech, slices.Concat(lead, speech), len(lead), 1, 1},
		"earlier":            {slices.Concat(lead, speech), speech, -len(lead), 1, 1},
		"quieter":            {speech, mediatest.Gain(speech, -30), 0, 0.999, 1},
		"a part":             {speech, speech[40001:110000], -40001, 1, 1},
		"with noise":         {speech, mediatest.Mix(mediatest.Gain(noise, -20), speech), 0, 0.98, 1},
		"a sweep later":      {mediatest.Sweep(50, 10000, -20, d), slices.Concat(lead, mediatest.Sweep(50, 10000, -20, d)), len(lead), 1, 1},
		"something else":     {speech, noise, 0, 0, 0.2},
		"another voice":      {speech, mediatest.Speech(mediatest.Voice{Pitch: 210, Seed: 8}, -20, d), 0, 0, 0.3},
		"silence":            {speech, mediatest.Silence(d), 0, 0, 0},
		"nothing":            {speech, nil, 0, 0, 0},
		"upside down":        {speech[:24000], mediatest.Mix(make([]float32, 24000), negative(speech[:24000])), 0, 0, 0.75},
		"through the codec":  {speech, mediatest.DecodeOpus(mediatest.EncodeOpus(speech, opus.EncoderConfig{Bitrate: 24000}), 1), 312, 0.9, 1},
		"noise, 48 kbit/s":   {noise, mediatest.DecodeOpus(mediatest.EncodeOpus(noise, opus.EncoderConfig{}), 1), 312, 0.7, 1},
		"clicks, one period": {mediatest.Clicks(700*time.Millisecond, -6, d), mediatest.Clicks(700*time.Millisecond, -6, d), 0, 1, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			offset, similarity := mediatest.Align(c.sent, c.got)
			const rounding = 1e-6
			if similarity < c.least-rounding || similarity > c.most+rounding {
				t.Errorf("similarity %.4f, want %.2f to %.2f", similarity, c.least, c.most)
			}
			if c.least > 0.5 && offset != c.offset {
				t.Errorf("offset %d, want %d", offset, c.offset)
			}
			if direct := mediatest.Similarity(c.sent, c.got, offset); math.Abs(direct-similarity) > rounding {
				t.Errorf("Similarity there says %.4f, Align %.4f", direct, similarity)
			}
		})
	}
}

func negative(pcm []float32) []float32 {
	out := make([]float32, len(pcm))
	for i, v := range pcm {
		out[i] = -v
	}
	return out
}

func BenchmarkAlignMinute(b *testing.B) {
	speech := mediatest.Speech(mediatest.Voice{}, -20, time.Minute)
	for b.Loop() {
		mediatest.Align(speech, speech)
	}
}
