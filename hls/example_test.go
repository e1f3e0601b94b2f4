package hls_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
)

// A live is a sink for packets and a handler for listeners.
func ExampleLive() {
	live, err := hls.NewLive(hls.Config{
		ID:        "demo",
		StartedAt: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		panic(err)
	}
	defer live.Remove(context.Background())

	// Five seconds of packets; a program uses media.Copy(live, source).
	silence := []byte{0xf8, 0xff, 0xfe}
	for pts := int64(0); pts < media.Samples(5*time.Second); pts += 960 {
		if err := live.WritePacket(media.Packet{PTS: pts, Duration: 960, Data: silence}); err != nil {
			panic(err)
		}
	}
	if err := live.Close(); err != nil {
		panic(err)
	}

	http.Handle("/live/", live)
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

// The ladder is made by a Transcoder, on demand; media/transcode and media/aac
// make one.
func ExampleConfig_ladder() {
	live, err := hls.NewLive(aacLadder(hls.Config{ID: "demo", Ladder: hls.OnDemand}))
	if err != nil {
		panic(err)
	}
	defer live.Remove(context.Background())
	silence := []byte{0xf8, 0xff, 0xfe}
	for pts := int64(0); pts < media.Samples(20*time.Second); pts += 960 {
		if err := live.WritePacket(media.Packet{PTS: pts, Duration: 960, Data: silence}); err != nil {
			panic(err)
		}
	}

	// The first listener, or Wake, starts it in the past.
	live.Wake()
	if err := live.Close(); err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	live.ServeHTTP(w, httptest.NewRequest("GET", "/live/aac48/media.m3u8", nil))
	fmt.Println(w.Code, strings.Count(w.Body.String(), ".ts"), "segments")
	// Output:
	// 200 10 segments
}

// WriteVOD packages a finished recording.
func ExampleWriteVOD() {
	store := hls.NewMemory()
	var frames iter.Seq2[media.Frame, error] = mp3Of(25 * time.Second)
	vod, err := hls.WriteVOD(context.Background(), hls.VODConfig{
		Store:  store,
		Prefix: "replay/42",
		Track:  media.Track{Name: "mp3", Codec: media.CodecMP3, SampleRate: 48000, Channels: 2, Bitrate: 256000},
	}, frames)
	if err != nil {
		panic(err)
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

// A Dir is a Store in a directory.
func ExampleNewDir() {
	dir, err := hls.NewDir("roadwave-data/objects")
	if err != nil {
		panic(err)
	}
	defer dir.Close()
	live, err := hls.NewLive(hls.Config{Store: dir})
	if err != nil {
		panic(err)
	}
	defer live.Close()
	http.Handle("/live/", live)                                              // while it runs
	http.Handle("/media/", http.StripPrefix("/media/", hls.NewHandler(dir))) // what is kept
}
