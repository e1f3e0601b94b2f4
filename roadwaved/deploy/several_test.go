package deploy_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
)

// TestDaemonsDisagree: while a daemon does not know where a live is, listeners
// get it from the one that has it, and the one that does not know goes on with
// what it can do.
func TestDaemonsDisagree(t *testing.T) {
	t.Parallel()
	const lives = 12 // more requests than failures that would take a daemon away
	for _, status := range []int{http.StatusNotFound, http.StatusServiceUnavailable} {
		has := http.NewServeMux()
		for i := range lives {
			has.Handle(livePath(i), newLive(t, hls.Config{}, 50*time.Second))
		}
		has.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
		lacks := http.NewServeMux()
		lacks.HandleFunc("/live/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		lacks.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
		a, b, c := newOrigin(t, has), newOrigin(t, lacks), newOrigin(t, lacks)
		n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{b.address(), c.address(), a.address()}})
		for i := range lives {
			for _, name := range []string{"index.m3u8", "opus/media.m3u8", "opus/run1-20.mp4"} {
				if got := get(t, n.URL+livePath(i)+name); got.status != 200 {
					t.Errorf("%s, which two of three daemons answer with %d: %d", name, status, got.status)
				}
			}
		}
		if b.of("/live/"+liveID[:35]+"0/")+c.of("/live/"+liveID[:35]+"0/") == 0 {
			t.Error("nobody asked those who do not know")
		}
		b.forget()
		for range 12 {
			get(t, n.URL+"/v1/replays")
		}
		if len(b.forget()) < 3 {
			t.Errorf("a daemon that answers %d about a live is asked for nothing else any more", status)
		}
	}
}

// TestNobodyKnows: a live that all daemons say 503 of goes on as far as it is kept.
func TestNobodyKnows(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	paths := []string{livePrefix + "opus/media.m3u8", livePrefix + "index.m3u8", livePrefix + "opus/run1-20.mp4"}
	for _, path := range paths {
		get(t, n.URL+path)
	}
	o.broken.Store(http.StatusServiceUnavailable)
	for range 25 { // longer than a list of renditions is fresh
		for _, path := range paths {
			if a := get(t, n.URL+path); a.status != 200 || len(a.body) == 0 {
				t.Fatalf("%s: %d, %s", path, a.status, a.cache())
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	if a := get(t, n.URL+livePrefix+"opus/run1-19.mp4"); a.status != 503 || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("what was never there: %d %v", a.status, a.header)
	}
}
