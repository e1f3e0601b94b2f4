package hls_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
)

// listen lets gohlslib's client play a URL to its end, and gives the Opus
// packets and the number of AAC frames it got. goOn is called when it has begun:
// the client takes a segment that is not there yet for an error.
func listen(t *testing.T, url string, goOn func()) (packets [][]byte, aacFrames int) {
	t.Helper()
	var mu sync.Mutex
	var begun sync.Once
	client := &gohlslib.Client{
		URI:                       url,
		StartDistance:             2,
		MaxDistance:               1000,
		OnDownloadPrimaryPlaylist: func(string) {},
		OnDownloadStreamPlaylist:  func(string) {},
		OnDownloadSegment:         func(string) { begun.Do(goOn) },
		OnDecodeError:             func(err error) { t.Errorf("the client cannot decode: %v", err) },
	}
	client.OnTracks = func(tracks []*gohlslib.Track) error {
		for _, track := range tracks {
			switch codec := track.Codec.(type) {
			case *codecs.Opus:
				client.OnDataOpus(track, func(_ int64, data [][]byte) {
					mu.Lock()
					defer mu.Unlock()
					for _, p := range data {
						packets = append(packets, bytes.Clone(p))
					}
				})
			case *codecs.MPEG4Audio:
				if codec.Config.SampleRate != 48000 || codec.Config.ChannelConfig != 1 {
					t.Errorf("the client sees %+v", codec.Config)
				}
				client.OnDataMPEG4Audio(track, func(_ int64, aus [][]byte) {
					mu.Lock()
					defer mu.Unlock()
					aacFrames += len(aus)
				})
			default:
				t.Errorf("the client sees %T", codec)
			}
		}
		return nil
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	done := make(chan error, 1)
	go func() { done <- client.Wait2() }()
	select {
	case err := <-done:
		if !errors.Is(err, gohlslib.ErrClientEOS) {
			t.Errorf("the client ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the client does not come to the end")
	}
	mu.Lock()
	defer mu.Unlock()
	return packets, aacFrames
}

// TestGohlslibFollowsALive: an independent client follows a live from its start
// to its end, and gets every packet as it was sent. It knows CODECS="opus" and
// not "Opus", which Apple asks for, so it is given the rendition itself. It paces
// itself by the clock of the media: the live is short.
func TestGohlslibFollowsALive(t *testing.T) {
	t.Parallel()
	sent := speech(4500 * time.Millisecond)
	live, url := serveLive(t, hls.Config{})
	write(t, live, sent[:200]) // two segments
	packets, _ := listen(t, url+"/opus/media.m3u8", func() {
		write(t, live, sent[200:])
		if err := live.Close(); err != nil {
			t.Error(err)
		}
	})
	if len(packets) != len(sent) {
		t.Fatalf("%d packets, want %d", len(packets), len(sent))
	}
	for i, p := range packets {
		if !bytes.Equal(p, sent[i].Data) {
			t.Fatalf("packet %d is not what was sent", i)
		}
	}
}

func TestGohlslibPlaysTheLadder(t *testing.T) {
	t.Parallel()
	const length = 4500 * time.Millisecond
	live, url := serveLive(t, aacLadder(hls.Config{Ladder: hls.Always}))
	play(t, live, speech(length))
	_, frames := listen(t, url+"/index.m3u8", func() {})
	if least := int(media.Samples(length) / 1024); frames < least || frames > least+2 {
		t.Errorf("%d AAC frames, want %d", frames, least)
	}
}

func serveLive(t *testing.T, config hls.Config) (live *hls.Live, url string) {
	t.Helper()
	live, err := hls.NewLive(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(live)
	t.Cleanup(func() {
		server.Close()
		if err := live.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return live, server.URL
}

func write(t *testing.T, live *hls.Live, packets []media.Packet) {
	t.Helper()
	for _, p := range packets {
		if err := live.WritePacket(p); err != nil {
			t.Error(err)
		}
	}
}

func play(t *testing.T, live *hls.Live, packets []media.Packet) {
	t.Helper()
	write(t, live, packets)
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLiveConforms(t *testing.T) {
	for name, config := range map[string]hls.Config{
		"memory": {},
		"store":  {Store: hls.NewMemory()},
		"ladder": aacLadder(hls.Config{Ladder: hls.Always}),
	} {
		t.Run(name, func(t *testing.T) {
			mediatest.TestSink(t, func(t *testing.T) media.Sink {
				live, err := hls.NewLive(config)
				if err != nil {
					t.Fatal(err)
				}
				return live
			})
		})
	}
}
