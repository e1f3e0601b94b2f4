package hls

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
)

// liveWith returns a live of that many seconds, not ended.
func liveWith(t *testing.T, seconds int, config Config) *Live {
	t.Helper()
	config.ID = "t"
	config.StartedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLive(t, config)
	writeAll(t, l, packets(0, seconds*50))
	return l
}

func TestHandlerHeaders(t *testing.T) {
	l := liveWith(t, 6, Config{})
	for _, test := range []struct{ path, contentType, cache string }{
		{"/index.m3u8", "application/vnd.apple.mpegurl", "max-age=10"},
		{"/live/7/opus.m3u8", "application/vnd.apple.mpegurl", "max-age=10"},
		{"/live/7/opus/media.m3u8", "application/vnd.apple.mpegurl", "max-age=1"},
		{"/live/7/opus/t-init.mp4", "audio/mp4", "max-age=31536000, immutable"},
		{"/a/b/c/opus/t-2.mp4", "audio/mp4", "max-age=31536000, immutable"},
	} {
		w := get(t, l, test.path)
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Type") != test.contentType || h.Get("Cache-Control") != test.cache {
			t.Errorf("GET %s: %d, %q, %q", test.path, w.Code, h.Get("Content-Type"), h.Get("Cache-Control"))
		}
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Accept-Ranges") != "bytes" || h.Get("Set-Cookie") != "" {
			t.Errorf("GET %s: header %v", test.path, h)
		}
		if got := h.Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
			t.Errorf("GET %s: Content-Length %s for %d bytes", test.path, got, w.Body.Len())
		}
		head := do(t, l, http.MethodHead, test.path)
		if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != h.Get("Content-Length") {
			t.Errorf("HEAD %s: %d, %d bytes, length %s", test.path, head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
		}
		same := get(t, l, test.path, "If-None-Match", h.Get("Etag"))
		if same.Code != http.StatusNotModified || same.Body.Len() != 0 || same.Header().Get("Etag") != h.Get("Etag") {
			t.Errorf("GET %s with its ETag %s: %d", test.path, h.Get("Etag"), same.Code)
		}
		if other := get(t, l, test.path, "If-None-Match", `"other"`); other.Code != http.StatusOK || other.Body.Len() != w.Body.Len() {
			t.Errorf("GET %s with another ETag: %d, %d bytes", test.path, other.Code, other.Body.Len())
		}
		part := get(t, l, test.path, "Range", "bytes=10-19")
		if part.Code != http.StatusPartialContent || !bytes.Equal(part.Body.Bytes(), w.Body.Bytes()[10:20]) {
			t.Errorf("GET %s, bytes 10-19: %d %q", test.path, part.Code, part.Body)
		}
		if beyond := get(t, l, test.path, "Range", "bytes=99999999-"); beyond.Code != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("GET %s beyond its end: %d", test.path, beyond.Code)
		}
	}
}

func TestHandlerGzip(t *testing.T) {
	l := liveWith(t, 40, Config{})
	for _, path := range []string{"/index.m3u8", "/opus/media.m3u8"} {
		plain := get(t, l, path)
		w := get(t, l, path, "Accept-Encoding", "br, gzip;q=0.8")
		if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Vary") != "Accept-Encoding" || plain.Header().Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%s: header %v", path, w.Header())
		}
		if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
			t.Errorf("%s: Content-Length %s for %d bytes", path, got, w.Body.Len())
		}
		if w.Header().Get("Etag") == plain.Header().Get("Etag") {
			t.Errorf("%s: both encodings have one ETag", path)
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if unzipped, err := io.ReadAll(z); err != nil || !bytes.Equal(unzipped, plain.Body.Bytes()) {
			t.Errorf("%s: unzipped it differs: %v", path, err)
		}
		same := get(t, l, path, "Accept-Encoding", "gzip", "If-None-Match", w.Header().Get("Etag"))
		if same.Code != http.StatusNotModified {
			t.Errorf("%s zipped, with its ETag: %d", path, same.Code)
		}
	}
	if w := get(t, l, "/opus/t-1.mp4", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("a segment is compressed")
	}
}

func TestAcceptsGzip(t *testing.T) {
	for field, want := range map[string]bool{
		"gzip": true, "GZIP": true, "br,gzip": true, " gzip ; q=1": true, "gzip;q=0.5": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "x-gzipped": false, ",,": false, "*": false,
	} {
		if got := acceptsGzip([]string{field}); got != want {
			t.Errorf("acceptsGzip(%q) = %v", field, got)
		}
	}
}

func TestHandlerRefusals(t *testing.T) {
	l := liveWith(t, 6, Config{})
	for _, path := range []string{
		"/", "", "/opus", "/opus/", "/opus/t-3.mp4", "/opus/t-99.mp4", "/opus/t--1.mp4", "/opus/t-01.mp4", "/opus/t-1.ts",
		"/opus/u-1.mp4", "/opus/t-9999999999999999999999.mp4", "/aac48/media.m3u8", "/opus/../opus/x", "/opus/t-+1.mp4", "/opus/t-.mp4",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		l.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || w.Header().Get("Cache-Control") != "max-age=1" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("GET %q: %d, %v", path, w.Code, w.Header())
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, "BREW"} {
		if w := do(t, l, method, "/index.m3u8"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	if w := do(t, l, http.MethodOptions, "/index.m3u8"); w.Code != http.StatusNoContent || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Range") {
		t.Errorf("OPTIONS: %d, %v", w.Code, w.Header())
	}
}

func TestHandlerAfterTheEnd(t *testing.T) {
	l := liveWith(t, 5, Config{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := l.WritePacket(packets(0, 1)[0]); !errors.Is(err, ErrClosed) {
		t.Errorf("WritePacket after Close: %v", err)
	}
	if m := mediaList(t, l, "/opus/media.m3u8"); !m.Endlist || m.Segments[2].Duration != time.Second {
		t.Errorf("the ended playlist: ended %v, %d segments", m.Endlist, len(m.Segments))
	}
	if err := l.Remove(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/index.m3u8", "/opus.m3u8", "/opus/media.m3u8", "/opus/t-0.mp4"} {
		if w := get(t, l, path); w.Code != http.StatusGone {
			t.Errorf("GET %s of a removed live: %d", path, w.Code)
		}
	}
}

func TestHandlerOfAnEmptyLive(t *testing.T) {
	l := newLive(t, Config{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if w := get(t, l, "/index.m3u8"); w.Code != http.StatusNotFound {
		t.Errorf("a live that never began: %d", w.Code)
	}
}

func TestStoreHandler(t *testing.T) {
	store := NewMemory()
	for _, key := range []string{"replay/1/index.m3u8", "replay/1/mp3/0.ts", "replay/1/audio.mp3", "replay/1/notes.txt", "raw/1.opus", "live/2/opus/media.m3u8"} {
		if err := store.Put(t.Context(), key, strings.NewReader("0123456789"+key)); err != nil {
			t.Fatal(err)
		}
	}
	h := http.StripPrefix("/media/", NewHandler(store))
	for path, cache := range map[string]string{
		"/media/replay/1/index.m3u8":    cacheMultivariant,
		"/media/replay/1/mp3/0.ts":      cacheSegment,
		"/media/replay/1/audio.mp3":     cacheMultivariant,
		"/media/live/2/opus/media.m3u8": cachePlaylist,
	} {
		w := get(t, h, path)
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != cache || w.Header().Get("Content-Type") != ContentType(path) {
			t.Errorf("GET %s: %d %v", path, w.Code, w.Header())
		}
		if part := get(t, h, path, "Range", "bytes=2-4"); part.Code != http.StatusPartialContent || part.Body.String() != "234" {
			t.Errorf("GET %s, bytes 2-4: %d %q", path, part.Code, part.Body)
		}
		if same := get(t, h, path, "If-None-Match", w.Header().Get("Etag")); same.Code != http.StatusNotModified {
			t.Errorf("GET %s with its ETag: %d", path, same.Code)
		}
		if head := do(t, h, http.MethodHead, path); head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
			t.Errorf("HEAD %s: %d %v", path, head.Code, head.Header())
		}
	}
	zipped := get(t, h, "/media/replay/1/index.m3u8", "Accept-Encoding", "gzip")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Header().Get("Content-Length") != fmt.Sprint(zipped.Body.Len()) {
		t.Errorf("a stored playlist, gzip accepted: %v", zipped.Header())
	}
	for _, path := range []string{"replay/1/notes.txt", "raw/1.opus", "replay/2/index.m3u8", "../secret.ts", "replay/../../x.mp3", "", "replay/1", "//replay/1/audio.mp3", "a\x00.ts"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		NewHandler(store).ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || w.Header().Get("Cache-Control") != cacheMissing {
			t.Errorf("GET %q: %d %v", path, w.Code, w.Header())
		}
	}
	if w := do(t, h, http.MethodPost, "/media/replay/1/index.m3u8"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	broken := NewHandler(&flakyStore{Store: store, fail: func(string) error { return errors.New("no route") }})
	if w := get(t, broken, "/replay/1/audio.mp3"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("a store that fails: %d %v", w.Code, w.Header())
	}
}

// quiet is a ResponseWriter that keeps nothing.
type quiet struct{ header http.Header }

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q *quiet) WriteHeader(int)             {}

func benchmarkHandler(b *testing.B, h http.Handler) {
	request := httptest.NewRequest(http.MethodGet, "/live/7/opus/t-3.mp4", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&quiet{make(http.Header, 8)}, request)
	}
}

// BenchmarkHandler is one segment asked of a live, without the network.
func BenchmarkHandler(b *testing.B) {
	l, err := NewLive(Config{ID: "t"})
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range packets(0, 500) {
		if err := l.WritePacket(p); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("live", func(b *testing.B) { benchmarkHandler(b, l) })
	body := l.opus.snap.Load().find(3).body
	b.Run("floor", func(b *testing.B) {
		benchmarkHandler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "audio/mp4")
			w.Header().Set("Content-Length", "12000")
			w.Header().Set("Cache-Control", cacheSegment)
			_, _ = w.Write(body)
		}))
	})
}

// BenchmarkListeners is a listener's two requests over loopback, kept alive:
// the playlist, then a segment. The floor is a plain handler over ready bytes.
// The client does next to nothing, so that the server is what is measured.
func BenchmarkListeners(b *testing.B) {
	l, err := NewLive(Config{ID: "t"})
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range packets(0, 2000) {
		if err := l.WritePacket(p); err != nil {
			b.Fatal(err)
		}
	}
	playlist, segment := l.opus.snap.Load().playlist.zipped, l.opus.snap.Load().find(15).body
	floor := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := segment
		w.Header().Set("Content-Type", "audio/mp4")
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			body = playlist
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
			w.Header().Set("Content-Encoding", "gzip")
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	for _, bench := range []struct {
		name    string
		handler http.Handler
	}{{"floor", floor}, {"live", l}} {
		b.Run(bench.name, func(b *testing.B) {
			server := httptest.NewServer(bench.handler)
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			reader := bufio.NewReaderSize(conn, 64<<10)
			sizes := map[string]int{}
			for b.Loop() {
				for _, path := range []string{"/opus/media.m3u8", "/opus/t-15.mp4"} {
					ask(b, conn, reader, path, sizes)
				}
			}
		})
	}
}

// ask sends one request and reads the answer, which has the same size each time.
func ask(b *testing.B, conn net.Conn, reader *bufio.Reader, path string, sizes map[string]int) {
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	if n := sizes[path]; n > 0 {
		if _, err := reader.Discard(n); err != nil {
			b.Fatal(err)
		}
		return
	}
	size := 0
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		size += len(line)
		if value, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			size += n
			defer reader.Discard(n)
		}
		if line == "\r\n" {
			break
		}
	}
	sizes[path] = size
}

var _ media.Sink = (*Live)(nil)

// FuzzPath asks for any path: the answer is media or a refusal, never a panic,
// and never what the path does not name.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/index.m3u8", "/opus/t-1.mp4", "//opus//t-0.mp4", "/opus/t-1.mp4/", "opus/../opus/media.m3u8", "/opus/t-\x00.mp4"} {
		f.Add(path)
	}
	store := NewMemory()
	l, err := NewLive(Config{ID: "t", Store: store, Prefix: "live/7"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Remove(context.Background()) })
	for _, p := range packets(0, 400) {
		if err := l.WritePacket(p); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		for _, h := range []http.Handler{l, NewHandler(store)} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			_, name := lastElements(path)
			if w.Code == http.StatusOK && ContentType(name) != w.Header().Get("Content-Type") {
				t.Errorf("%q is answered with %s", path, w.Header().Get("Content-Type"))
			}
			if w.Code != http.StatusOK && w.Code != http.StatusNotFound {
				t.Errorf("%q is answered with %d", path, w.Code)
			}
		}
	})
}

// TestManyListeners asks for everything from many goroutines while the live is
// written, its ladder comes and goes, and it ends: for the race detector.
func TestManyListeners(t *testing.T) {
	fake := &fakeLadder{}
	l := newLive(t, Config{ID: "t", Store: NewMemory(), NewTranscoder: fake.new, Rungs: rungs()})
	writeAll(t, l, packets(0, 500))
	done := make(chan struct{})
	var listeners sync.WaitGroup
	for i := range 16 {
		listeners.Go(func() {
			paths := []string{"/index.m3u8", "/opus.m3u8", "/opus/media.m3u8", "/aac48/media.m3u8", "/aac32/media.m3u8"}
			for n := i; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				path := paths[n%len(paths)]
				if n%3 == 0 {
					path = fmt.Sprintf("/aac48/t-%d.ts", n%60)
				}
				w := httptest.NewRecorder()
				l.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				switch w.Code {
				case http.StatusOK, http.StatusNotFound, http.StatusServiceUnavailable, http.StatusGone:
				default:
					t.Errorf("GET %s: %d", path, w.Code)
				}
				_ = l.Stats()
			}
		})
	}
	for i := range int64(20) {
		writeAll(t, l, packets(480000+i*96000, 100))
		if i%7 == 3 {
			l.PauseLadder()
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Remove(context.Background()); err != nil {
		t.Error(err)
	}
	close(done)
	listeners.Wait()
}
