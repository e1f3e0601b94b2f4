package hls

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// flakyStore is a Memory that can fail or block.
type flakyStore struct {
	Store
	mu   sync.Mutex
	fail func(key string) error // may sleep
	puts []string
}

func (s *flakyStore) step(key string) error {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(key)
}

func (s *flakyStore) set(fail func(key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *flakyStore) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := s.step(key); err != nil {
		return err
	}
	s.mu.Lock()
	s.puts = append(s.puts, key)
	s.mu.Unlock()
	return s.Store.Put(ctx, key, body)
}

func (s *flakyStore) Open(ctx context.Context, key string) (Object, error) {
	if err := s.step(key); err != nil {
		return nil, err
	}
	return s.Store.Open(ctx, key)
}

func stored(t *testing.T, s Store, key string) string {
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

func keysOf(t *testing.T, s Store) []string {
	t.Helper()
	var list []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info.Key)
	}
	slices.Sort(list)
	return list
}

// M16: each finished segment goes to the origin, before a list names it.
func TestStoreGetsSegmentsBeforePlaylists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: NewMemory()}
		fake := &fakeLadder{}
		l := newLive(t, Config{ID: "s", Store: store, NewTranscoder: fake.new, Rungs: rungs(), Ladder: Always})
		feed(t, l, 0, 5)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, key := range store.puts {
			there[key] = true
			if strings.HasSuffix(key, "media.m3u8") && !there[strings.Replace(key, "media.m3u8", "s-0.ts", 1)] &&
				!there["live/s/opus/s-0.mp4"] {
				t.Errorf("%s came before a segment", key)
			}
		}
		want := []string{
			"live/s/aac32/media.m3u8", "live/s/aac32/s-0.ts", "live/s/aac32/s-1.ts", "live/s/aac32/s-2.ts",
			"live/s/aac48/media.m3u8", "live/s/aac48/s-0.ts", "live/s/aac48/s-1.ts", "live/s/aac48/s-2.ts",
			"live/s/index.m3u8", "live/s/opus.m3u8",
			"live/s/opus/media.m3u8", "live/s/opus/s-0.mp4", "live/s/opus/s-1.mp4", "live/s/opus/s-2.mp4", "live/s/opus/s-init.mp4",
		}
		if got := keysOf(t, store); !slices.Equal(got, want) {
			t.Errorf("the store holds %q", got)
		}
		for _, name := range []string{"opus", "aac48", "aac32"} {
			if got, want := stored(t, store, "live/s/"+name+"/media.m3u8"), get(t, l, "/"+name+"/media.m3u8").Body.String(); got != want {
				t.Errorf("%s: stored\n%sserved\n%s", name, got, want)
			}
		}
		if got, want := stored(t, store, "live/s/index.m3u8"), get(t, l, "/index.m3u8").Body.String(); got != want {
			t.Errorf("index stored\n%sserved\n%s", got, want)
		}
		if err := l.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := keysOf(t, store); len(got) != 0 {
			t.Errorf("after Remove the store holds %q", got)
		}
	})
}

// A store for segments alone gets no playlist, and the live serves from it what
// has left memory.
func TestStoreOfSegmentsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: NewMemory()}
		l := newLive(t, Config{ID: "s", Store: store, SegmentsOnly: true})
		feed(t, l, 0, 120)
		for _, key := range keysOf(t, store) {
			if strings.HasSuffix(key, ".m3u8") {
				t.Errorf("the store holds %s", key)
			}
		}
		if l.opus.snap.Load().find(35) != nil {
			t.Fatal("segment 35 is still in memory")
		}
		if w := get(t, l, "/opus/s-35.mp4"); w.Code != 200 {
			t.Errorf("a segment that left memory: %d", w.Code)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if w := get(t, l, "/opus/media.m3u8"); !strings.Contains(w.Body.String(), "#EXT-X-ENDLIST") {
			t.Errorf("the playlist has no end:\n%s", w.Body)
		}
		if err := l.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := keysOf(t, store); len(got) != 0 {
			t.Errorf("after Remove the store holds %q", got)
		}
	})
}

func TestStoreForgetsOldSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: NewMemory()}
		fake := &fakeLadder{}
		l := newLive(t, Config{ID: "s", Store: store, NewTranscoder: fake.new, Rungs: rungs(), LadderIdle: 10 * time.Second})
		pts := feed(t, l, 0, 60)
		if w := get(t, l, "/aac48/media.m3u8"); w.Code != 200 {
			t.Fatal(w.Code)
		}
		pts = feed(t, l, pts, 240)
		keys := keysOf(t, store)
		if n := len(keys); n > 2*20+5 {
			t.Errorf("after 5 min the store holds %d objects", n)
		}
		for _, key := range keys {
			if strings.Contains(key, "aac") {
				t.Errorf("%s is left of a rung that nobody listens to", key)
			}
		}
		// What has left memory and not the store is still served.
		if w := get(t, l, "/opus/s-115.mp4"); w.Code != 200 || w.Header().Get("Cache-Control") != cacheSegment {
			t.Errorf("a segment that left memory: %d %v", w.Code, w.Header())
		}
		if l.opus.snap.Load().find(115) != nil {
			t.Error("it was in memory after all")
		}
		if w := get(t, l, "/opus/s-3.mp4"); w.Code != 404 {
			t.Errorf("a segment of long ago: %d", w.Code)
		}
		_ = pts
	})
}

func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: NewMemory()}
		var mu sync.Mutex
		var failures, dropped int
		l := newLive(t, Config{ID: "s", Store: store, OnError: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if e, ok := errors.AsType[StoreError](err); ok && e.Dropped {
				dropped++
			} else {
				failures++
			}
		}})
		pts := feed(t, l, 0, 10)
		store.set(func(string) error { return errors.New("no route to host") })
		pts = feed(t, l, pts, 20)
		store.set(nil)
		pts = feed(t, l, pts, 20) // it catches up
		var m playlist.Media
		if err := m.Unmarshal([]byte(stored(t, store, "live/s/opus/media.m3u8"))); err != nil {
			t.Fatal(err)
		}
		if last(&m) != 24 || dropped != 0 || failures < 3 {
			t.Errorf("after a short outage the stored list ends with %d, %d failures, %d dropped", last(&m), failures, dropped)
		}
		store.set(func(string) error { return errors.New("no route to host") })
		pts = feed(t, l, pts, 120)
		store.set(nil)
		feed(t, l, pts, 30)
		m = playlist.Media{}
		text := stored(t, store, "live/s/opus/media.m3u8")
		if err := m.Unmarshal([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if last(&m) != 99 || dropped == 0 {
			t.Errorf("after a long outage the stored list ends with %d, %d dropped", last(&m), dropped)
		}
		for _, s := range m.Segments {
			if _, err := store.Open(t.Context(), "live/s/opus/"+s.URI); (err != nil) != s.Gap {
				t.Errorf("%s: gap %v, open %v", s.URI, s.Gap, err)
			}
		}
	})
}

// A store that takes everything but the playlist: what the old one lists stays.
func TestStoredPlaylistStaysWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: NewMemory()}
		l := newLive(t, Config{ID: "s", Store: store})
		pts := feed(t, l, 0, 60)
		const key = "live/s/opus/media.m3u8"
		old := stored(t, store, key)
		store.set(func(k string) error {
			if k == key {
				return errors.New("no")
			}
			return nil
		})
		pts = feed(t, l, pts, 180)
		store.set(nil)
		if now := stored(t, store, key); now != old {
			t.Fatalf("the playlist was replaced by\n%s", now)
		}
		var m playlist.Media
		if err := m.Unmarshal([]byte(old)); err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Segments {
			stored(t, store, "live/s/opus/"+s.URI)
		}
		feed(t, l, pts, 10)
		m = playlist.Media{}
		if err := m.Unmarshal([]byte(stored(t, store, key))); err != nil {
			t.Fatal(err)
		}
		if last(&m) != 124 {
			t.Errorf("afterwards the stored list ends with %d", last(&m))
		}
		if n := len(keysOf(t, store)); n > 2*20+5 {
			t.Errorf("afterwards the store holds %d objects", n)
		}
	})
}

func TestStoreThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &flakyStore{Store: NewMemory(), fail: func(string) error { <-release; return nil }}
		l := newLive(t, Config{ID: "s", Store: store, CloseTimeout: 3 * time.Second})
		feed(t, l, 0, 300)
		if got := l.edge.Load(); got != 149 {
			t.Errorf("the live stopped at segment %d", got)
		}
		l.uploaders[0].mu.Lock()
		waiting, queued := l.uploaders[0].waiting, len(l.uploaders[0].queue)
		l.uploaders[0].mu.Unlock()
		if waiting > l.shape.window || queued > 2*l.shape.window {
			t.Errorf("%d segments wait in memory, %d in the queue", waiting, queued)
		}
		began := time.Now()
		if err := l.Close(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Close took %v", took)
		}
		close(release)
	})
}

// A store that is away when the live ends, and comes back within minutes, still
// gets the last segments and the end of the playlist.
func TestStoreBackAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flakyStore{Store: NewMemory()}
		l := newLive(t, Config{ID: "s", Store: store, CloseTimeout: 3 * time.Second})
		pts := feed(t, l, 0, 20)
		store.set(func(string) error { return errors.New("away") })
		feed(t, l, pts, 4)
		if err := l.Close(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		time.Sleep(time.Minute)
		store.set(nil)
		time.Sleep(time.Minute)
		var m playlist.Media
		if err := m.Unmarshal([]byte(stored(t, store, "live/s/opus/media.m3u8"))); err != nil {
			t.Fatal(err)
		}
		if !m.Endlist || last(&m) != 11 {
			t.Errorf("the stored playlist ends with segment %d, end %v", last(&m), m.Endlist)
		}
	})
}

// discard is a Store that takes everything and keeps nothing.
type discard struct{}

func (discard) Put(context.Context, string, io.ReadSeeker) error { return nil }
func (discard) Delete(context.Context, string) error             { return nil }
func (discard) Open(_ context.Context, key string) (Object, error) {
	return nil, notExist(key)
}
func (discard) List(context.Context, string) iter.Seq2[Info, error] {
	return func(func(Info, error) bool) {}
}

func TestStoredRungEndsWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		fake := &fakeLadder{}
		l := newLive(t, Config{ID: "s", Store: store, NewTranscoder: fake.new, Rungs: rungs(), LadderIdle: 4 * time.Second})
		pts := feed(t, l, 0, 10)
		mediaList(t, l, "/aac48/media.m3u8")
		feed(t, l, pts, 20)
		if l.Stats().Ladder {
			t.Fatal("the ladder still runs")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		var m playlist.Media
		if err := m.Unmarshal([]byte(stored(t, store, "live/s/aac48/media.m3u8"))); err != nil {
			t.Fatal(err)
		}
		if !m.Endlist {
			t.Error("who plays the stored list waits for ever")
		}
	})
}
