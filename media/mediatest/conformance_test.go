package mediatest_test

import (
	"io"
	"testing"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPacketsConform(t *testing.T) {
	mediatest.TestSource(t, func(_ *testing.T, packets []media.Packet) media.Source {
		return mediatest.Packets(packets...)
	}, nil)
}

func TestRecorderConforms(t *testing.T) {
	mediatest.TestSink(t, func(*testing.T) media.Sink { return new(mediatest.Recorder) })
}

// TestStalledConforms runs the part of the suite that needs a source that waits.
func TestStalledConforms(t *testing.T) {
	mediatest.TestSource(t,
		func(_ *testing.T, packets []media.Packet) media.Source { return mediatest.Packets(packets...) },
		func(*testing.T) media.Source {
			r, w := io.Pipe()
			return pipeSource{r, w}
		})
}

// pipeSource never has a packet; closing it fails the read that waits for one.
type pipeSource struct {
	*io.PipeReader
	w *io.PipeWriter
}

func (s pipeSource) ReadPacket() (media.Packet, error) {
	_, err := s.Read(make([]byte, 1))
	return media.Packet{}, err
}

func TestConformanceIsALive(t *testing.T) {
	packets := mediatest.Conformance()
	mediatest.CheckTimeline(t, packets)
	lost := int64(0)
	for _, p := range packets {
		if p.Lost {
			lost += int64(p.Duration)
		}
	}
	if lost < media.SampleRate {
		t.Errorf("only %v are lost", media.Duration(lost))
	}
}

func TestCopyToRecorder(t *testing.T) {
	packets := mediatest.Conformance()
	var r mediatest.Recorder
	if err := media.Copy(&r, mediatest.Packets(packets...)); err != nil {
		t.Fatal(err)
	}
	if got := r.Packets(); len(got) != len(packets) || !r.Closed() {
		t.Errorf("%d packets, closed %v; want %d and closed", len(got), r.Closed(), len(packets))
	}
}

func TestLose(t *testing.T) {
	packets := mediatest.EncodeOpus(mediatest.Sine(440, -20, 1e9), opus.EncoderConfig{})
	lossy := mediatest.Lose(packets, func(i int) bool { return i%10 == 3 })
	mediatest.CheckTimeline(t, lossy)
	if len(lossy) != len(packets) || !lossy[3].Lost || lossy[4].Lost {
		t.Errorf("%d packets, want %d with every tenth lost", len(lossy), len(packets))
	}
}

func TestOggPacketsFaults(t *testing.T) {
	page := append([]byte("OggS"), make([]byte, 22)...)
	for name, file := range map[string][]byte{
		"no page":       []byte("not an Ogg file, but long enough for a header"),
		"header cut":    page,
		"lacing cut":    append(page[:26:26], 3, 1, 1),
		"packet cut":    append(page[:26:26], 1, 200, 1, 2, 3),
		"no Opus in it": append(page[:26:26], 4, 1, 1, 0, 1, 'h', 't', 'x'),
	} {
		if packets, err := mediatest.OggPackets(file); err == nil {
			t.Errorf("%s: %d packets and no error", name, len(packets))
		}
	}
	if packets, err := mediatest.OggPackets(nil); err != nil || len(packets) != 0 {
		t.Errorf("an empty file: %d packets, %v", len(packets), err)
	}
}
