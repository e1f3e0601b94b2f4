package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/opusrec"
)

// The whole way: a creator goes live, three players listen, the live ends, the
// replay is published, and every byte is where it should be.
func TestLiveBecomesReplay(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	const length = 26 * time.Second
	d := startDaemon(t, t.TempDir())
	creator := d.publish(programme(length), "title=La+nationale+7&zone_geo=Dr%C3%B4me&tag=route", nil)

	var lives struct {
		Lives []apiLive `json:"lives"`
	}
	d.get("/v1/lives", &lives)
	if len(lives.Lives) != 1 || lives.Lives[0].Title != "La nationale 7" || lives.Lives[0].CreatorID != "ada" || lives.Lives[0].State != "on_air" {
		t.Fatalf("on air: %+v", lives)
	}
	// The client begins so far from the end; now that is the beginning.
	d.eventually("enough segments are listed", 30*time.Second, func() bool {
		return len(d.mediaPlaylist(creator.id, "index.m3u8").Segments) >= startSegments
	})
	aac := hear(t, d.url+"/live/"+creator.id+"/index.m3u8")
	// It knows "opus" in a multivariant playlist, not the "Opus" of RFC 6381 and Apple.
	opus := hear(t, d.url+"/live/"+creator.id+"/opus/media.m3u8")
	player := exec.Command("ffmpeg", "-v", "warning", "-live_start_index", "0", "-i", d.url+"/live/"+creator.id+"/index.m3u8", "-map", "0:a:0", "-f", "null", "-")
	var said bytes.Buffer
	player.Stderr = &said
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	creator.wait(t)
	if err := player.Wait(); err != nil || said.Len() > 0 {
		t.Errorf("ffmpeg on the live: %v\n%s", err, &said)
	}
	for name, h := range map[string]*listener{"AAC": aac, "Opus": opus} {
		h.wait(t)
		if h.gaps > 0 || h.duration < length-5*time.Second || h.duration > length+100*time.Millisecond {
			t.Errorf("%s listener heard %v of %v with %d gaps", name, h.duration, length, h.gaps)
		}
	}

	d.eventually("the live is over", 10*time.Second, func() bool { return d.live(creator.id).State == "ended" })
	if l := d.live(creator.id); l.Message != "Le live est terminé" || math.Abs(l.DurationSeconds-length.Seconds()) > 0.001 {
		t.Errorf("ended as %+v", l)
	}
	sameData(t, "recording", d.recording(creator.id), creator.sent)
	sameData(t, "fMP4", d.opusSegments(creator.id), creator.sent)

	r := d.replayOf(creator.id, time.Minute)
	if r.Title != "[REPLAY] La nationale 7" || r.GeoType != "Géo-neutre" {
		t.Errorf("replay is %+v", r)
	}
	checkReplay(t, r, length-4*time.Second)
	d.checkSegments(r)
}

// checkSegments wants segments of 10 s, but for the last (M9).
func (d *testDaemon) checkSegments(r apiReplay) {
	d.t.Helper()
	folder := "/replay/" + r.ReplayID + "/"
	index, err := playlist.Unmarshal(d.body(folder + "index.m3u8"))
	if err != nil {
		d.t.Fatal(err)
	}
	media, err := playlist.Unmarshal(d.body(folder + index.(*playlist.Multivariant).Variants[0].URI))
	if err != nil {
		d.t.Fatal(err)
	}
	segments := media.(*playlist.Media).Segments
	for i, s := range segments[:len(segments)-1] {
		if s.Duration < 9950*time.Millisecond || s.Duration > 10050*time.Millisecond {
			d.t.Errorf("segment %d of the replay lasts %v", i, s.Duration)
		}
	}
	if len(segments) != 3 {
		d.t.Errorf("the replay has %d segments", len(segments))
	}
}

// checkReplay holds a published replay against M8 and M9.
func checkReplay(t *testing.T, r apiReplay, length time.Duration) {
	t.Helper()
	if math.Abs(r.DurationSeconds-length.Seconds()) > 0.5 {
		t.Errorf("replay lasts %.2f s, want about %v", r.DurationSeconds, length)
	}
	probe := ffmpeg(t, "ffprobe", "-v", "warning", "-show_entries", "stream=codec_name,bit_rate,sample_rate,channels:format_tags=title", "-of", "default=nw=1", r.MP3URL)
	for _, want := range []string{"codec_name=mp3", "bit_rate=256000", "sample_rate=48000", "TAG:title=" + r.Title} {
		if !strings.Contains(probe, want) {
			t.Errorf("the MP3 is not %s:\n%s", want, probe)
		}
	}
	for _, url := range []string{r.MP3URL, r.HLSURL} {
		judged := mediatest.Judge(t, url)
		lufs, peak := judged.Integrated, judged.TruePeak
		t.Logf("%s: %.2f LUFS, %.2f dBTP", url, lufs, peak)
		if math.Abs(lufs+14) > 0.5 || peak > -0.9 {
			t.Errorf("%s: %.2f LUFS, %.2f dBTP", url, lufs, peak)
		}
	}
	segments := ffmpeg(t, "ffprobe", "-v", "warning", "-show_entries", "format=duration", "-of", "csv=p=0", r.HLSURL)
	if d, err := strconv.ParseFloat(strings.TrimSpace(segments), 64); err != nil || math.Abs(d-r.DurationSeconds) > 0.1 {
		t.Errorf("the HLS replay lasts %q (%v), the row says %.2f s", segments, err, r.DurationSeconds)
	}
}

// startSegments is how far from the live edge gohlslib's client begins: it gives
// up when the next segment is not there at once, so it needs some in hand.
const startSegments = 5

// A listener is gohlslib's client on one playlist.
type listener struct {
	duration time.Duration
	gaps     int
	next     int64
	done     chan error
}

func hear(t *testing.T, url string) *listener {
	t.Helper()
	h := &listener{next: -1, done: make(chan error, 1)}
	client := &gohlslib.Client{URI: url, StartDistance: startSegments, MaxDistance: 100}
	client.OnTracks = func(tracks []*gohlslib.Track) error {
		switch codec := tracks[0].Codec.(type) {
		case *codecs.MPEG4Audio:
			client.OnDataMPEG4Audio(tracks[0], func(pts int64, aus [][]byte) {
				h.got(pts, time.Duration(len(aus))*1024*time.Second/48000, tracks[0].ClockRate)
			})
		case *codecs.Opus:
			client.OnDataOpus(tracks[0], func(pts int64, packets [][]byte) {
				var sum int64
				for _, p := range packets {
					n, err := media.PacketDuration(p)
					if err != nil {
						h.gaps++
					}
					sum += int64(n)
				}
				h.got(pts, media.Duration(sum), tracks[0].ClockRate)
			})
		default:
			return fmt.Errorf("codec %T", codec)
		}
		return nil
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { h.done <- client.Wait2() }()
	t.Cleanup(client.Close)
	return h
}

func (h *listener) got(pts int64, d time.Duration, clock int) {
	if h.next >= 0 && (pts < h.next-2 || pts > h.next+2) { // ticks are rounded
		h.gaps++
	}
	h.duration += d
	h.next = pts + int64(math.Round(d.Seconds()*float64(clock)))
}

func (h *listener) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-h.done:
		if !errors.Is(err, gohlslib.ErrClientEOS) {
			t.Errorf("listener: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the listener never reached the end of the live")
	}
}

// recording waits until the recording of a live is in the object store, makes a
// copy whole as a worker does, and reads it.
func (d *testDaemon) recording(liveID string) []media.Packet {
	d.t.Helper()
	var raw []byte
	d.eventually("the recording is in the object store", 30*time.Second, func() (ok bool) {
		var err error
		raw, err = os.ReadFile(filepath.Join(d.data, "objects", "raw", liveID+".opus"))
		return err == nil
	})
	path := filepath.Join(d.t.TempDir(), liveID+".opus")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		d.t.Fatal(err)
	}
	if _, err := opusrec.Recover(path); err != nil {
		d.t.Fatal(err)
	}
	return readRecording(d.t, path)
}

// readRecording gives the packets of a recording.
func readRecording(t testing.TB, path string) []media.Packet {
	t.Helper()
	src, err := opusrec.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	rec := &mediatest.Recorder{}
	if err := media.Copy(rec, src); err != nil {
		t.Fatal(err)
	}
	return rec.Packets()
}

// opusSegments gives the packets in the fMP4 segments of a live.
func (d *testDaemon) opusSegments(id string) (packets []media.Packet) {
	d.t.Helper()
	list := d.mediaPlaylist(id, "opus.m3u8")
	for _, s := range list.Segments {
		var parts fmp4.Parts
		if err := parts.Unmarshal(d.body("/live/" + id + "/opus/" + filepath.Base(s.URI))); err != nil {
			d.t.Fatal(err)
		}
		for _, part := range parts {
			for _, sample := range part.Tracks[0].Samples {
				packets = append(packets, media.Packet{Data: sample.Payload, Duration: int(sample.Duration)})
			}
		}
	}
	return packets
}

// mediaPlaylist reads the first media playlist of a multivariant one.
func (d *testDaemon) mediaPlaylist(id, index string) *playlist.Media {
	d.t.Helper()
	p, err := playlist.Unmarshal(d.body("/live/" + id + "/" + index))
	if err != nil {
		d.t.Fatal(err)
	}
	if multi, ok := p.(*playlist.Multivariant); ok {
		if p, err = playlist.Unmarshal(d.body("/live/" + id + "/" + multi.Variants[0].URI)); err != nil {
			d.t.Fatal(err)
		}
	}
	return p.(*playlist.Media)
}

func sameData(t *testing.T, what string, got, want []media.Packet) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d packets, %d were sent", what, len(got), len(want))
		return
	}
	for i := range got {
		if !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("%s: packet %d is not the one sent", what, i)
			return
		}
	}
}

// edges watches how far behind the creator the end of a playlist is.
func (d *testDaemon) edges(ctx context.Context, p *publication) (behind []time.Duration) {
	for ctx.Err() == nil {
		list := d.mediaPlaylist(p.id, "opus.m3u8")
		listed := time.Duration(list.MediaSequence) * 2 * time.Second
		for _, s := range list.Segments {
			listed += s.Duration
		}
		behind = append(behind, p.age()-listed)
		time.Sleep(50 * time.Millisecond)
	}
	return behind
}
