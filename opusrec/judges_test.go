package opusrec

import (
	"crypto/md5"
	"encoding/hex"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

// ask runs an outside program on a recording and fails the test for a warning.
func ask(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(mediatest.Tool(t, name), args...)
	var out, warnings strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &warnings
	if err := cmd.Run(); err != nil || warnings.Len() > 0 || strings.Contains(out.String(), "WARNING") {
		t.Fatalf("%s: %v\n%s%s", name, err, out.String(), warnings.String())
	}
	return out.String()
}

var (
	playbackLength = regexp.MustCompile(`Playback length: (\d+)m:([\d.]+)s`)
	probeDuration  = regexp.MustCompile(`duration=([\d.]+)`)
	dataHash       = regexp.MustCompile(`MD5:([0-9a-f]{32})`)
)

// judge lets programs that know nothing of ours read a recording: none may
// warn, all must find its duration and exactly its packets.
func judge(t *testing.T, path string, packets []media.Packet) {
	t.Helper()
	want := media.Duration(packets[len(packets)-1].End()).Seconds()
	near := func(who string, seconds float64) {
		t.Helper()
		if math.Abs(seconds-want) > 0.02 {
			t.Errorf("%s says %v s, want %v", who, seconds, want)
		}
	}
	number := func(s string) float64 {
		t.Helper()
		n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}

	length := playbackLength.FindStringSubmatch(ask(t, "opusinfo", path))
	near("opusinfo", number(length[1])*60+number(length[2]))

	probe := ask(t, "ffprobe", "-v", "warning", "-show_packets", "-show_data_hash", "md5",
		"-show_entries", "packet=data_hash:format=duration", path)
	near("ffprobe", number(probeDuration.FindStringSubmatch(probe)[1]))
	hashes := dataHash.FindAllStringSubmatch(probe, -1)
	if len(hashes) != len(packets) {
		t.Fatalf("ffprobe finds %d packets, want %d", len(hashes), len(packets))
	}
	for i, p := range packets {
		if sum := md5.Sum(p.Data); hashes[i][1] != hex.EncodeToString(sum[:]) {
			t.Fatalf("ffprobe: packet %d is %s, want %x", i, hashes[i][1], sum)
		}
	}

	pcm := filepath.Join(t.TempDir(), "pcm")
	ask(t, "ffmpeg", "-v", "warning", "-i", path, "-f", "s16le", "-ac", "1", "-ar", "48000", pcm)
	stat, err := os.Stat(pcm)
	if err != nil {
		t.Fatal(err)
	}
	near("what ffmpeg decodes", float64(stat.Size())/2/media.SampleRate)
}

// TestJudges records, judges, tears the last page and judges what Recover makes
// of it.
func TestJudges(t *testing.T) {
	voice := mediatest.Speech(mediatest.Voice{}, -20, 5*time.Second)
	stereo := mediatest.EncodeOpus(mediatest.Stereo(voice, voice), opus.EncoderConfig{Channels: 2})
	damaged := func(i int) bool { return i%20 == 3 || i > 100 && i < 200 }
	tests := map[string][]media.Packet{
		"libopus speech":    long(t, 10*time.Second+20*time.Millisecond),
		"one packet":        long(t, 20*time.Millisecond),
		"stereo":            stereo,
		"5 s of outage":     append(long(t, 3*time.Second), shift(long(t, 3*time.Second), 8*time.Second)...),
		"losses":            mediatest.Lose(stereo, damaged),
		"begins late":       shift(stereo, 700*time.Millisecond),
		"ends in an outage": mediatest.Lose(stereo, func(i int) bool { return i > 130 }),
	}
	for name, packets := range tests {
		t.Run(name, func(t *testing.T) {
			path := write(t, Config{Tags: Tags{Title: "Sur la route", Artist: "Zoé", Date: time.Now()}}, packets)
			recorded, _ := readFile(t, path)
			judge(t, path, recorded)

			tear(t, path, 1)
			if _, err := Recover(path); err != nil {
				t.Fatal(err)
			}
			if kept, _ := readFile(t, path); len(kept) > 0 {
				judge(t, path, kept)
			}
		})
	}
}

// shift moves packets to a later place on the timeline.
func shift(packets []media.Packet, by time.Duration) []media.Packet {
	moved := append([]media.Packet(nil), packets...)
	for i := range moved {
		moved[i].PTS += media.Samples(by)
	}
	return moved
}

// tear cuts n bytes off the end of a file.
func tear(t testing.TB, path string, n int64) {
	t.Helper()
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, stat.Size()-n); err != nil {
		t.Fatal(err)
	}
}

// TestJudgedTags lets opusinfo and ffprobe read the tags back.
func TestJudgedTags(t *testing.T) {
	date := time.Date(2026, 11, 22, 18, 30, 0, 0, time.FixedZone("CET", 3600))
	path := write(t, Config{Tags: Tags{Title: "Sur la route = liberté", Artist: "Zoé", Date: date, Comments: []string{"ZONE=Bretagne"}}}, long(t, time.Second))
	info := ask(t, "opusinfo", path)
	probe := ask(t, "ffprobe", "-v", "warning", "-show_entries", "stream_tags", path)
	for _, want := range []string{"TITLE=Sur la route = liberté", "ARTIST=Zoé", "DATE=2026-11-22T17:30:00Z", "ZONE=Bretagne"} {
		if !strings.Contains(info, want) {
			t.Errorf("opusinfo does not show %s:\n%s", want, info)
		}
		if !strings.Contains(probe, want) {
			t.Errorf("ffprobe does not show %s:\n%s", want, probe)
		}
	}
}
