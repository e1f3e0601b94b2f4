package deploy_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
)

const livePrefix = "/live/" + liveID + "/"

// newStation is a live of 50 s, a replay with an MP3 and a recording in a
// folder, an API that says what it was asked, and an NGINX in front.
func newStation(t *testing.T) (*origin, *deploy.Nginx) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(livePrefix, newLive(t, hls.Config{}, 50*time.Second))
	mux.Handle("/replay/", hls.NewHandler(newBucket(t)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Method, r.RequestURI, len(body))
	})
	o := newOrigin(t, mux)
	return o, deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
}

const mp3Size = 5<<20 + 12345

// newBucket is a store with a live, a replay and a recording.
func newBucket(t *testing.T) hls.Store {
	t.Helper()
	dir, err := hls.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	fill(t, dir)
	return dir
}

func fill(t *testing.T, store hls.Store) {
	t.Helper()
	for key, body := range map[string][]byte{
		"live/" + liveID + "/index.m3u8":      []byte("#EXTM3U\n" + strings.Repeat("# a list of renditions\n", 20)),
		"live/" + liveID + "/opus/media.m3u8": []byte("#EXTM3U\n" + strings.Repeat("# a playlist\n", 50)),
		"live/" + liveID + "/opus/run1-0.mp4": object(20000),
		"replay/r1/index.m3u8":                []byte("#EXTM3U\n" + strings.Repeat("# a replay\n", 50)),
		"replay/r1/mp3/7.ts":                  object(300000),
		"replay/r1/audio.mp3":                 object(mp3Size),
		"raw/" + liveID + ".opus":             []byte("secret"),
		"raw/" + liveID + ".mp3":              []byte("secret"),
		"raw/x.m3u8":                          []byte("secret"),
	} {
		if err := store.Put(t.Context(), key, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCaching asks for each kind of media twice.
func TestCaching(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	for _, tt := range []struct {
		path, contentType, keep string
		cache                   string // of the first and the second answer
		status                  int
	}{
		{livePrefix + "opus/media.m3u8", "application/vnd.apple.mpegurl", "max-age=1", "BYPASS HIT", 200},
		{livePrefix + "opus.m3u8", "application/vnd.apple.mpegurl", "max-age=10", "MISS HIT", 200},
		{livePrefix + "index.m3u8", "application/vnd.apple.mpegurl", "max-age=10", "MISS HIT", 200},
		{livePrefix + "opus/run1-init.mp4", "audio/mp4", "max-age=31536000, immutable", "MISS HIT", 200},
		{livePrefix + "opus/run1-20.mp4", "audio/mp4", "max-age=31536000, immutable", "MISS HIT", 200},
		{livePrefix + "opus/run1-99.mp4", "text/html; charset=utf-8", "max-age=1", "MISS HIT", 404},
		{"/replay/r1/index.m3u8", "application/vnd.apple.mpegurl", "max-age=10", "MISS HIT", 200},
		{"/replay/r1/mp3/7.ts", "video/mp2t", "max-age=31536000, immutable", "MISS HIT", 200},
		{"/replay/r1/audio.mp3", "audio/mpeg", "max-age=10", "MISS HIT", 200},
		{"/replay/r1/mp3/8.ts", "text/html; charset=utf-8", "max-age=1", "MISS HIT", 404},
	} {
		direct := get(t, o.URL+tt.path)
		o.forget()
		first := get(t, n.URL+tt.path, "Cookie", "a=b", "Authorization", "Bearer me", "Origin", "http://elsewhere.example")
		second := hit(t, n.URL+tt.path+"?anything=else", "Cookie", "c=d")
		if got := first.cache() + " " + second.cache(); got != tt.cache {
			t.Errorf("%s: X-Cache %s, want %s", tt.path, got, tt.cache)
		}
		for _, a := range []answer{first, second} {
			h := a.header
			if a.status != tt.status || h.Get("Content-Type") != tt.contentType || fmt.Sprint(h["Cache-Control"]) != "["+tt.keep+"]" || fmt.Sprint(h["Access-Control-Allow-Origin"]) != "[*]" {
				t.Errorf("%s: %d %v", tt.path, a.status, h)
			}
			if a.status == 200 && !bytes.Equal(a.body, direct.body) {
				t.Errorf("%s: %d bytes, the origin has %d", tt.path, len(a.body), len(direct.body))
			}
		}
		for _, r := range o.forget() {
			for _, private := range []string{"Cookie", "Authorization", "Origin", "User-Agent"} {
				if r.Header.Get(private) != "" {
					t.Errorf("%s: the origin was sent %s", tt.path, private)
				}
			}
			if r.URL.RawQuery != "" {
				t.Errorf("%s: the origin was sent the query %s", tt.path, r.URL.RawQuery)
			}
		}
	}
}

// TestOriginSetsCookie: an origin that would keep caches away does not succeed.
func TestOriginSetsCookie(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Set-Cookie", "session=1")
		h.Set("Cache-Control", "private, no-store")
		h.Set("Vary", "*")
		h.Set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")
		h.Set("X-Accel-Expires", "0")
		h.Set("Access-Control-Allow-Origin", "https://one.example")
		io.WriteString(w, "same for all")
	}))
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
	for _, want := range []string{"MISS", "HIT"} {
		a := get(t, n.URL+livePrefix+"opus/s-1.ts", "Accept-Language", want)
		if a.cache() != want || a.header.Get("Set-Cookie") != "" || a.header.Get("Vary") != "" || a.header.Get("Expires") != "" ||
			fmt.Sprint(a.header["Access-Control-Allow-Origin"]) != "[*]" {
			t.Errorf("want %s, got %v", want, a.header)
		}
	}
}

// TestMethods sends more than GET to media.
func TestMethods(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	for _, path := range []string{livePrefix + "opus/media.m3u8", livePrefix + "opus.m3u8", livePrefix + "opus/run1-20.mp4", "/replay/r1/index.m3u8", "/replay/r1/audio.mp3"} {
		o.forget()
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "PURGE"} {
			if a := ask(t, method, n.URL+path); a.status != 405 || a.header.Get("Allow") != "GET, HEAD, OPTIONS" || a.header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s %s: %d %v", method, path, a.status, a.header)
			}
		}
		preflight := ask(t, "OPTIONS", n.URL+path, "Origin", "https://a.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "range")
		if preflight.status != 204 || preflight.header.Get("Access-Control-Allow-Headers") != "Range, If-None-Match" || preflight.header.Get("Access-Control-Allow-Methods") == "" {
			t.Errorf("OPTIONS %s: %d %v", path, preflight.status, preflight.header)
		}
		if seen := o.forget(); len(seen) > 0 {
			t.Errorf("%s: the origin was sent %d of these requests", path, len(seen))
		}
		head, full := ask(t, "HEAD", n.URL+path), get(t, n.URL+path)
		if head.status != 200 || len(head.body) != 0 || full.status != 200 || len(full.body) == 0 || head.header.Get("Content-Type") != full.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
		}
		if !strings.HasSuffix(path, ".m3u8") && head.header.Get("Content-Length") != fmt.Sprint(len(full.body)) {
			t.Errorf("HEAD %s: Content-Length %s, the body has %d", path, head.header.Get("Content-Length"), len(full.body))
		}
		if again := get(t, n.URL+path, "If-None-Match", full.header.Get("ETag")); again.status != 304 || len(again.body) != 0 {
			t.Errorf("%s with its own ETag %q: %d", path, full.header.Get("ETag"), again.status)
		}
	}
}

// TestGzip asks for playlists with and without compression, whoever asks first.
func TestGzip(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	for _, path := range []string{livePrefix + "opus/media.m3u8", livePrefix + "opus.m3u8", "/replay/r1/index.m3u8"} {
		plain := get(t, o.URL+path).body
		for i, coding := range []string{"gzip", "", "gzip, deflate, br", "br", "identity", "gzip;q=0", "gzip"} {
			a := get(t, n.URL+path, "Accept-Encoding", coding)
			body, zipped := a.body, a.header.Get("Content-Encoding") == "gzip"
			if zipped {
				z, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(body, plain) || zipped != (strings.HasPrefix(coding, "gzip") && coding != "gzip;q=0") || fmt.Sprint(a.header["Vary"]) != "[Accept-Encoding]" {
				t.Errorf("%s, %d. with %q: %d bytes, %v", path, i, coding, len(body), a.header)
			}
		}
	}
}

// TestMissingIsForgotten: a segment that was asked for too early is found when
// it is there.
func TestMissingIsForgotten(t *testing.T) {
	t.Parallel()
	store := newBucket(t)
	o := newOrigin(t, hls.NewHandler(store))
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
	for _, path := range []string{"live/" + liveID + "/opus/run1-1.mp4", "live/" + liveID + "/other/media.m3u8", "replay/r2/index.m3u8"} {
		if a := get(t, n.URL+"/"+path); a.status != 404 {
			t.Fatalf("%s: %d", path, a.status)
		}
		if err := store.Put(t.Context(), path, strings.NewReader("here")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		eventually(t, path+" is found", func() bool { return get(t, n.URL+"/"+path).status == 200 })
		t.Logf("%s found after %v", path, time.Since(start).Round(time.Millisecond))
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// TestCollapse: many who ask for the same at once are one at a slow origin.
func TestCollapse(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	o.delay.Store(int64(300 * time.Millisecond))
	for path, most := range map[string]int{livePrefix + "opus/run1-20.mp4": 3, livePrefix + "opus.m3u8": 3, livePrefix + "opus/media.m3u8": 8, "/replay/r1/mp3/7.ts": 3, "/replay/r1/audio.mp3": 10} {
		o.forget()
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				if a := get(t, n.URL+path); a.status != 200 {
					t.Errorf("%s: %d", path, a.status)
				}
			})
		}
		wg.Wait()
		if seen := o.forget(); len(seen) > most {
			t.Errorf("%s: %d requests at the origin for 30 at once, want %d at most", path, len(seen), most)
		}
	}
}

// TestSlowOrigin: nobody but who looks for all waits for an origin that is slow.
func TestSlowOrigin(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	playlist := n.URL + livePrefix + "opus/media.m3u8"
	get(t, playlist)
	time.Sleep(2200 * time.Millisecond) // no longer fresh
	o.delay.Store(int64(3 * time.Second))
	o.forget()
	var wg sync.WaitGroup
	var mu sync.Mutex
	how := map[string]int{}
	for range 40 {
		wg.Go(func() {
			a := get(t, playlist)
			mu.Lock()
			defer mu.Unlock()
			how[a.cache()]++
			if a.status != 200 {
				t.Errorf("%d", a.status)
			}
		})
	}
	wg.Wait()
	if seen := o.forget(); len(seen) > 10 || how["UPDATING"] == 0 {
		t.Errorf("%d of 40 waited for the origin: %v", len(seen), how)
	}
}

// TestOriginAway: what was kept is served while nothing answers, and what comes
// back is seen at once.
func TestOriginAway(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	paths := []string{livePrefix + "opus/media.m3u8", livePrefix + "opus.m3u8", livePrefix + "opus/run1-20.mp4", "/replay/r1/mp3/7.ts", "/replay/r1/index.m3u8"}
	for _, path := range paths {
		get(t, n.URL+path)
	}
	o.broken.Store(http.StatusBadGateway)
	for range 7 { // longer than a playlist is fresh
		for _, path := range paths {
			if a := get(t, n.URL+path); a.status != 200 || len(a.body) == 0 {
				t.Errorf("%s while the origin is broken: %d, %s", path, a.status, a.cache())
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	if a := get(t, n.URL+livePrefix+"opus/run1-19.mp4"); a.status != 502 || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("what was never there: %d %v", a.status, a.header)
	}
	o.broken.Store(0)
	eventually(t, "the segment is found", func() bool { return get(t, n.URL+livePrefix+"opus/run1-19.mp4").status == 200 })

	o.Listener.Close() // and now nobody is there at all
	o.CloseClientConnections()
	if a := get(t, n.URL+paths[0]); a.status != 200 {
		t.Errorf("playlist without an origin: %d", a.status)
	}
	if a := get(t, n.URL+"/v1/lives"); a.status != 503 || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(a.body), "Le serveur ne répond pas") || !json.Valid(a.body) {
		t.Errorf("API without a daemon: %d %v %s", a.status, a.header, a.body)
	}
	if a := get(t, n.URL+"/studio"); a.status != 503 || !strings.Contains(a.header.Get("Content-Type"), "text/html; charset=utf-8") {
		t.Errorf("page without a daemon: %d %v %s", a.status, a.header, a.body)
	}
}

// TestRange jumps about in a replay.
func TestRange(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	whole := object(mp3Size)
	o.sent.Store(0)
	for _, tt := range []struct{ ask, want string }{
		{fmt.Sprintf("bytes=%d-%d", mp3Size-1000, mp3Size-1), fmt.Sprintf("bytes %d-%d/%d", mp3Size-1000, mp3Size-1, mp3Size)},
		{fmt.Sprintf("bytes=%d-", mp3Size-2000), fmt.Sprintf("bytes %d-%d/%d", mp3Size-2000, mp3Size-1, mp3Size)},
		{"bytes=0-1", fmt.Sprintf("bytes 0-1/%d", mp3Size)},
	} {
		a := get(t, n.URL+"/replay/r1/audio.mp3", "Range", tt.ask)
		var from, to int
		fmt.Sscanf(tt.want, "bytes %d-%d/", &from, &to)
		if a.status != 206 || a.header.Get("Content-Range") != tt.want || !bytes.Equal(a.body, whole[from:to+1]) {
			t.Errorf("%s: %d %v, %d bytes", tt.ask, a.status, a.header, len(a.body))
		}
	}
	if sent := o.sent.Load(); sent > 5<<20/2 {
		t.Errorf("the origin sent %d bytes for a few at both ends of %d", sent, mp3Size)
	}
	if a := get(t, n.URL+"/replay/r1/audio.mp3"); a.status != 200 || !bytes.Equal(a.body, whole) {
		t.Errorf("whole: %d, %d bytes", a.status, len(a.body))
	}
	if a := get(t, n.URL+"/replay/r1/audio.mp3", "Range", fmt.Sprintf("bytes=%d-", mp3Size)); a.status != 416 {
		t.Errorf("beyond the end: %d", a.status)
	}
	if a := get(t, n.URL+"/replay/r1/mp3/7.ts", "Range", "bytes=100-199"); a.status != 206 || !bytes.Equal(a.body, object(300000)[100:200]) {
		t.Errorf("range of a segment: %d, %d bytes", a.status, len(a.body))
	}
}

// TestProxied sends what is not media to the daemon, as it came.
func TestProxied(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	o.forget()
	for _, path := range []string{"/", "/studio", "/listen/x", "/v1/lives?q=a%20b&x=%2F", "/whip?title=%C3%A9", "/whip/" + liveID} {
		if a := ask(t, "POST", n.URL+path, "Cookie", "a=b", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "evil.example", "Forwarded", "for=6.6.6.6"); string(a.body) != "POST "+path+" 0" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	host := strings.TrimPrefix(n.URL, "http://")
	for _, r := range o.forget() {
		h := r.Header
		if r.Host != host || h.Get("X-Forwarded-Host") != host || fmt.Sprint(h["X-Forwarded-For"]) != "[127.0.0.1]" || h.Get("X-Forwarded-Proto") != "http" || h.Get("Forwarded") != "" || h.Get("Cookie") != "a=b" {
			t.Errorf("%s: Host %s, %v", r.URL, r.Host, h)
		}
	}
	big, err := http.NewRequestWithContext(t.Context(), "POST", n.URL+"/whip", bytes.NewReader(make([]byte, 200<<10)))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := read(client.Do(big)); err == nil && a.status != 413 {
		t.Errorf("200 kB: %d", a.status)
	}
}

// TestEvents: server-sent events come as they are sent.
func TestEvents(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	o := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			io.WriteString(w, "event: counters\ndata: {}\n\n")
			http.NewResponseController(w).Flush()
			select {
			case <-goOn:
			case <-r.Context().Done():
				return
			}
		}
	}))
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
	for _, path := range []string{"/v1/lives/" + liveID + "/events", "/whip/" + liveID + "/events"} {
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		r, err := http.NewRequestWithContext(ctx, "GET", n.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(response.Body)
		for range 3 {
			for range 3 {
				if _, err := lines.ReadString('\n'); err != nil {
					t.Fatalf("%s: %v: events are held back", path, err)
				}
			}
			goOn <- struct{}{}
		}
		response.Body.Close()
		stop()
	}
}

// TestLimits: one stranger cannot have everything, thousands behind one address can listen.
func TestLimits(t *testing.T) {
	t.Parallel()
	_, n := newStation(t)
	status := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 30 {
				a := ask(t, "POST", n.URL+"/whip")
				mu.Lock()
				status[a.status]++
				if a.status == 429 && (!json.Valid(a.body) || a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "application/problem+json") {
					t.Errorf("429 with %v %s", a.header, a.body)
				}
				mu.Unlock()
				if a := get(t, n.URL+livePrefix+"opus/run1-20.mp4"); a.status != 200 {
					t.Errorf("media: %d", a.status)
				}
			}
		})
	}
	wg.Wait()
	if status[429] < 50 || status[200] < 100 {
		t.Errorf("300 WHIP requests at once: %v", status)
	}
}

// TestLog reads what is logged, and the figures for this machine.
func TestLog(t *testing.T) {
	t.Parallel()
	_, n := newStation(t)
	get(t, n.URL+livePrefix+"opus.m3u8?position=48.85,2.35", "User-Agent", `a"b`)
	var log []byte
	eventually(t, "there is a line in the log", func() bool {
		log, _ = os.ReadFile(n.AccessLog)
		return bytes.HasSuffix(log, []byte("\n"))
	})
	var line struct {
		Client, Method, URI, Cache, Agent string
		Status                            int
		Bytes                             int64
		Origin_seconds                    string
	}
	if err := json.Unmarshal(log, &line); err != nil {
		t.Fatalf("%v: %s", err, log)
	}
	if line.Client != "127.0.0.1" || line.Method != "GET" || line.URI != livePrefix+"opus.m3u8" || line.Cache != "MISS" || line.Status != 200 || line.Bytes == 0 || line.Origin_seconds == "" || line.Agent != `a"b` {
		t.Errorf("%+v", line)
	}
	if a := get(t, n.StatusURL); a.status != 200 || !strings.HasPrefix(string(a.body), "Active connections") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, body := knock(t, n, "/nginx_status"); strings.Contains(body, "Active") {
		t.Error("the figures are public")
	}
}

// TestEarly: who comes before the first segment waits for it, and not each at
// the origin.
func TestEarly(t *testing.T) {
	t.Parallel()
	live := newLive(t, hls.Config{}, 0)
	o := newOrigin(t, live)
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a := get(t, n.URL+livePrefix+"opus/media.m3u8"); a.status != 200 || !strings.Contains(string(a.body), "run1-0.mp4") {
				t.Errorf("%d, %s", a.status, a.body)
			}
		})
	}
	eventually(t, "somebody waits at the origin", func() bool { return o.requests.Load() > 0 })
	for p := range packets(t) {
		if p.PTS > 480000 {
			break
		}
		if err := live.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if reached := o.requests.Load(); reached > 5 {
		t.Errorf("%d of 20 waited at the origin", reached)
	}
}

// TestStartNginxRefuses: what cannot work is no NGINX.
func TestStartNginxRefuses(t *testing.T) {
	folder, daemons := t.TempDir(), []string{"127.0.0.1:1"}
	for name, c := range map[string]deploy.NginxConfig{
		"no daemon":     {Folder: folder},
		"odd daemon":    {Folder: folder, Daemons: []string{"127.0.0.1"}},
		"no folder":     {Daemons: daemons},
		"odd folder":    {Folder: "/tmp/a b;", Daemons: daemons},
		"odd bucket":    {Folder: folder, Daemons: daemons, Bucket: "http://a/b; include /etc/passwd"},
		"strange store": {Folder: folder, Daemons: daemons, Bucket: "s3://bucket"},
		"no program":    {Folder: folder, Daemons: daemons, Program: "/nowhere/nginx"},
	} {
		if n, err := deploy.StartNginx(t.Context(), c); err == nil {
			t.Errorf("%s: started", name)
			n.Stop()
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
