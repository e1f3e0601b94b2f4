package hls_test

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

// aacLadder is what the daemon gives a live: two mono rungs.
func aacLadder(config hls.Config) hls.Config {
	rungs := aac.Ladder()
	config.CloseTimeout = time.Minute // of a busy machine
	config.Rungs = transcode.Tracks(rungs)
	config.NewTranscoder = func() (hls.Transcoder, error) { return transcode.New(transcode.Config{Rungs: rungs}) }
	return config
}

func speech(d time.Duration) []media.Packet {
	return mediatest.EncodeOpus(mediatest.Speech(mediatest.Voice{}, -20, d), opus.EncoderConfig{})
}

// fetch asks again while the answer is 503, as players do: a busy machine may
// need longer than a request waits.
func fetch(t testing.TB, url string) []byte {
	t.Helper()
	for range 20 {
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		switch {
		case err == nil && r.StatusCode == http.StatusOK:
			return b
		case err != nil || r.StatusCode != http.StatusServiceUnavailable:
			t.Fatalf("GET %s: %s %v %s", url, r.Status, err, b)
		}
	}
	t.Fatalf("GET %s is 503 for ever", url)
	return nil
}

// run runs an outside tool and fails the test if it says anything on stderr.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), mediatest.Tool(t, name), args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return out.String()
}

// decode lets FFmpeg play a URL or file to its end and gives the PCM, mono.
func decode(t testing.TB, input string) []float32 {
	t.Helper()
	raw := run(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", input, "-f", "f32le", "-ac", "1", "-ar", "48000", "-")
	pcm := make([]float32, len(raw)/4)
	for i := range pcm {
		b := raw[4*i:]
		pcm[i] = math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
	}
	return pcm
}

func TestFFmpegPlaysALive(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	const length = 12 * time.Second
	sent := speech(length)
	live, url := serveLive(t, aacLadder(hls.Config{}))
	live.Wake()
	play(t, live, mediatest.Lose(sent, func(i int) bool { return i%20 == 7 }))
	heard := mediatest.DecodeOpus(sent, 1)
	for _, path := range []string{"/opus.m3u8", "/index.m3u8", "/aac32/media.m3u8"} {
		pcm := decode(t, url+path)
		if off := math.Abs(float64(len(pcm))/48000 - length.Seconds()); off > 0.05 {
			t.Errorf("%s lasts %.3f s, the live %v", path, float64(len(pcm))/48000, length)
		}
		offset, similarity := mediatest.Align(heard, pcm)
		t.Logf("%s: %.3f s, offset %d samples, similarity %.3f", path, float64(len(pcm))/48000, offset, similarity)
		if similarity < 0.8 {
			t.Errorf("%s does not sound like what was sent: similarity %.3f", path, similarity)
		}
	}
}

// TestFFmpegHearsNoSeam stops and starts the ladder in the middle of a live.
func TestFFmpegHearsNoSeam(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	live, url := serveLive(t, aacLadder(hls.Config{}))
	sent := speech(24 * time.Second)
	write(t, live, sent[:9*50])
	for _, from := range []int{9, 14, 19} {
		fetch(t, url+"/aac48/media.m3u8")
		live.PauseLadder()
		write(t, live, sent[from*50:(from+5)*50])
	}
	live.Wake()
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
	var m playlist.Media
	if err := m.Unmarshal(fetch(t, url+"/aac48/media.m3u8")); err != nil {
		t.Fatal(err)
	}
	if m.MediaSequence != 0 || len(m.Segments) != 12 || !m.Endlist {
		t.Fatalf("the rung lists %d segments from %d, ended %v", len(m.Segments), m.MediaSequence, m.Endlist)
	}
	pcm := decode(t, url+"/aac48/media.m3u8")
	if seconds := float64(len(pcm)) / 48000; math.Abs(seconds-24) > 0.05 {
		t.Errorf("three runs of the ladder last %.3f s together, the live 24", seconds)
	}
	if _, similarity := mediatest.Align(mediatest.DecodeOpus(sent, 1), pcm); similarity < 0.9 {
		t.Errorf("similarity %.3f", similarity)
	}
}

// TestRungsCost measures some speech: what a listener pays for a rung.
func TestRungsCost(t *testing.T) {
	var mu sync.Mutex
	sizes := map[string]int{}
	config := aacLadder(hls.Config{Ladder: hls.Always, OnSegment: func(e hls.SegmentEvent) {
		mu.Lock()
		defer mu.Unlock()
		sizes[e.Rendition] += e.Bytes
	}})
	live, _ := serveLive(t, config)
	const seconds = 20
	play(t, live, speech(seconds*time.Second))
	for name, most := range map[string]int{"aac48": 56000, "aac32": 40000} {
		rate := sizes[name] * 8 / seconds
		t.Logf("%s costs %d bit/s on the wire", name, rate)
		if rate > most || rate < most/2 {
			t.Errorf("%s costs %d bit/s on the wire, want at most %d", name, rate, most)
		}
	}
}

// mp3Frames are the frames of a constant 256 kbit/s, 48 kHz MP3 made by FFmpeg.
func mp3Frames(t testing.TB, seconds int) []media.Frame {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.mp3")
	run(t, "ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=440:r=48000:d="+strconv.Itoa(seconds),
		"-ac", "2", "-b:a", "256k", "-write_xing", "0", "-id3v2_version", "0", path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const frame = 768 // 144 * 256000 / 48000
	var list []media.Frame
	for ; len(data) >= frame; data = data[frame:] {
		list = append(list, media.Frame{PTS: int64(len(list)) * 1152, Duration: 1152, Data: data[:frame]})
	}
	return list
}

func sequence(list []media.Frame) iter.Seq2[media.Frame, error] {
	return func(yield func(media.Frame, error) bool) {
		for _, f := range list {
			if !yield(f, nil) {
				return
			}
		}
	}
}

var mp3Track = media.Track{Name: "mp3", Codec: media.CodecMP3, SampleRate: 48000, Channels: 2, Bitrate: 256000}

// M9: a replay is MP3 in segments of 10 s.
func TestFFmpegPlaysAVOD(t *testing.T) {
	frames := mp3Frames(t, 47)
	dir := t.TempDir()
	store := openDir(t, dir)
	vod, err := hls.WriteVOD(t.Context(), hls.VODConfig{Store: store, Prefix: "replay/1", Track: mp3Track}, sequence(frames))
	if err != nil {
		t.Fatal(err)
	}
	if want := media.Duration(int64(len(frames)) * 1152); vod.Duration != want || vod.Segments != 5 || vod.Index != "replay/1/index.m3u8" {
		t.Errorf("WriteVOD gives %+v, want %v in 5 segments", vod, want)
	}
	if cost := float64(vod.Bytes) * 8 / vod.Duration.Seconds() / 256000; cost > 1.07 {
		t.Errorf("MPEG-TS makes the MP3 %.3f times as big", cost)
	}
	server := httptest.NewServer(hls.NewHandler(store))
	defer server.Close()
	pcm := decode(t, server.URL+"/replay/1/index.m3u8")
	if got := float64(len(pcm)) / 48000; math.Abs(got-vod.Duration.Seconds()) > 0.05 {
		t.Errorf("FFmpeg plays %.3f s of %v", got, vod.Duration)
	}
	var probe struct {
		Streams []struct {
			CodecName  string `json:"codec_name"`
			SampleRate string `json:"sample_rate"`
			BitRate    string `json:"bit_rate"`
		}
	}
	out := run(t, "ffprobe", "-v", "warning", "-show_streams", "-of", "json", filepath.Join(dir, "replay/1/mp3/3.ts"))
	if err := json.Unmarshal([]byte(out), &probe); err != nil {
		t.Fatal(err)
	}
	if s := probe.Streams[0]; s.CodecName != "mp3" || s.SampleRate != "48000" || s.BitRate != "256000" {
		t.Errorf("ffprobe sees %+v", s)
	}
	var m playlist.Media
	if err := m.Unmarshal(fetch(t, server.URL+"/replay/1/mp3/vod.m3u8")); err != nil {
		t.Fatal(err)
	}
	if m.TargetDuration != 10 || !m.Endlist || m.PlaylistType == nil || *m.PlaylistType != playlist.MediaPlaylistTypeVOD {
		t.Errorf("the playlist says %+v", m)
	}
}

// BenchmarkLadderStart is what the first listener of a live waits for: the kept
// window, transcoded to two rungs.
func BenchmarkLadderStart(b *testing.B) {
	sent := speech(60 * time.Second)
	for b.Loop() {
		b.StopTimer()
		live, err := hls.NewLive(aacLadder(hls.Config{}))
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range sent {
			if err := live.WritePacket(p); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		w := httptest.NewRecorder()
		live.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/aac48/media.m3u8", nil))
		if n := strings.Count(w.Body.String(), ".ts"); w.Code != http.StatusOK || n < 14 {
			b.Fatalf("%d, %d segments", w.Code, n)
		}
		b.StopTimer()
		_ = live.Remove(b.Context())
		b.StartTimer()
	}
}
