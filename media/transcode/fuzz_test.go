package transcode_test

import (
	"math"
	"testing"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

// FuzzTranscode plays a live told by script: three bytes per packet say what it is,
// how long it claims to be and where it lies. Whatever happens, the tap hears
// every sample of the timeline once and frames follow one another.
func FuzzTranscode(f *testing.F) {
	f.Add([]byte{0, 8, 0, 1, 8, 0, 0, 8, 0, 2, 8, 0}, []byte{1, 2, 3})
	f.Add([]byte{0, 8, 0, 0, 8, 40, 1, 8, 200, 0, 3, 255, 3, 48, 128}, []byte{31<<3 | 3, 0})
	good := mediatest.EncodeOpus(mediatest.Sine(400, -20, 20e6), opus.EncoderConfig{})[0].Data
	f.Fuzz(func(t *testing.T, script, bad []byte) {
		next, frame := int64(0), int64(math.MinInt32)
		started, restarts := false, int64(0)
		var tr *transcode.Transcoder
		tap := func(pts int64, pcm []float32) {
			if started && pts != next && tr.Stats().Restarts == restarts {
				t.Fatalf("tap at %d, want %d", pts, next)
			}
			restarts, started = tr.Stats().Restarts, true
			next = pts + int64(len(pcm))
		}
		tr = newTranscoder(t, transcode.Config{Taps: []transcode.Tap{tap}, Rungs: []transcode.Rung{{
			Track:      media.Track{Name: "count", Channels: 1},
			NewEncoder: func() (transcode.Encoder, error) { return new(counter), nil },
		}}})
		emit := func(_ int, fr media.Frame) {
			if fr.PTS < frame-1024 {
				t.Fatalf("frame at %d after one that ends at %d", fr.PTS, frame)
			}
			frame = fr.End()
		}
		pts := int64(0)
		script = script[:min(len(script), 300)] // each packet may bring a minute of silence
		for ; len(script) >= 3; script = script[3:] {
			p := media.Packet{PTS: pts, Duration: 120 * (1 + int(script[1])%48), Data: good}
			if jump := int64(int8(script[2])); jump >= -100 {
				p.PTS += jump
			} else { // now and then a long way, beyond what is filled
				p.PTS += media.SampleRate * (jump + 128) * 4
			}
			switch script[0] % 4 {
			case 1:
				p.Data, p.Lost = []byte{31 << 3}, true
			case 2:
				p.Data = bad
			}
			if err := tr.Transcode(p, emit); err != nil {
				t.Fatal(err)
			}
			pts = max(pts, p.End())
		}
		if err := tr.Flush(emit); err != nil {
			t.Fatal(err)
		}
	})
}
