package hls_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
)

// silentMP3 is a frame header of MPEG-1 layer III, 256 kbit/s, 48 kHz, and zeros.
func silentMP3() []byte {
	frame := make([]byte, 768)
	copy(frame, []byte{0xff, 0xfb, 0xd4, 0xc0})
	return frame
}

func mp3Of(d time.Duration) iter.Seq2[media.Frame, error] {
	return func(yield func(media.Frame, error) bool) {
		for pts := int64(0); pts < media.Samples(d); pts += 1152 {
			if !yield(media.Frame{PTS: pts, Duration: 1152, Data: silentMP3()}, nil) {
				return
			}
		}
	}
}

func contents(t *testing.T, s hls.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Open(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(o)
		if err = errors.Join(err, o.Close()); err != nil {
			t.Fatal(err)
		}
		all[info.Key] = string(b)
	}
	return all
}

func TestVODIsRepeatable(t *testing.T) {
	var first map[string]string
	for range 2 {
		store := hls.NewMemory()
		var steps []hls.VOD
		config := hls.VODConfig{Store: store, Prefix: "replay/7", Track: mp3Track, Progress: func(v hls.VOD) { steps = append(steps, v) }}
		vod, err := hls.WriteVOD(t.Context(), config, mp3Of(65*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) != 7 || steps[6].Segments != 7 || vod.Segments != 7 || vod.Bytes != steps[6].Bytes {
			t.Errorf("%d steps, then %+v", len(steps), vod)
		}
		if all := contents(t, store); first == nil {
			first = all
		} else if len(all) != len(first) {
			t.Errorf("%d objects, then %d", len(first), len(all))
		} else {
			for key, body := range all {
				if first[key] != body {
					t.Errorf("%s differs the second time", key)
				}
			}
		}
	}
	var index playlist.Multivariant
	if err := index.Unmarshal([]byte(first["replay/7/index.m3u8"])); err != nil {
		t.Fatal(err)
	}
	v := index.Variants[0]
	if v.URI != "mp3/vod.m3u8" || v.Codecs[0] != "mp4a.40.34" || v.Bandwidth > 275000 || v.Bandwidth < 256000 {
		t.Errorf("the index lists %+v", v)
	}
	var m playlist.Media
	if err := m.Unmarshal([]byte(first["replay/7/mp3/vod.m3u8"])); err != nil {
		t.Fatal(err)
	}
	total := time.Duration(0)
	for i, s := range m.Segments {
		total += s.Duration
		if off := s.Duration - 10*time.Second; i < 6 && off.Abs() > 25*time.Millisecond {
			t.Errorf("segment %d lasts %v", i, s.Duration)
		}
	}
	if off := total - 65*time.Second; off < 0 || off > 25*time.Millisecond {
		t.Errorf("the segments last %v together", total)
	}
}

// watchedStore fails when told to, and knows the order of puts.
type watchedStore struct {
	hls.Store
	mu   sync.Mutex
	puts []string
	fail string
}

var errFull = errors.New("disk full")

func (s *watchedStore) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if key == s.fail {
		return errFull
	}
	if err := s.Store.Put(ctx, key, body); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts = append(s.puts, key)
	return nil
}

func TestVODAppearsWhole(t *testing.T) {
	store := &watchedStore{Store: hls.NewMemory()}
	config := hls.VODConfig{Store: store, Prefix: "r", Track: mp3Track}
	if _, err := hls.WriteVOD(t.Context(), config, mp3Of(35*time.Second)); err != nil {
		t.Fatal(err)
	}
	if n := len(store.puts); n != 6 || !slices.Equal(store.puts[4:], []string{"r/mp3/vod.m3u8", "r/index.m3u8"}) {
		t.Errorf("the order of puts is %q", store.puts)
	}

	for name, test := range map[string]struct {
		fail   string
		frames iter.Seq2[media.Frame, error]
		want   error
	}{
		"a segment is not stored":  {"r/mp3/1.ts", mp3Of(time.Minute), errFull},
		"the list is not stored":   {"r/mp3/vod.m3u8", mp3Of(time.Minute), errFull},
		"the index is not stored":  {"r/index.m3u8", mp3Of(time.Minute), errFull},
		"there are no frames":      {"", mp3Of(0), hls.ErrNoFrames},
		"the frames come to grief": {"", failing(mp3Of(25 * time.Second)), errFull},
	} {
		t.Run(name, func(t *testing.T) {
			store := &watchedStore{Store: hls.NewMemory(), fail: test.fail}
			_, err := hls.WriteVOD(t.Context(), hls.VODConfig{Store: store, Prefix: "r", Track: mp3Track}, test.frames)
			if !errors.Is(err, test.want) {
				t.Errorf("WriteVOD = %v, want %v", err, test.want)
			}
			if slices.Contains(store.puts, "r/index.m3u8") {
				t.Error("it can be seen all the same")
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		config := hls.VODConfig{Store: hls.NewMemory(), Prefix: "r", Track: mp3Track, Progress: func(hls.VOD) { cancel() }}
		if _, err := hls.WriteVOD(ctx, config, mp3Of(time.Hour)); !errors.Is(err, context.Canceled) {
			t.Errorf("WriteVOD = %v", err)
		}
	})
}

// failing yields what frames does, then an error.
func failing(frames iter.Seq2[media.Frame, error]) iter.Seq2[media.Frame, error] {
	return func(yield func(media.Frame, error) bool) {
		for f, err := range frames {
			if !yield(f, err) {
				return
			}
		}
		yield(media.Frame{}, errFull)
	}
}

func TestVODRefuses(t *testing.T) {
	good := hls.VODConfig{Store: hls.NewMemory(), Prefix: "r", Track: mp3Track}
	for name, change := range map[string]func(*hls.VODConfig){
		"no store":         func(c *hls.VODConfig) { c.Store = nil },
		"no prefix":        func(c *hls.VODConfig) { c.Prefix = "" },
		"an outer prefix":  func(c *hls.VODConfig) { c.Prefix = "../r" },
		"no track":         func(c *hls.VODConfig) { c.Track = media.Track{} },
		"long segments":    func(c *hls.VODConfig) { c.SegmentDuration = time.Hour },
		"too many at once": func(c *hls.VODConfig) { c.Parallel = 1000 },
	} {
		config := good
		change(&config)
		if _, err := hls.WriteVOD(t.Context(), config, mp3Of(time.Second)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, frames := range map[string][]media.Frame{
		"out of order": {{PTS: 1152, Duration: 1152, Data: silentMP3()}, {PTS: 0, Duration: 1152, Data: silentMP3()}},
		"empty":        {{PTS: 0, Duration: 1152}},
		"timeless":     {{PTS: 0, Data: silentMP3()}},
		"no MP3":       {{PTS: 0, Duration: 1152, Data: bytes.Repeat([]byte{1}, 100)}},
	} {
		if _, err := hls.WriteVOD(t.Context(), good, sequence(frames)); err == nil {
			t.Errorf("frames that are %s are taken", name)
		}
	}
}

// forgetful is a store that keeps nothing, for what must not need memory.
type forgetful struct{ hls.Store }

func (forgetful) Put(_ context.Context, _ string, body io.ReadSeeker) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

func TestVODStreams(t *testing.T) {
	frame := silentMP3()
	frames := func(yield func(media.Frame, error) bool) {
		for pts := int64(0); pts < 3600*media.SampleRate; pts += 1152 {
			if !yield(media.Frame{PTS: pts, Duration: 1152, Data: frame}, nil) {
				return
			}
		}
	}
	var most uint64
	config := hls.VODConfig{Store: forgetful{}, Prefix: "r", Track: mp3Track, Progress: func(v hls.VOD) {
		if v.Segments%60 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}}
	vod, err := hls.WriteVOD(t.Context(), config, frames)
	if err != nil {
		t.Fatal(err)
	}
	if vod.Segments != 360 || vod.Duration.Round(time.Second) != time.Hour {
		t.Errorf("%+v", vod)
	}
	if most > 40<<20 { // an hour has 115 MB
		t.Errorf("%d MB were in memory", most>>20)
	}
}

// TestVODOfOpus packages Opus, which goes in fragmented MP4.
func TestVODOfOpus(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	const length = 12 * time.Second
	sent := speech(length)
	frames := make([]media.Frame, len(sent))
	for i, p := range sent {
		frames[i] = media.Frame{PTS: p.PTS, Duration: p.Duration, Data: p.Data}
	}
	store := hls.NewMemory()
	track := media.Track{Name: "opus", Codec: media.CodecOpus, SampleRate: 48000, Channels: 1, Bitrate: 48000}
	vod, err := hls.WriteVOD(t.Context(), hls.VODConfig{Store: store, Prefix: "r", Track: track, SegmentDuration: 5 * time.Second}, sequence(frames))
	if err != nil {
		t.Fatal(err)
	}
	if vod.Segments != 3 || vod.Duration != length {
		t.Errorf("%+v", vod)
	}
	server := httptest.NewServer(hls.NewHandler(store))
	defer server.Close()
	pcm := decode(t, server.URL+"/r/index.m3u8")
	if _, similarity := mediatest.Align(mediatest.DecodeOpus(sent, 1), pcm); similarity < 0.8 {
		t.Errorf("FFmpeg hears something else: similarity %.3f", similarity)
	}
}
