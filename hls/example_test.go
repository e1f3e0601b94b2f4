package hls_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

// creator stands for somebody who speaks for d.
func creator(d time.Duration) media.Source {
	voice := mediatest.Speech(mediatest.Voice{}, -20, d)
	return mediatest.Packets(mediatest.EncodeOpus(voice, opus.EncoderConfig{Bitrate: 48000})...)
}

// A live is a sink for packets and a handler for listeners.
func ExampleLive() {
	live, err := hls.NewLive(hls.Config{
		ID:        "demo",
		StartedAt: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer live.Remove(context.Background())
	if err := media.Copy(live, creator(5*time.Second)); err != nil { // closes the live
		log.Fatal(err)
	}

	// A program says http.Handle("/live/", live).
	w := httptest.NewRecorder()
	live.ServeHTTP(w, httptest.NewRequest("GET", "/live/opus/media.m3u8", nil))
	fmt.Print(w.Body)
	// Output:
	// #EXTM3U
	// #EXT-X-VERSION:9
	// #EXT-X-INDEPENDENT-SEGMENTS
	// #EXT-X-TARGETDURATION:2
	// #EXT-X-SERVER-CONTROL:HOLD-BACK=6.0
	// #EXT-X-MEDIA-SEQUENCE:0
	// #EXT-X-MAP:URI="demo-init.mp4"
	// #EXT-X-PROGRAM-DATE-TIME:2026-01-02T12:00:00.000Z
	// #EXTINF:2.000000,
	// demo-0.mp4
	// #EXTINF:2.000000,
	// demo-1.mp4
	// #EXTINF:1.000000,
	// demo-2.mp4
	// #EXT-X-ENDLIST
}

// The ladder, which plays everywhere, comes from media/aac and media/transcode.
func ExampleConfig_ladder() {
	rungs := aac.Ladder()
	live, err := hls.NewLive(hls.Config{
		Rungs:         transcode.Tracks(rungs),
		NewTranscoder: func() (hls.Transcoder, error) { return transcode.New(transcode.Config{Rungs: rungs}) },
		CloseTimeout:  time.Minute, // for the ladder to come after: this creator speaks faster than real time
	})
	if err != nil {
		log.Fatal(err)
	}
	defer live.Remove(context.Background())

	live.Wake() // as the first request for the ladder does
	if err := media.Copy(live, creator(20*time.Second)); err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	live.ServeHTTP(w, httptest.NewRequest("GET", "/live/aac48/media.m3u8", nil))
	fmt.Println(w.Code, strings.Count(w.Body.String(), ".ts"), "segments")
	// Output:
	// 200 10 segments
}

// A finished recording becomes a VOD. Its frames come from wherever they were
// encoded; these are silence, as MP3 of 256 kbit/s.
func ExampleWriteVOD() {
	silence := append([]byte{0xff, 0xfb, 0xd4, 0xc0}, make([]byte, 764)...)
	frames := func(yield func(media.Frame, error) bool) {
		for pts := int64(0); pts < media.Samples(25*time.Second); pts += 1152 {
			if !yield(media.Frame{PTS: pts, Duration: 1152, Data: silence}, nil) {
				return
			}
		}
	}
	store := hls.NewMemory()
	vod, err := hls.WriteVOD(context.Background(), hls.VODConfig{
		Store:  store,
		Prefix: "replay/42",
		Track:  media.Track{Name: "mp3", Codec: media.CodecMP3, SampleRate: 48000, Channels: 2, Bitrate: 256000},
	}, frames)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vod.Index, vod.Segments, "segments", vod.Duration.Round(time.Second))

	handler := http.StripPrefix("/media/", hls.NewHandler(store))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/media/replay/42/mp3/vod.m3u8", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output:
	// replay/42/index.m3u8 3 segments 25s
	// 200 application/vnd.apple.mpegurl
}

// A Dir is a Store in a directory. What a live leaves there is served after it,
// by any process, until Remove.
func ExampleNewDir() {
	folder, err := os.MkdirTemp("", "hls")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	dir, err := hls.NewDir(folder)
	if err != nil {
		log.Fatal(err)
	}
	defer dir.Close()

	live, err := hls.NewLive(hls.Config{Store: dir, ID: "demo", CloseTimeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	if err := media.Copy(live, creator(5*time.Second)); err != nil {
		log.Fatal(err)
	}
	handler := hls.NewHandler(dir)
	for info, err := range dir.List(context.Background(), "live/demo/") {
		if err != nil {
			log.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/"+info.Key, nil))
		fmt.Println(w.Code, info.Key)
	}
	// Unordered output:
	// 200 live/demo/index.m3u8
	// 200 live/demo/opus.m3u8
	// 200 live/demo/opus/demo-0.mp4
	// 200 live/demo/opus/demo-1.mp4
	// 200 live/demo/opus/demo-2.mp4
	// 200 live/demo/opus/demo-init.mp4
	// 200 live/demo/opus/media.m3u8
}
