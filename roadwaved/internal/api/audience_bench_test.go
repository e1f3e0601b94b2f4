package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

// A quiet writer, so that a benchmark counts the handler alone.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header            { return n.header }
func (nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (nowhere) WriteHeader(int)                  {}
func (nowhere) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkListening is what a daemon with ten thousand listeners gets: one
// heartbeat of each every 10 s, and a join of each when they come.
func BenchmarkListening(b *testing.B) {
	c := newCatalog()
	a, err := api.New(api.Config{Lives: c, Replays: c, Audience: deaf{}, TrustedProxies: prefixes("127.0.0.0/8"), Limits: api.Limits{Joins: -1, Beats: -1}})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	beat := func() *http.Request {
		r := httptest.NewRequest("PUT", livePath+"/listeners/"+strings.Repeat("t", 120), nil)
		r.RemoteAddr = "127.0.0.1:1234"
		r.Header.Set("X-Forwarded-For", "198.51.100.7")
		return r
	}
	b.Run("heartbeat", func(b *testing.B) {
		r := beat()
		b.ReportAllocs()
		for b.Loop() {
			a.ServeHTTP(nowhere{http.Header{}}, r)
		}
	})
	b.Run("join", func(b *testing.B) {
		r := beat()
		r.Header.Set("Content-Type", "application/json")
		r.Method, r.URL.Path, r.ContentLength = "POST", livePath+"/listeners", 80
		b.ReportAllocs()
		for b.Loop() {
			r.Body = io.NopCloser(strings.NewReader(`{"user_id":"marie","position":{"lat":44.93,"lon":4.89}}`))
			a.ServeHTTP(nowhere{http.Header{}}, r)
		}
	})
	b.Run("heartbeat over HTTP", func(b *testing.B) {
		s := httptest.NewServer(a)
		defer s.Close()
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		defer client.CloseIdleConnections()
		target := s.URL + livePath + "/listeners/" + strings.Repeat("t", 120)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r, _ := http.NewRequestWithContext(b.Context(), "PUT", target, nil)
				res, err := client.Do(r)
				if err != nil {
					b.Error(err)
					return
				}
				_ = res.Body.Close()
			}
		})
	})
}
