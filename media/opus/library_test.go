package opus_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
)

var update = flag.Bool("update", false, "write testdata with FFmpeg's libopus again")

// A recording is what another encoder, libopus, makes of a sound that we can
// make too: our own only knows CELT.
type recording struct {
	name     string
	channels int
	frame    int      // samples
	mode     string   // of every packet; "" where the encoder changes it as it goes
	args     []string // of FFmpeg
}

var recordings = []recording{
	{"silk", 1, 960, "silk", []string{"-b:a", "12k", "-application", "voip"}},
	{"silk60", 1, 2880, "silk", []string{"-b:a", "10k", "-application", "voip", "-frame_duration", "60"}},
	{"hybrid60", 1, 2880, "hybrid", []string{"-b:a", "16k", "-application", "voip", "-frame_duration", "60"}},
	{"switching", 2, 960, "", []string{"-b:a", "24k", "-application", "voip"}},
	{"hybrid", 1, 960, "hybrid", []string{"-b:a", "32k", "-application", "voip"}},
	{"hybrid-fec", 1, 960, "hybrid", []string{"-b:a", "40k", "-application", "voip", "-fec", "1", "-packet_loss", "20"}},
	{"silk-fec", 1, 960, "silk", []string{"-b:a", "20k", "-application", "voip", "-fec", "1", "-packet_loss", "20"}},
	{"celt", 1, 960, "celt", []string{"-b:a", "64k", "-application", "audio"}},
	{"celt-stereo", 2, 960, "celt", []string{"-b:a", "96k", "-application", "audio"}},
	{"celt-2.5ms", 1, 120, "celt", []string{"-b:a", "96k", "-application", "lowdelay", "-frame_duration", "2.5"}},
}

// sound is what was recorded, one channel after another.
func (r recording) sound() []float32 {
	left := mediatest.Speech(mediatest.Voice{Seed: 4}, -20, 1500*time.Millisecond)
	if r.channels == 1 {
		return left
	}
	return mediatest.Stereo(left, mediatest.Chord(-20, 1500*time.Millisecond, 262, 330, 392))
}

// load gives the packets of the file in testdata, and makes it with -update.
func (r recording) load(t testing.TB) []media.Packet {
	t.Helper()
	if *update {
		r.record(t)
	}
	file, err := os.ReadFile(r.path())
	if err != nil {
		t.Fatal(err)
	}
	packets, err := mediatest.OggPackets(file)
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

func (r recording) path() string { return filepath.Join("testdata", r.name+".opus") }

func (r recording) record(t testing.TB) {
	ffmpeg := mediatest.Tool(t, "ffmpeg")
	args := append([]string{"-v", "error", "-y", "-i", "-", "-c:a", "libopus"}, r.args...)
	cmd := exec.Command(ffmpeg, append(args, "-bitexact", r.path())...)
	cmd.Stdin = bytes.NewReader(mediatest.EncodeWAV(r.sound(), r.channels))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// mode names the coding mode of a packet (RFC 6716 table 2).
func mode(p media.Packet) string {
	switch config := p.TOC().Config(); {
	case config < 12:
		return "silk"
	case config < 16:
		return "hybrid"
	default:
		return "celt"
	}
}
