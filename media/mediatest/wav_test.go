package mediatest_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
)

func TestWAV(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		pcm := []float32{0, 0.5, -0.5, 1, -1, 2, -2, 1.0 / 32768}
		got, n, err := mediatest.DecodeWAV(mediatest.EncodeWAV(pcm, channels))
		if err != nil || n != channels || len(got) != len(pcm) {
			t.Fatalf("%d channels, %d values, %v", n, len(got), err)
		}
		const top = 32767.0 / 32768
		for i, want := range []float32{0, 0.5, -0.5, top, -1, top, -1, 1.0 / 32768} {
			if got[i] != want {
				t.Errorf("value %d is %v, want %v", i, got[i], want)
			}
		}
	}
}

func TestWAVFaults(t *testing.T) {
	good := mediatest.EncodeWAV([]float32{0.1, 0.2}, 1)
	change := func(at int, b ...byte) []byte {
		out := bytes.Clone(good)
		copy(out[at:], b)
		return out
	}
	cases := map[string][]byte{
		"empty":            nil,
		"text":             []byte("this is not a WAV file at all"),
		"no data":          good[:36],
		"44.1 kHz":         change(24, 0x44, 0xac, 0, 0),
		"three channels":   change(22, 3),
		"24 bits":          change(34, 24),
		"floating point":   change(20, 3),
		"data comes first": append(append(bytes.Clone(good[:12]), good[36:]...), good[12:36]...),
		"format cut off":   append(bytes.Clone(good[:16]), 4, 0, 0, 0, 1, 0, 1, 0),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			if pcm, _, err := mediatest.DecodeWAV(b); err == nil {
				t.Errorf("gives %d values and no error", len(pcm))
			}
		})
	}
	t.Run("unknown length", func(t *testing.T) {
		pcm, _, err := mediatest.DecodeWAV(change(40, 255, 255, 255, 255))
		if err != nil || len(pcm) != 2 {
			t.Errorf("gives %d values, %v; want all that is there", len(pcm), err)
		}
	})
	t.Run("foreign chunk", func(t *testing.T) {
		list := append([]byte("LIST"), 3, 0, 0, 0, 'a', 'b', 'c', 0)
		b := append(append(bytes.Clone(good[:12]), list...), good[12:]...)
		if pcm, _, err := mediatest.DecodeWAV(b); err != nil || len(pcm) != 2 {
			t.Errorf("gives %d values, %v; want to skip it", len(pcm), err)
		}
	})
}

func FuzzDecodeWAV(f *testing.F) {
	f.Add(mediatest.EncodeWAV([]float32{0.1, 0.2}, 2))
	f.Add(binary.LittleEndian.AppendUint32([]byte("RIFF\x00\x00\x00\x00WAVEfmt "), math.MaxUint32))
	f.Fuzz(func(t *testing.T, b []byte) {
		pcm, channels, err := mediatest.DecodeWAV(b)
		if err == nil && (channels < 1 || channels > 2 || len(pcm)%channels != 0 || 2*len(pcm) > len(b)) {
			t.Errorf("%d bytes give %d values of %d channels", len(b), len(pcm), channels)
		}
	})
}

// TestWAVFFmpeg sends a file of ours through FFmpeg and reads what it writes.
func TestWAVFFmpeg(t *testing.T) {
	ffmpeg := mediatest.Tool(t, "ffmpeg")
	pcm := mediatest.Stereo(mediatest.Sine(440, -10, time.Second), mediatest.Sine(880, -20, time.Second))
	in := filepath.Join(t.TempDir(), "in.wav")
	if err := os.WriteFile(in, mediatest.EncodeWAV(pcm, 2), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(ffmpeg, "-v", "error", "-i", in, "-f", "wav", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	got, channels, err := mediatest.DecodeWAV(out)
	if err != nil || channels != 2 || len(got) != len(pcm) {
		t.Fatalf("%d values of %d channels, %v; want %d of 2", len(got), channels, err, len(pcm))
	}
	if _, similarity := mediatest.Align(mediatest.Channel(pcm, 1, 2), mediatest.Channel(got, 1, 2)); similarity < 0.9999 {
		t.Errorf("similarity %.5f", similarity)
	}
}
