package objects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// times lets a fault happen to the first n requests.
func times(n int64, f objectstest.Fault) objectstest.Fault {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		return count.Add(1) <= n && f(w, r)
	}
}

func read(t testing.TB, s *S3, key string) string {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	b, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRetries(t *testing.T) {
	t.Parallel()
	store, proxy, _ := proxied(t, Config{}, "")
	for name, fault := range map[string]objectstest.Fault{"SlowDown": objectstest.SlowDown, "Reset": objectstest.Reset} {
		t.Run(name, func(t *testing.T) {
			proxy.Set(times(2, fault))
			put(t, store, "a.ts", name)
			proxy.Set(times(2, fault))
			if got := read(t, store, "a.ts"); got != name {
				t.Errorf("read %q", got)
			}
			proxy.Set(times(2, fault))
			for info, err := range store.List(t.Context(), "") {
				if err != nil || info.Key != "a.ts" {
					t.Errorf("List gives %+v, %v", info, err)
				}
			}
			proxy.Set(times(2, fault))
			if err := store.Delete(t.Context(), "a.ts"); err != nil {
				t.Error(err)
			}
			proxy.Set(times(2, fault))
			if _, err := store.Open(t.Context(), "a.ts"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open = %v", err)
			}
		})
	}
}

// What lasts is told as a service that is away, after as many attempts as were
// asked for, and never with the secret.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	store, proxy, server := proxied(t, Config{Attempts: 3, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, "")
	for name, fault := range map[string]objectstest.Fault{"SlowDown": objectstest.SlowDown, "Reset": objectstest.Reset} {
		var requests atomic.Int64
		proxy.Set(func(w http.ResponseWriter, r *http.Request) bool {
			requests.Add(1)
			return fault(w, r)
		})
		err := store.Put(t.Context(), "a.ts", strings.NewReader("x"))
		if !errors.Is(err, station.ErrAway) || strings.Contains(err.Error(), server.SecretKey) {
			t.Errorf("%s: Put = %v", name, err)
		}
		// net/http itself tries once more on a connection that was idle.
		if n := requests.Load(); n < 3 || n > 6 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
	proxy.Set(nil)
	server.Stop()
	if _, err := store.Open(t.Context(), "a.ts"); !errors.Is(err, station.ErrAway) {
		t.Errorf("Open = %v without a server", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	put(t, store, "a.ts", "again")
	if strings.Contains(log.String(), server.SecretKey) || log.Len() == 0 {
		t.Errorf("the log is empty or tells the secret:\n%s", log.String())
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	store, proxy, _ := proxied(t, Config{Attempts: 2, Stall: 3 * time.Second}, "")
	put(t, store, "a.ts", "x")
	proxy.Set(proxy.Hang)
	t.Run("Stall", func(t *testing.T) {
		if err := store.Put(t.Context(), "a.ts", strings.NewReader("x")); !errors.Is(err, station.ErrAway) {
			t.Errorf("Put = %v", err)
		}
	})
	t.Run("Deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := store.Put(ctx, "a.ts", strings.NewReader("x"))
		if !errors.Is(err, station.ErrAway) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put = %v", err)
		}
	})
	t.Run("Cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		err := store.Put(ctx, "big.mp3", &zeros{size: 20 << 20})
		if errors.Is(err, station.ErrAway) || !errors.Is(err, context.Canceled) {
			t.Errorf("Put = %v", err)
		}
	})
	t.Run("Trickle", func(t *testing.T) {
		proxy.Set(proxy.Trickle)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if _, err := store.Open(ctx, "a.ts"); !errors.Is(err, station.ErrAway) {
			t.Errorf("Open = %v", err)
		}
	})
	proxy.Set(nil)
	put(t, store, "a.ts", "y")
}

// breaking breaks the connection after some bytes of the body.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return b.ResponseWriter.Write(p)
}

func TestReadGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	store, proxy, _ := proxied(t, Config{}, "")
	body := make([]byte, 20<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	if err := store.Put(t.Context(), "raw/1.opus", bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	proxy.Set(func(w http.ResponseWriter, r *http.Request) bool {
		if requests.Add(1) > 3 {
			return false
		}
		proxy.Forward(&breaking{w, 5 << 20}, r)
		return true
	})
	if got := read(t, store, "raw/1.opus"); sha256.Sum256([]byte(got)) != sha256.Sum256(body) {
		t.Errorf("%d bytes came, not those that were stored", len(got))
	}
	if n := requests.Load(); n != 4 {
		t.Errorf("it took %d requests", n)
	}
}

// A web server asks for the size by a seek to the end and back.
func TestServedInOneRequest(t *testing.T) {
	t.Parallel()
	store, proxy, _ := proxied(t, Config{}, "")
	body := strings.Repeat("0123456789", 300_000)
	put(t, store, "replay/1/audio.mp3", body)
	for header, want := range map[string]int64{"": 1, "bytes=2000000-2000009": 2} {
		var requests atomic.Int64
		proxy.Watch(func(*http.Request, int) { requests.Add(1) })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/replay/1/audio.mp3", nil)
		r.Header.Set("Range", header)
		w := httptest.NewRecorder()
		hls.NewHandler(store).ServeHTTP(w, r)
		if got := w.Body.String(); header == "" && got != body || header != "" && got != body[:10] {
			t.Errorf("%q: %d, %d bytes", header, w.Code, len(got))
		}
		if n := requests.Load(); n != want {
			t.Errorf("%q took %d requests", header, n)
		}
	}
}

func TestOverwrittenWhileRead(t *testing.T) {
	server := objectstest.Start(t)
	store := openBucket(t, server, newBucket(t, server), Config{})
	old, other := strings.Repeat("a", 4<<20), strings.Repeat("b", 4<<20)
	put(t, store, "k.mp3", old)
	o, err := store.Open(t.Context(), "k.mp3")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	put(t, store, "k.mp3", other)
	if _, err := o.Seek(1<<20, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(o); !errors.Is(err, errChanged) {
		t.Errorf("%d bytes and %v came of an object that was overwritten", len(b), err)
	}
	if err := store.Delete(t.Context(), "k.mp3"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v came of an object that was deleted", err)
	}
}

// The parts of an upload that fails do not stay.
func TestFailedUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	store, proxy, _ := proxied(t, Config{Attempts: 2}, "")
	left := func(when string) {
		t.Helper()
		if n, bytes, err := store.AbortIncomplete(t.Context(), time.Now().Add(time.Hour), true); n != 0 || err != nil {
			t.Errorf("after %s %d uploads with %d bytes are left, %v", when, n, bytes, err)
		}
	}
	proxy.Set(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Query().Get("partNumber") == "2" && objectstest.SlowDown(w, r)
	})
	if err := store.Put(t.Context(), "raw/1.opus", &zeros{size: 30 << 20}); !errors.Is(err, station.ErrAway) {
		t.Errorf("Put = %v", err)
	}
	left("a part that failed")
	proxy.Set(nil)
	if err := store.Put(t.Context(), "raw/1.opus", &zeros{size: 30 << 20, failAt: 20 << 20}); !errors.Is(err, errZeros) {
		t.Errorf("Put = %v", err)
	}
	left("a body that failed")
	proxy.Set(times(1, func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Query().Has("partNumber") && objectstest.Reset(w, r)
	}))
	if err := store.Put(t.Context(), "raw/1.opus", &zeros{size: 30 << 20}); err != nil {
		t.Error(err)
	}
	left("a success")
}

// A cancelled upload may leave a part that the server was still reading; the daily
// cleaning finds it.
func TestCancelledUpload(t *testing.T) {
	t.Parallel()
	store, proxy, _ := proxied(t, Config{}, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	proxy.Set(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == "3" {
			cancel()
		}
		return false
	})
	if err := store.Put(ctx, "raw/1.opus", &zeros{size: 30 << 20}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v", err)
	}
	proxy.Set(nil)
	for range 100 {
		n, _, err := store.AbortIncomplete(t.Context(), time.Now().Add(time.Hour), false)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("what is left cannot be deleted")
}

var errZeros = errors.New("no more zeros")

// zeros is a body that takes no memory.
type zeros struct{ size, at, failAt int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.at == z.size {
		return 0, io.EOF
	}
	if z.failAt > 0 && z.at >= z.failAt {
		return 0, errZeros
	}
	n := min(int64(len(p)), z.size-z.at)
	clear(p[:n])
	z.at += n
	return int(n), nil
}

func (z *zeros) Seek(offset int64, whence int) (int64, error) {
	z.at = offset
	if whence == io.SeekEnd {
		z.at += z.size
	}
	return z.at, nil
}

// Large objects take a bounded amount of memory, however many there are.
func TestMemoryOfLargeObjects(t *testing.T) {
	server := objectstest.Start(t)
	store := openBucket(t, server, newBucket(t, server), Config{})
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	var most uint64
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse-min(now.HeapInuse, before.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	began := time.Now()
	var puts sync.WaitGroup
	for i, size := range []int64{300 << 20, 40 << 20, 40 << 20} {
		puts.Go(func() {
			if err := store.Put(t.Context(), []string{"a.mp3", "b.mp3", "c.mp3"}[i], &zeros{size: size}); err != nil {
				t.Error(err)
			}
		})
	}
	puts.Wait()
	close(done)
	watching.Wait()
	t.Logf("380 MiB in %v with at most %d MiB of heap", time.Since(began).Round(time.Millisecond), most>>20)
	if most > 64<<20 {
		t.Errorf("%d MiB of heap", most>>20)
	}
	o, err := store.Open(t.Context(), "a.mp3")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Info().Size != 300<<20 {
		t.Errorf("it has %d bytes", o.Info().Size)
	}
}
