package api_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

// A deadlined writer notes how much time it gets.
type deadlined struct {
	http.ResponseWriter
	deadlines []time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.deadlines = append(d.deadlines, t)
	return nil
}

func (d *deadlined) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// Every answer has a deadline, and a long one gets more time as it goes.
func TestSlowReaders(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	path := filepath.Join(t.TempDir(), "audio.mp3")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, func(c *api.Config) {
		c.Media = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "mp3") {
				http.ServeFile(w, r, path)
				return
			}
			_, _ = w.Write(body[:1000])
		})
	})
	get := func(target string) *deadlined {
		d := &deadlined{ResponseWriter: httptest.NewRecorder()}
		a.ServeHTTP(d, httptest.NewRequest("GET", target, nil))
		return d
	}
	if d := get("/v1/lives"); len(d.deadlines) != 1 || time.Until(d.deadlines[0]) > time.Minute {
		t.Errorf("a short answer: %v", d.deadlines)
	}
	if d := get("/live/x/s.ts"); len(d.deadlines) != 2 {
		t.Errorf("a segment: %v", d.deadlines)
	}
	d := get("/v1/lives/" + endedID + "/events")
	if len(d.deadlines) != 3 || time.Until(d.deadlines[2]) > 11*time.Second {
		t.Errorf("a stream of one event: %v", d.deadlines)
	}
	d = get("/replay/x/audio.mp3")
	if got := d.ResponseWriter.(*httptest.ResponseRecorder).Body.Bytes(); !bytes.Equal(got, body) {
		t.Fatalf("%d bytes of %d came through", len(got), len(body))
	}
	if len(d.deadlines) < 4 {
		t.Errorf("a megabyte in %d pieces", len(d.deadlines))
	}
	for _, at := range d.deadlines {
		if left := time.Until(at); left < 20*time.Second || left > 5*time.Minute {
			t.Errorf("%v for a piece", left)
		}
	}
}

// Files, ranges of them and other readers come through real sockets whole.
func TestFilesComeThrough(t *testing.T) {
	body := make([]byte, 1<<20+12345)
	if _, err := rand.Read(body); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.bin")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	url := serve(t, newAPI(t, func(c *api.Config) {
		c.Media = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/stream") {
				_, _ = io.Copy(w, struct{ io.Reader }{bytes.NewReader(body)})
				return
			}
			http.ServeFile(w, r, path)
		})
	}))
	for _, tt := range []struct {
		path, bytes string
		want        []byte
	}{
		{"/replay/x/file", "", body},
		{"/replay/x/file", "bytes=1000-700000", body[1000:700001]},
		{"/replay/x/file", "bytes=-5", body[len(body)-5:]},
		{"/replay/x/stream", "", body},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url+tt.path, nil)
		if tt.bytes != "" {
			r.Header.Set("Range", tt.bytes)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("%s %s: %d bytes of %d, %v", tt.path, tt.bytes, len(got), len(tt.want), err)
		}
	}
}

// BenchmarkFile sends a replay through a socket.
func BenchmarkFile(b *testing.B) {
	body := make([]byte, 8<<20)
	path := filepath.Join(b.TempDir(), "a.mp3")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		b.Fatal(err)
	}
	file := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	c := newCatalog()
	a, err := api.New(api.Config{Lives: c, Replays: c, Media: file})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	for name, h := range map[string]http.Handler{"patient": a, "bare": file} {
		b.Run(name, func(b *testing.B) {
			s := httptest.NewServer(h)
			defer s.Close()
			address := s.Listener.Addr().String()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.WriteString(conn, "GET /replay/x/a.mp3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				if n, err := io.Copy(io.Discard, conn); err != nil || n < int64(len(body)) {
					b.Fatal(n, err)
				}
				_ = conn.Close()
			}
		})
	}
}
