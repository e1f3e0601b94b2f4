package transcode_test

import (
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

// programme is ten seconds of voice over noise, as a creator sends it.
func programme(channels int) []media.Packet {
	const d = 10 * time.Second
	pcm := mediatest.Mix(mediatest.Speech(mediatest.Voice{}, -20, d), mediatest.Pink(1, -35, d))
	if channels == 2 {
		pcm = mediatest.Stereo(pcm, mediatest.Gain(pcm, -6))
	}
	return mediatest.EncodeOpus(pcm, opus.EncoderConfig{Channels: channels, Bitrate: 48000 * channels})
}

// BenchmarkLadder runs the default ladder; x-realtime says how many seconds of a
// live one second of one core makes.
func BenchmarkLadder(b *testing.B) {
	packets := programme(1)
	t, err := transcode.New(transcode.Config{Rungs: aac.Ladder()})
	if err != nil {
		b.Fatal(err)
	}
	defer t.Close()
	pts := int64(0)
	emit := func(int, media.Frame) {}
	b.ReportAllocs()
	for b.Loop() {
		p := packets[int(pts/960)%len(packets)]
		p.PTS = pts
		if err := t.Transcode(p, emit); err != nil {
			b.Fatal(err)
		}
		pts += 960
	}
	realtime(b, pts)
}

// BenchmarkCodecsAlone is what no ladder can save: one decode and two encodes.
func BenchmarkCodecsAlone(b *testing.B) {
	packets := programme(1)
	d, err := opus.NewDecoder(1)
	if err != nil {
		b.Fatal(err)
	}
	var encoders []*aac.Encoder
	for _, bitrate := range []int{48000, 32000} {
		e, err := aac.NewEncoder(aac.Config{Bitrate: bitrate})
		if err != nil {
			b.Fatal(err)
		}
		encoders = append(encoders, e)
	}
	pcm := make([]float32, opus.MaxSamples)
	emit := func([]byte) {}
	done := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		n, err := d.Decode(pcm, packets[int(done/960)%len(packets)])
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range encoders {
			if err := e.Encode(pcm[:n], emit); err != nil {
				b.Fatal(err)
			}
		}
		done += int64(n)
	}
	realtime(b, done)
}

func realtime(b *testing.B, samples int64) {
	b.ReportMetric(media.Duration(samples).Seconds()/b.Elapsed().Seconds(), "x-realtime")
}
