package objects

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/hls/hlstest"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buckets numbers them, for a server that tests share.
var buckets atomic.Int64

func bucketName() string { return fmt.Sprintf("bucket-%d", buckets.Add(1)) }

func newBucket(t testing.TB, server *objectstest.Server) string {
	t.Helper()
	return server.Bucket(t, bucketName())
}

// openBucket opens a bucket of a server, through a proxy if there is one.
func openBucket(t testing.TB, server *objectstest.Server, address string, cfg Config) *S3 {
	t.Helper()
	cfg.AccessKey, cfg.SecretKey = server.AccessKey, server.SecretKey
	s, err := Open(t.Context(), address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// proxied is a store behind a proxy.
func proxied(t testing.TB, cfg Config, options string) (*S3, *objectstest.Proxy, *objectstest.Server) {
	t.Helper()
	server := objectstest.Start(t)
	proxy := objectstest.NewProxy(t, server)
	name := bucketName() // parallel tests take theirs meanwhile
	server.Bucket(t, name)
	return openBucket(t, server, objectstest.Address(name, proxy.Endpoint)+options, cfg), proxy, server
}

func put(t testing.TB, s *S3, key, body string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

// TestStore is the suite that every store passes, on a real server.
func TestStore(t *testing.T) {
	server := objectstest.Start(t)
	hlstest.TestStore(t, func(t *testing.T) hls.Store {
		return openBucket(t, server, newBucket(t, server), Config{})
	})
}

// TestStoreWithPrefix shares a bucket with others.
func TestStoreWithPrefix(t *testing.T) {
	server := objectstest.Start(t)
	hlstest.TestStore(t, func(t *testing.T) hls.Store {
		address := newBucket(t, server)
		other := openBucket(t, server, address, Config{})
		put(t, other, "house/a.ts", "theirs")
		put(t, other, "a.ts", "theirs")
		return openBucket(t, server, strings.Replace(address, "?", "/house/two?", 1), Config{})
	})
}

// M3: NGINX before a bucket must find what the daemon would have said.
func TestObjectsSayHowTheyAreServed(t *testing.T) {
	store, proxy, _ := proxied(t, Config{}, "&acl=public-read")
	type said struct{ contentType, cacheControl, acl string }
	got := make(map[string]said)
	proxy.Watch(func(r *http.Request, _ int) {
		if r.Method == http.MethodPut || r.URL.Query().Has("uploads") {
			_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			got[key] = said{r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"), r.Header.Get("X-Amz-Acl")}
		}
	})
	const forever = "max-age=31536000, immutable"
	want := map[string]said{
		"live/1/opus/media.m3u8": {"application/vnd.apple.mpegurl", "max-age=1", "public-read"},
		"live/1/index.m3u8":      {"application/vnd.apple.mpegurl", "max-age=10", "public-read"},
		"live/1/aac48/s-0.ts":    {"video/mp2t", forever, "public-read"},
		"live/1/opus/s-0.mp4":    {"audio/mp4", forever, "public-read"},
		"replay/1/audio.mp3":     {"audio/mpeg", "max-age=10", "public-read"},
		"replay/1/0.ts":          {"video/mp2t", forever, "public-read"},
		"raw/1.opus":             {"audio/ogg", "", ""},
		"raw/live/1.ts":          {"video/mp2t", "", ""},
		"backup/1.opus":          {"audio/ogg", "", ""},
	}
	for key := range want {
		put(t, store, key, key)
	}
	for key, w := range want {
		if got[key] != w {
			t.Errorf("%s was put as %+v, want %+v", key, got[key], w)
		}
	}
}

func TestPing(t *testing.T) {
	server := objectstest.Start(t)
	address := newBucket(t, server)
	ping := func(address, access, secret string) error {
		t.Helper()
		s, err := Open(t.Context(), address, Config{AccessKey: access, SecretKey: secret})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.Ping(t.Context())
	}
	if err := ping(address, server.AccessKey, server.SecretKey); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, address, access, secret, want string }{
		{"bucket", strings.Replace(address, "bucket", "other", 1), server.AccessKey, server.SecretKey, "there is no bucket of that name"},
		{"access key", address, "nobody", server.SecretKey, "the store refuses"},
		{"secret key", address, server.AccessKey, "not-the-secret", "secret key does not fit"},
		{"region", strings.Replace(address, "us-east-1", "gra", 1), server.AccessKey, server.SecretKey, "region is wrong"},
		{"endpoint", objectstest.Address("bucket", "http://127.0.0.1:1"), server.AccessKey, server.SecretKey, "connection refused"},
	} {
		err := ping(test.address, test.access, test.secret)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("wrong %s: Ping = %v, want one that says %q", test.name, err, test.want)
		}
		if err != nil && (strings.Contains(err.Error(), server.SecretKey) || strings.Contains(err.Error(), "not-the-secret")) {
			t.Errorf("wrong %s: the error tells the secret: %v", test.name, err)
		}
	}
}

func TestAbortIncomplete(t *testing.T) {
	server := objectstest.Start(t)
	store := openBucket(t, server, newBucket(t, server), Config{})
	put(t, store, "replay/1/audio.mp3", "whole")
	foreign := []string{"backup/1.tar", "rawer/1.opus", "fm/raw/1.opus"}
	for _, name := range append(foreign, "raw/1.opus", "replay/2/audio.mp3", "live/3/opus/1.mp4") {
		id, err := store.client.NewMultipartUpload(t.Context(), store.at.bucket, name, store.putOptions(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.sendPart(t.Context(), name, id, 1, make([]byte, 5<<20)); err != nil {
			t.Fatal(err)
		}
	}
	count := func(before time.Time, dryRun bool, wantN int, wantBytes int64) {
		t.Helper()
		n, bytes, err := store.AbortIncomplete(t.Context(), before, dryRun)
		if n != wantN || bytes != wantBytes || err != nil {
			t.Errorf("AbortIncomplete = %d, %d, %v, want %d, %d", n, bytes, err, wantN, wantBytes)
		}
	}
	count(time.Now().Add(-time.Hour), false, 0, 0)
	count(time.Now().Add(time.Hour), true, 3, 15<<20)
	count(time.Now().Add(time.Hour), false, 3, 15<<20)
	count(time.Now().Add(time.Hour), false, 0, 0)
	page, err := store.client.ListMultipartUploads(t.Context(), store.at.bucket, "", "", "", "", pageOfUploads)
	if err != nil || len(page.Uploads) != len(foreign) {
		t.Errorf("of %d uploads of others %d are left, %v", len(foreign), len(page.Uploads), err)
	}
	store.at.prefix = "fm"
	count(time.Now().Add(time.Hour), false, 1, 5<<20)
	store.at.prefix = ""
	if o, err := store.Open(t.Context(), "replay/1/audio.mp3"); err != nil {
		t.Errorf("a whole object is gone: %v", err)
	} else {
		o.Close()
	}
}
