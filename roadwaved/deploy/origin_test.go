package deploy_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const liveID = "0b7c1a52-3f0e-4d53-9a55-8a8f2f1f7d10"

// An origin is an HTTP server that remembers what it was asked.
type origin struct {
	*httptest.Server
	requests, sent atomic.Int64
	delay          atomic.Int64 // nanoseconds before every answer
	broken         atomic.Int64 // the status of every answer, unless 0

	mu    sync.Mutex
	seen  []*http.Request
	paths map[string]int64 // requests by folder: the first two elements
}

func newOrigin(t testing.TB, h http.Handler) *origin {
	t.Helper()
	o := &origin{paths: map[string]int64{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.requests.Add(1)
		o.mu.Lock()
		if len(o.seen) < 1000 {
			o.seen = append(o.seen, r)
		}
		if e := strings.SplitAfterN(r.URL.Path, "/", 4); len(e) == 4 {
			o.paths[strings.Join(e[:3], "")]++
		}
		o.mu.Unlock()
		time.Sleep(time.Duration(o.delay.Load()))
		if status := o.broken.Load(); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		h.ServeHTTP(&countingWriter{ResponseWriter: w, n: &o.sent}, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) address() string { return o.Listener.Addr().String() }

// of is how many requests were for what is in a folder like /live/7/.
func (o *origin) of(folder string) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.paths[folder]
}

// forget gives what was seen since the last time.
func (o *origin) forget() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen
	o.seen = nil
	return seen
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// newLive is a live that has been on air for as long as d, on a fast clock.
func newLive(t testing.TB, config hls.Config, d time.Duration) *hls.Live {
	t.Helper()
	config.ID = "run1"
	live, err := hls.NewLive(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := live.Remove(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	for p := range packets(t) {
		if p.PTS >= media.Samples(d) {
			break
		}
		if err := live.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	return live
}

// packets is speech without end.
func packets(t testing.TB) func(yield func(media.Packet) bool) {
	t.Helper()
	some := speech()
	return func(yield func(media.Packet) bool) {
		for pts := int64(0); ; {
			for _, p := range some {
				p.PTS = pts
				pts += int64(p.Duration)
				if !yield(p) {
					return
				}
			}
		}
	}
}

var speech = sync.OnceValue(func() []media.Packet {
	return mediatest.EncodeOpus(mediatest.Speech(mediatest.Voice{}, -20, 4*time.Second), opus.EncoderConfig{Channels: 1, Bitrate: 48000})
})

// An answer is one that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) cache() string { return a.header.Get("X-Cache") }

// client sends what it is told to and nothing else: no Accept-Encoding, no
// redirects followed.
var client = &http.Client{
	Timeout:       20 * time.Second,
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true, MaxIdleConnsPerHost: 100},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func ask(t testing.TB, method, url string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	a, err := read(client.Do(r))
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func get(t testing.TB, url string, header ...string) answer {
	t.Helper()
	return ask(t, http.MethodGet, url, header...)
}

// hit asks until the answer comes from the cache: on a machine that is busy with
// other things what was fresh may be so no longer.
func hit(t testing.TB, url string, header ...string) answer {
	t.Helper()
	for range 20 {
		if a := get(t, url, header...); a.cache() == "HIT" {
			return a
		}
	}
	return get(t, url, header...)
}

func read(response *http.Response, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, body}, err
}

// object is a body of n bytes that differ from place to place.
func object(n int) []byte {
	b := bytes.NewBuffer(make([]byte, 0, n))
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strings.Repeat(string(rune('a'+i%26)), i%50))
	}
	return b.Bytes()[:n]
}
