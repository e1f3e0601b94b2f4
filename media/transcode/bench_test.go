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

func realtime(b *testing.B, samples int64) {
	b.ReportMetric(media.Duration(samples).Seconds()/b.Elapsed().Seconds(), "x-realtime")
}
