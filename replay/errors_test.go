package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/opusrec"
)

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []Config{
		{Target: -60}, {Target: 3}, {Target: math.NaN()}, {Tolerance: 0.01}, {TruePeak: 1}, {Bitrate: 257}, {Bitrate: -1},
		{SegmentDuration: time.Millisecond}, {SilenceThreshold: 20}, {SilenceThreshold: -200}, {SilenceMin: time.Millisecond},
		{SilenceKeep: 2 * time.Second},
	} {
		if _, err := New(context.Background(), cfg); err == nil || errors.Is(err, ErrFFmpeg) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// program writes a shell script that stands for an FFmpeg.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFFmpegThatCannotDoIt(t *testing.T) {
	const v5 = `case "$*" in *-version*) echo "ffmpeg version 5.1.9-0+deb12u1 Copyright";; `
	const complete = v5 + `*decoder=opus*) echo "Decoder opus [Opus]:";; *libmp3lame*) echo "Encoder libmp3lame [MP3]:";; *) echo unknown;; esac`
	for _, c := range []struct {
		name, path string
		want       string // in the error; "" for none
	}{
		{"missing", filepath.Join(t.TempDir(), "ffmpeg"), "install FFmpeg 5"},
		{"old", program(t, `echo "ffmpeg version 4.3.9-0 Copyright"`), "version 4"},
		{"something else", program(t, `echo hello`), "version 0"},
		{"fails", program(t, `exit 3`), "exit status 3"},
		{"no MP3", program(t, v5+`*decoder=opus*) echo "Decoder opus [Opus]:";; *) echo "Codec is not recognized";; esac`), "encoder libmp3lame"},
		{"no Opus", program(t, v5+`*) echo "Codec is not recognized";; esac`), "decoder opus"},
		{"complete", program(t, complete), ""},
		{"between releases", program(t, strings.ReplaceAll(complete, "5.1.9-0+deb12u1", "N-109469-g62da0b4a74")), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(context.Background(), Config{FFmpeg: c.path})
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrFFmpeg) || !strings.Contains(fmt.Sprint(err), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// make runs a whole replay and checks that it leaves nothing behind.
func makeReplay(t *testing.T, recording string) (Result, hls.Store, error) {
	t.Helper()
	temp := t.TempDir()
	store := hls.NewMemory()
	result, err := newMaker(t, Config{TempDir: temp}).Make(context.Background(), Job{
		Recording: recording, Store: store, Prefix: "r", Tags: Tags{Title: "Essai"},
	})
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err != nil {
		for info := range store.List(context.Background(), "") {
			t.Errorf("a failed replay stored %s", info.Key)
		}
	}
	return result, store, err
}

func TestRecordingsThatAreNone(t *testing.T) {
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	opus, err := os.ReadFile(record(t, "whole.opus", voice(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	// The third page is the first with sound.
	third := bytes.Index(opus[10:], []byte("OggS")) + 10
	third += bytes.Index(opus[third+4:], []byte("OggS")) + 4
	for _, c := range []struct {
		name, path string
		want       error
	}{
		{"missing", filepath.Join(t.TempDir(), "none.opus"), fs.ErrNotExist},
		{"empty", file("empty.opus", nil), ErrEmpty},
		{"header only", file("header.opus", opus[:third]), ErrEmpty},
		{"half a header", file("half.opus", opus[:20]), ErrEmpty},
		{"a text", file("text.opus", bytes.Repeat([]byte("not sound\n"), 100)), ErrUnreadable},
		{"a folder", t.TempDir(), nil},
		{"too short", record(t, "short.opus", sine(0.2, 440, 0.5)), ErrEmpty},
		{"silent", record(t, "silent.opus", silence(5)), ErrSilent},
		{"all but silent", record(t, "hiss.opus", road(5, 1e-5, 1)), ErrSilent},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := makeReplay(t, c.path)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			t.Log(err)
		})
	}
}

// A damaged recording must become a replay of the right length.
func TestDamagedRecordings(t *testing.T) {
	whole, err := os.ReadFile(record(t, "whole.opus", join(voice(10, 1), music(2, 2))))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	for i := 20_000; i < len(flipped)-20_000; i += 15_000 {
		flipped[i] ^= 0x55
	}
	for _, c := range []struct {
		name     string
		content  []byte
		min, max float64
	}{
		{"torn", whole[:len(whole)*3/4], 7, 9.5},
		{"flipped bits", flipped, 11.9, 12.1},
		{"a hole", append(bytes.Clone(whole[:50_000]), whole[70_000:]...), 11.9, 12.1},
		{"no headers", whole[1000:], 10, 12.1},
		{"zeros", slices.Concat(whole[:50_000], make([]byte, 30_000), whole[80_000:]), 11.9, 12.1},
		{"junk after", append(bytes.Clone(whole), make([]byte, 5000)...), 11.9, 12.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "damaged.opus")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			result, _, err := makeReplay(t, path)
			if err != nil {
				t.Fatal(err)
			}
			if d := result.Recorded.Seconds(); d < c.min || d > c.max || !result.OnTarget {
				t.Errorf("%.2f s at %.1f LUFS, want %v to %v s", d, result.After.Integrated, c.min, c.max)
			}
			if a, err := newMaker(t, Config{}).Analyze(context.Background(), path); err != nil || a.Duration != result.Recorded || a.Kept != result.Duration {
				t.Errorf("analyzed alone: %+v %v, made: %v of %v", a, err, result.Duration, result.Recorded)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, c.content) {
				t.Error("the recording was changed")
			}
		})
	}
}

func TestTags(t *testing.T) {
	got := Tags{Title: "Route\x00 de nuit\x7f\xff", Artist: "  ", Date: time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC),
		Comment: "a=b\n" + strings.Repeat("é", 2000)}.fields()
	want := []string{"title=Route de nuit", "comment=a=b\n" + strings.Repeat("é", longestTag-4), "date=2026-11-22"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q", got)
	}
}

// lossy copies a recording with every nth packet lost.
func lossy(t testing.TB, recording string, nth int) string {
	t.Helper()
	src, err := opusrec.Open(recording)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	path := filepath.Join(t.TempDir(), "lossy.opus")
	dst, err := opusrec.Create(path, opusrec.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		p, err := src.ReadPacket()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packets := []media.Packet{p}
		if n%nth == 0 {
			packets = slices.Collect(media.Gap(p.TOC(), p.PTS, int64(p.Duration)))
		}
		for _, p := range packets {
			if err := dst.WritePacket(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// FFmpeg's own decoder bursts into noise after lost packets; what is heard must
// be about as loud as without losses.
func TestLostPacketsAreConcealed(t *testing.T) {
	m := newMaker(t, Config{})
	if !m.ffmpeg.libopus {
		mediatest.Missing(t, "FFmpeg was built without libopus")
	}
	whole := record(t, "whole.opus", voice(12, 1))
	before, err := m.Analyze(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	after, err := m.Analyze(context.Background(), lossy(t, whole, 13))
	if err != nil {
		t.Fatal(err)
	}
	if peak := after.Loudness.TruePeak - before.Loudness.TruePeak; peak > 1.5 {
		t.Errorf("the peak is %.1f dB higher for the losses", peak)
	}
	// The last page of what FFmpeg wrote says where to cut the last packet; ours
	// has whole ones.
	if d := (after.Duration - before.Duration).Abs(); d > 25*time.Millisecond {
		t.Errorf("%v long, %v without losses", after.Duration, before.Duration)
	}
}
