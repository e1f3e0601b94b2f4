package deploy_test

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
	"github.com/roadwave/roadwave/roadwaved/internal/objects"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
)

// A careless bucket lets everybody read everything, recordings too, and cleans
// paths as a web server would; of what is not there it says 403, as buckets do.
func carelessBucket(store hls.Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("x-amz-request-id", "1")
		h.Set("Set-Cookie", "bucket=1")
		key, ok := strings.CutPrefix(r.URL.Path, "/radio/fm/")
		body, err := fs.ReadFile(files{store, r}, key)
		if !ok || err != nil {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<Error><Code>AccessDenied</Code><BucketName>radio</BucketName></Error>")
			return
		}
		h.Set("Content-Type", hls.ContentType(key))
		h.Set("ETag", fmt.Sprintf("%q", fmt.Sprint(len(body))))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(body)))
	})
}

// files makes a store an fs.ReadFileFS.
type files struct {
	hls.Store
	r *http.Request
}

func (f files) Open(string) (fs.File, error) { return nil, fs.ErrInvalid }

func (f files) ReadFile(key string) ([]byte, error) {
	o, err := f.Store.Open(f.r.Context(), key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(o)
}

func newBucketFront(t *testing.T) (bucket, daemon *origin, n *deploy.Nginx) {
	t.Helper()
	bucket = newOrigin(t, carelessBucket(newBucket(t)))
	daemon = newOrigin(t, http.NotFoundHandler())
	return bucket, daemon, deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{daemon.address()}, Bucket: bucket.URL + "/radio/fm"})
}

// odd are paths that try to get out of what is public, and what they may give.
var odd = []string{
	"/raw/" + liveID + ".opus", "/raw/" + liveID + ".mp3", "/raw/x.m3u8", "//raw/x.m3u8", "/live/../raw/x.m3u8", "/live/%2e%2e/raw/x.m3u8",
	"/live/..%2fraw/x.m3u8", "/live/%2e%2e%2fraw%2fx.m3u8", "/live/..;/raw/x.m3u8", "/live/x/..;/..;/raw/x.m3u8", "/live/x/%252e%252e/raw/x.m3u8",
	"/live/x/../../raw/x.m3u8", "/live/./../raw/x.m3u8", "/live/..\\raw\\x.m3u8", "/live/..%5craw%5cx.m3u8", "/live/%00/../raw/x.m3u8",
	"/live/a/b/run1-0.mp4%00.opus", "/live/" + liveID + "/opus/run1-0.mp4%0a", "/live/" + liveID + "/opus/run1-0.mp4%0d%0aX:%20y", "/live/a b/c/d.ts",
	"/live/" + liveID + "/opus/run1-0.mp4;x", "/live/" + liveID + "/opus/run1-0.mp4%3fx", "/live/" + liveID + "/opus/run1-0.mp4%23x", "/live/" + liveID + "/.hidden/a.ts",
	"/live/" + liveID + "/opus/run1-0.mp4/", "/live/" + liveID + "/opus/", "/live/", "/live", "/replay", "/replay/r1/", "/replay/r1/audio.opus", "/replay/r1/.mp3",
	"/live/é/opus/a.ts", "/live/%ff/opus/a.ts", "/live/" + strings.Repeat("a", 65) + "/opus/a.ts", "/LIVE/x/opus/a.ts", "/?/live/../raw/x.m3u8",
	"/replay/../raw/" + liveID + ".mp3", "/replay/r1/../../raw/" + liveID + ".mp3", "/replay/raw/x.m3u8", "/live/raw/x/media.m3u8",
}

// knock sends a path as it is, which no client of the library would.
func knock(t *testing.T, n *deploy.Nginx, path string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(n.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: radio.example\r\nConnection: close\r\n\r\n", path)
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return response.StatusCode, string(b)
}

// TestOddPaths: whatever the bucket would give away, only media come through.
func TestOddPaths(t *testing.T) {
	t.Parallel()
	bucket, daemon, n := newBucketFront(t)
	if a := get(t, bucket.URL+"/radio/fm/raw/x.m3u8"); string(a.body) != "secret" {
		t.Fatalf("the bucket is not careless: %d", a.status)
	}
	bucket.forget()
	for _, path := range odd {
		status, body := knock(t, n, path)
		if strings.Contains(body, "secret") || status < 400 {
			t.Errorf("%s: %d %.100q", path, status, body)
		}
	}
	for _, r := range bucket.forget() {
		if !strings.HasPrefix(r.RequestURI, "/radio/fm/live/") && !strings.HasPrefix(r.RequestURI, "/radio/fm/replay/") || strings.ContainsAny(r.RequestURI, "%;?\\") || strings.Contains(r.RequestURI, "..") {
			t.Errorf("the bucket was asked for %q", r.RequestURI)
		}
	}
	for _, r := range daemon.forget() {
		t.Logf("to the daemon: %s", r.RequestURI)
	}
	// What means the same is the same.
	for _, path := range []string{"//live/" + liveID + "/index.m3u8", "/live/x/../" + liveID + "/index.m3u8", "/live%2f" + liveID + "/%69ndex.m3u8", "/live/" + liveID + "/index.m3u8?raw/"} {
		if status, _ := knock(t, n, path); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if seen := bucket.forget(); len(seen) != 1 || seen[0].RequestURI != "/radio/fm/live/"+liveID+"/index.m3u8" {
		t.Errorf("the bucket was asked %d times for one playlist under four names", len(seen))
	}
}

// TestBucket reads media from a bucket, and all else from the daemon.
func TestBucket(t *testing.T) {
	t.Parallel()
	bucket, daemon, n := newBucketFront(t)
	testBucket(t, n)
	for _, path := range []string{"/", "/v1/lives", "/whip/1"} {
		get(t, n.URL+path)
	}
	if seen := daemon.forget(); len(seen) != 3 {
		t.Errorf("the daemon was asked %d times, want 3", len(seen))
	}
	for _, r := range bucket.forget() {
		if r.Host != bucket.address() || r.Header.Get("Cookie") != "" {
			t.Errorf("%s: Host %s, %v", r.URL, r.Host, r.Header)
		}
	}
}

func testBucket(t *testing.T, n *deploy.Nginx) {
	t.Helper()
	for _, tt := range []struct {
		path, cache, keep string
		status, size      int
	}{
		{livePrefix + "index.m3u8", "MISS HIT", "max-age=10", 200, 468},
		{livePrefix + "opus/media.m3u8", "BYPASS HIT", "max-age=1", 200, 658},
		{livePrefix + "opus/run1-0.mp4", "MISS HIT", "max-age=31536000, immutable", 200, 20000},
		{"/replay/r1/index.m3u8", "MISS HIT", "max-age=10", 200, 558},
		{"/replay/r1/mp3/7.ts", "MISS HIT", "max-age=31536000, immutable", 200, 300000},
		{"/replay/r1/audio.mp3", "MISS HIT", "max-age=10", 200, mp3Size},
		{livePrefix + "opus/run1-1.mp4", "MISS HIT", "max-age=1", 404, 0},
		{"/replay/none/index.m3u8", "MISS HIT", "max-age=1", 404, 0},
	} {
		first, second := get(t, n.URL+tt.path, "Cookie", "a=b"), hit(t, n.URL+tt.path)
		if got := first.cache() + " " + second.cache(); got != tt.cache {
			t.Errorf("%s: X-Cache %s, want %s", tt.path, got, tt.cache)
		}
		for _, a := range []answer{first, second} {
			h := a.header
			if a.status != tt.status || fmt.Sprint(h["Cache-Control"]) != "["+tt.keep+"]" || fmt.Sprint(h["Access-Control-Allow-Origin"]) != "[*]" || h.Get("Set-Cookie") != "" || h.Get("x-amz-request-id") != "" {
				t.Errorf("%s: %d %v", tt.path, a.status, h)
			}
			if tt.status == 200 && len(a.body) != tt.size || strings.Contains(string(a.body), "<Error>") {
				t.Errorf("%s: %d bytes, want %d: %.200q", tt.path, len(a.body), tt.size, a.body)
			}
		}
	}
	if zipped := get(t, n.URL+livePrefix+"opus/media.m3u8", "Accept-Encoding", "gzip"); zipped.header.Get("Content-Encoding") != "gzip" || len(zipped.body) > 200 {
		t.Errorf("a playlist for who takes gzip: %d bytes, %v", len(zipped.body), zipped.header)
	}
	part := get(t, n.URL+"/replay/r1/audio.mp3", "Range", "bytes=3000000-3000099")
	if part.status != 206 || string(part.body) != string(object(mp3Size)[3000000:3000100]) {
		t.Errorf("range: %d, %d bytes", part.status, len(part.body))
	}
}

// policy lets everybody read what listeners may, and nothing else.
const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],
	"Resource":["arn:aws:s3:::radio/fm/live/*","arn:aws:s3:::radio/fm/replay/*"]}]}`

// TestS3 has a real S3 server behind it, with what the daemon's own store wrote.
func TestS3(t *testing.T) {
	t.Parallel()
	server := objectstest.Start(t)
	server.Bucket(t, "radio")
	store, err := objects.Open(t.Context(), strings.Replace(objectstest.Address("radio", server.Endpoint), "?", "/fm?", 1),
		objects.Config{AccessKey: server.AccessKey, SecretKey: server.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	fill(t, store)
	client, err := minio.New(strings.TrimPrefix(server.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""), Region: "us-east-1",
		Transport: &http.Transport{DisableKeepAlives: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SetBucketPolicy(t.Context(), "radio", policy); err != nil {
		t.Fatal(err)
	}
	if a := get(t, server.Endpoint+"/radio/fm/raw/x.m3u8"); a.status != 403 {
		t.Errorf("the bucket gives its recordings to anybody: %d", a.status)
	}
	daemon := newOrigin(t, http.NotFoundHandler())
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{daemon.address()}, Bucket: server.Endpoint + "/radio/fm"})
	testBucket(t, n)
	for _, path := range odd {
		if status, body := knock(t, n, path); strings.Contains(body, "secret") || status < 400 {
			t.Errorf("%s: %d %.100q", path, status, body)
		}
	}
}
