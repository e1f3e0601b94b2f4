package objects

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
)

// listed matches what a media playlist names; a segment that is a gap is named
// to be skipped.
var listed = regexp.MustCompile(`(?m)(EXT-X-GAP\n(?:#.*\n)*)?^(?:#EXT-X-MAP:URI="(.+?)"|([^#\n].*))$`)

// A stage is a live whose origin is a bucket behind a proxy, and a look at that
// bucket from behind the proxy.
type stage struct {
	t      *testing.T
	live   *hls.Live
	proxy  *objectstest.Proxy
	behind *S3
	next   int64 // PTS
	bytes  int   // of a packet

	lists  atomic.Int64 // media playlists that were put
	failed atomic.Int64 // errors told
}

func newStage(t *testing.T, change func(*hls.Config)) *stage {
	t.Helper()
	store, proxy, server := proxied(t, Config{Attempts: 2, Stall: 2 * time.Second}, "")
	s := &stage{t: t, proxy: proxy, bytes: 120, behind: openBucket(t, server, objectstest.Address(store.at.bucket, server.Endpoint), Config{})}
	cfg := hls.Config{
		ID: "s", Store: store, Prefix: "live/1", SegmentDuration: time.Second, Window: 30 * time.Second,
		OnError: func(error) { s.failed.Add(1) },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.live, err = hls.NewLive(cfg); err != nil {
		t.Fatal(err)
	}
	proxy.Watch(func(r *http.Request, status int) {
		if _, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); r.Method == http.MethodPut && status == http.StatusOK && path.Base(key) == "media.m3u8" {
			s.lists.Add(1)
			s.check(key)
		}
	})
	t.Cleanup(func() {
		proxy.Watch(nil)
		proxy.Set(nil)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.live.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// check reads a playlist that has just been put: all it names must be there. It may
// run while the test ends.
func (s *stage) check(key string) {
	o, err := s.behind.Open(context.Background(), key)
	if err != nil {
		s.t.Errorf("the playlist cannot be read: %v", err)
		return
	}
	text, err := io.ReadAll(o)
	o.Close()
	if err != nil {
		s.t.Errorf("the playlist cannot be read: %v", err)
	}
	for _, m := range listed.FindAllStringSubmatch(string(text), -1) {
		name := m[2] + m[3]
		o, err := s.behind.Open(context.Background(), path.Join(path.Dir(key), name))
		if err == nil {
			o.Close()
		} else if m[1] == "" {
			s.t.Errorf("the playlist names %s, which is not there: %v\n%s", name, err, text)
		}
	}
}

// write writes sound.
func (s *stage) write(d time.Duration) {
	s.t.Helper()
	frame := make([]byte, s.bytes)
	for end := s.next + media.Samples(d); s.next < end; s.next += 960 {
		for i := range frame {
			frame[i] = byte(rand.Uint32())
		}
		frame[0] = 0xF8 // 20 ms, one frame
		p := media.Packet{PTS: s.next, Duration: 960, Data: append([]byte(nil), frame...)}
		if err := s.live.WritePacket(p); err != nil {
			s.t.Fatal(err)
		}
	}
}

// reaches waits until the playlist in the bucket lists a segment.
func (s *stage) reaches(number int64) (text string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		o, err := s.behind.Open(s.t.Context(), "live/1/opus/media.m3u8")
		if err != nil {
			continue
		}
		b, _ := io.ReadAll(o)
		o.Close()
		if text = string(b); strings.Contains(text, fmt.Sprintf("s-%d.mp4", number)) {
			return text
		}
	}
	s.t.Fatalf("segment %d is never listed:\n%s", number, text)
	return ""
}

// M16: whatever becomes of single requests, a playlist never names what is not
// in the bucket, and in the end it is whole and ended.
func TestLiveOnAStoreOfMoods(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	late, hang := s.proxy.Late(150*time.Millisecond), s.proxy.Late(700*time.Millisecond)
	s.proxy.Set(func(w http.ResponseWriter, r *http.Request) bool {
		switch dice := rand.IntN(20); {
		case dice < 6:
			return late(w, r)
		case dice < 7:
			return hang(w, r)
		case dice < 11:
			return objectstest.SlowDown(w, r)
		case dice < 14:
			return objectstest.Reset(w, r)
		}
		return false
	})
	for range 30 {
		s.write(time.Second)
		time.Sleep(150 * time.Millisecond)
	}
	s.proxy.Set(nil)
	if err := s.live.Close(); err != nil {
		t.Fatal(err)
	}
	if text := s.reaches(29); !strings.Contains(text, "#EXT-X-ENDLIST") {
		t.Errorf("the playlist has no end:\n%s", text)
	}
	if s.lists.Load() < 10 || s.failed.Load() == 0 {
		t.Errorf("%d playlists were put, %d errors told: the test proved little", s.lists.Load(), s.failed.Load())
	}
	for _, name := range []string{"opus.m3u8", "index.m3u8"} {
		if o, err := s.behind.Open(t.Context(), "live/1/"+name); err != nil {
			t.Error(err)
		} else {
			o.Close()
		}
	}
	if err := s.live.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	for info := range s.behind.List(t.Context(), "") {
		t.Errorf("%s is left", info.Key)
	}
}

// A store that hangs for five minutes of sound costs the live nothing but memory
// for one window, and catches up when it is back.
func TestLiveOnAStoreThatHangs(t *testing.T) {
	for name, fault := range map[string]func(*stage) objectstest.Fault{
		"Hang":  func(s *stage) objectstest.Fault { return s.proxy.Hang },
		"Reset": func(*stage) objectstest.Fault { return objectstest.Reset },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(c *hls.Config) { c.PutTimeout = 500 * time.Millisecond })
			s.bytes = 1000 // 15 MB in 300 s
			s.write(5 * time.Second)
			s.reaches(4)
			s.proxy.Set(fault(s))
			before := heap()
			for range 300 {
				s.write(time.Second)
				time.Sleep(5 * time.Millisecond)
			}
			grown := heap() - before
			waiting := s.live.Stats().Unstored
			t.Logf("after 300 s without the store: %d segments wait, %d KiB more heap, %d errors told", waiting, grown>>10, s.failed.Load())
			if waiting > 30 || grown > 8<<20 {
				t.Errorf("%d segments of 50 kB wait, the heap has grown by %d bytes", waiting, grown)
			}
			if s.failed.Load() == 0 {
				t.Error("nobody was told")
			}
			s.proxy.Set(nil)
			s.write(2 * time.Second)
			s.reaches(306)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
