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

// TestLadderIsInTime has FFmpeg decode both rungs of a live with losses: each
// sample must be heard at the time of the packet it came in.
func TestLadderIsInTime(t *testing.T) {
	voice := mediatest.Speech(mediatest.Voice{}, -20, 6*time.Second)
	packets := mediatest.EncodeOpus(voice, opus.EncoderConfig{})
	for i := range packets {
		packets[i].PTS += 5 * media.SampleRate
	}
	packets = mediatest.Lose(packets, func(i int) bool { return i%20 == 13 || i >= 100 && i < 120 })
	sent := mediatest.DecodeOpus(packets, 1)
	rungs := aac.Ladder()
	tr := newTranscoder(t, transcode.Config{Rungs: rungs})
	for rung, frames := range run(t, tr, packets) {
		checkFrames(t, frames, 5*media.SampleRate-1024, 11*media.SampleRate)
		heard := listen(t, frames)
		offset, similarity := mediatest.Align(sent, heard)
		t.Logf("%s: similarity %.4f", rungs[rung].Track.Name, similarity)
		if at := frames[0].PTS + int64(offset); at != packets[0].PTS || similarity < 0.98 {
			t.Errorf("%s: sound of %d is heard at %d with similarity %.3f", rungs[rung].Track.Name, packets[0].PTS, at, similarity)
		}
	}
}

// listen decodes mono AAC frames with FFmpeg, framed as ADTS (ISO 13818-7 §6.2).
func listen(t testing.TB, frames []media.Frame) []float32 {
	t.Helper()
	var stream []byte
	for _, f := range frames {
		n := len(f.Data) + 7
		stream = append(stream, 0xff, 0xf1, 0x4c, 0x40|byte(n>>11), byte(n>>3), byte(n<<5)|0x1f, 0xfc)
		stream = append(stream, f.Data...)
	}
	return mediatest.Listen(t, stream, 1, "-f", "aac")
}

func TestAllocations(t *testing.T) {
	packets := mediatest.EncodeOpus(mediatest.Pink(1, -20, time.Second), opus.EncoderConfig{})
	packets = mediatest.Lose(packets, func(i int) bool { return i%10 == 5 })
	tr := newTranscoder(t, transcode.Config{Rungs: aac.Ladder()})
	emit := func(int, media.Frame) {}
	pts := int64(0)
	second := func() {
		for _, p := range packets {
			p.PTS += pts
			if err := tr.Transcode(p, emit); err != nil {
				t.Fatal(err)
			}
		}
		pts += media.SampleRate
	}
	second()
	// Two slabs for 10 kB of frames; the codec allocates where it conceals.
	got := testing.AllocsPerRun(3, second)
	t.Logf("%.0f allocations in a second of 50 packets", got)
	if got > 30 {
		t.Errorf("%.0f allocations in a second of 50 packets", got)
	}
}
