package transcode_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ladder is what a segmenter asks for.
type ladder interface {
	Transcode(p media.Packet, emit func(rung int, f media.Frame)) error
	Flush(emit func(rung int, f media.Frame)) error
	Close() error
}

var _ ladder = (*transcode.Transcoder)(nil)

func newTranscoder(t testing.TB, config transcode.Config) *transcode.Transcoder {
	t.Helper()
	tr, err := transcode.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// run transcodes packets to the end and gives the frames of each rung.
func run(t testing.TB, tr *transcode.Transcoder, packets []media.Packet) [][]media.Frame {
	t.Helper()
	var frames [][]media.Frame
	emit := func(rung int, f media.Frame) {
		for len(frames) <= rung {
			frames = append(frames, nil)
		}
		frames[rung] = append(frames[rung], f)
	}
	for _, p := range packets {
		if err := tr.Transcode(p, emit); err != nil {
			t.Fatalf("packet at %d: %v", p.PTS, err)
		}
	}
	if err := tr.Flush(emit); err != nil {
		t.Fatal(err)
	}
	return frames
}

// checkFrames fails unless frames follow one another from PTS first on and reach end.
func checkFrames(t testing.TB, frames []media.Frame, first, end int64) {
	t.Helper()
	if len(frames) == 0 || frames[0].PTS != first {
		t.Fatalf("%d frames, want the first at %d", len(frames), first)
	}
	for i, f := range frames {
		if f.PTS != first+int64(i)*1024 || f.Duration != 1024 {
			t.Fatalf("frame %d is %d+%d, want %d+1024", i, f.PTS, f.Duration, first+int64(i)*1024)
		}
		if want := []byte{byte(i), byte(i >> 8)}; len(f.Data) == 2 && !slices.Equal(f.Data, want) {
			t.Fatalf("frame %d holds %v, want %v: it was overwritten", i, f.Data, want)
		}
	}
	if last := frames[len(frames)-1].End(); last < end || last >= end+1024 {
		t.Errorf("the last frame ends at %d, want %d to %d", last, end, end+1023)
	}
}

func TestRungsShareTheSound(t *testing.T) {
	a, madeA := rung("a", 1)
	b, madeB := rung("b", 2)
	var tapped []float32
	tr := newTranscoder(t, transcode.Config{
		Rungs: []transcode.Rung{a, b},
		Taps:  []transcode.Tap{func(_ int64, pcm []float32) { tapped = append(tapped, pcm...) }},
	})
	// Left and right as loud as can be, and opposed in the second half.
	loud := mediatest.Sine(300, -0.1, time.Second)
	right := slices.Concat(loud[:24000], mediatest.Gain(loud, -200)[24000:])
	packets := mediatest.EncodeOpus(mediatest.Stereo(loud, right), opus.EncoderConfig{Channels: 2, Bitrate: 128000})
	frames := run(t, tr, packets)
	checkFrames(t, frames[0], -1024, 48000)
	checkFrames(t, frames[1], -1024, 48000)
	want := mediatest.DecodeOpus(packets, 2)
	if !slices.Equal(tapped, want) || !slices.Equal((*madeB)[0].pcm, want) {
		t.Error("the tap and the stereo rung do not get what is decoded")
	}
	mono := (*madeA)[0].pcm
	for i, v := range mono {
		if v != (want[2*i]+want[2*i+1])/2 {
			t.Fatalf("sample %d of the mono rung is %v, left and right are %v and %v", i, v, want[2*i], want[2*i+1])
		}
	}
	if len(mono) != 48000 || mediatest.Peak(mono) > 1 {
		t.Errorf("%d samples with peak %.3f", len(mono), mediatest.Peak(mono))
	}
}
