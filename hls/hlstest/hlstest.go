// Package hlstest holds the suite that every [hls.Store] must pass.
package hlstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
)

// bigBody is larger than one part of a multipart upload usually is.
const bigBody = 12 << 20

// TestStore runs the suite. open gives a store that is empty and is released
// by t.Cleanup; it is called once per subtest.
func TestStore(t *testing.T, open func(t *testing.T) hls.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, hls.Store)
	}{
		{"Missing", missing},
		{"PutOpen", putOpen},
		{"Overwrite", overwrite},
		{"Big", big},
		{"Seek", seek},
		{"Delete", deletes},
		{"List", list},
		{"BadKeys", badKeys},
		{"Cancelled", cancelled},
		{"BodyFails", bodyFails},
		{"Concurrent", concurrent},
		{"OpenStays", openStays},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func put(t *testing.T, s hls.Store, key, body string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(body)); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

func get(t *testing.T, s hls.Store, key string) []byte {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("Open(%q): %v", key, err)
	}
	defer o.Close()
	body, err := io.ReadAll(o)
	if err != nil {
		t.Fatalf("read %q: %v", key, err)
	}
	if info := o.Info(); info.Size != int64(len(body)) || info.Key != key {
		t.Errorf("Info() of %q = %+v, the body has %d bytes", key, info, len(body))
	}
	return body
}

func expectMissing(t *testing.T, s hls.Store, key string) {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err == nil {
		o.Close()
		t.Fatalf("Open(%q) found an object", key)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open(%q) = %v, want fs.ErrNotExist", key, err)
	}
}

func keys(t *testing.T, s hls.Store, prefix string) []string {
	t.Helper()
	list := []string{}
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%q): %v", prefix, err)
		}
		list = append(list, info.Key)
	}
	slices.Sort(list)
	return list
}

func missing(t *testing.T, s hls.Store) {
	expectMissing(t, s, "live/1/index.m3u8")
	put(t, s, "live/1/index.m3u8", "x")
	expectMissing(t, s, "live/1")
	expectMissing(t, s, "live/1/index.m3u8/below")
	expectMissing(t, s, "live/1/index.m3u")
}

func putOpen(t *testing.T, s hls.Store) {
	before := time.Now().Add(-time.Minute) // clocks of object stores differ a little
	for _, body := range []string{"segment", ""} {
		put(t, s, "a/b c/é-1.ts", body)
		if got := get(t, s, "a/b c/é-1.ts"); string(got) != body {
			t.Fatalf("got %q, want %q", got, body)
		}
	}
	o, err := s.Open(t.Context(), "a/b c/é-1.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	info := o.Info()
	if info.ModTime.Before(before) || time.Until(info.ModTime) > time.Minute {
		t.Errorf("ModTime %v is not now", info.ModTime)
	}
	if len(info.ETag) < 3 || info.ETag[0] != '"' || info.ETag[len(info.ETag)-1] != '"' {
		t.Errorf("ETag %q is not a quoted strong tag", info.ETag)
	}
	// A body that was read before is stored from its start.
	body := strings.NewReader("whole")
	_, _ = body.Seek(3, io.SeekStart)
	if err := s.Put(t.Context(), "seek.ts", body); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "seek.ts"); string(got) != "whole" {
		t.Errorf("a body at offset 3 was stored as %q", got)
	}
}

func overwrite(t *testing.T, s hls.Store) {
	tag := func() string {
		o, err := s.Open(t.Context(), "k.m3u8")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		return o.Info().ETag
	}
	put(t, s, "k.m3u8", "one")
	first := tag()
	put(t, s, "k.m3u8", "a longer two")
	if got := get(t, s, "k.m3u8"); string(got) != "a longer two" {
		t.Fatalf("got %q", got)
	}
	if tag() == first {
		t.Error("the ETag did not change with the body")
	}
	put(t, s, "k.m3u8", "3")
	if got := get(t, s, "k.m3u8"); string(got) != "3" {
		t.Fatalf("got %q", got)
	}
}

func big(t *testing.T, s hls.Store) {
	body := bytes.Repeat([]byte("0123456789abcdef"), bigBody/16)
	if err := s.Put(t.Context(), "big.mp3", bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "big.mp3"); !bytes.Equal(got, body) {
		t.Fatalf("%d bytes came back, not the %d that were put", len(got), len(body))
	}
}

func seek(t *testing.T, s hls.Store) {
	put(t, s, "s.ts", "0123456789")
	o, err := s.Open(t.Context(), "s.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if end, err := o.Seek(0, io.SeekEnd); err != nil || end != 10 {
		t.Fatalf("Seek to the end = %d, %v", end, err)
	}
	if _, err := o.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 3)
	if _, err := io.ReadFull(o, part); err != nil || string(part) != "456" {
		t.Fatalf("read %q at 4: %v", part, err)
	}
}

func deletes(t *testing.T, s hls.Store) {
	if err := s.Delete(t.Context(), "never/was.ts"); err != nil {
		t.Fatalf("deleting what is not there: %v", err)
	}
	put(t, s, "d/1.ts", "1")
	put(t, s, "d/2.ts", "2")
	for range 2 {
		if err := s.Delete(t.Context(), "d/1.ts"); err != nil {
			t.Fatal(err)
		}
		expectMissing(t, s, "d/1.ts")
	}
	if err := s.Delete(t.Context(), "d"); err != nil { // a prefix is no object
		t.Fatal(err)
	}
	if got := get(t, s, "d/2.ts"); string(got) != "2" {
		t.Fatalf("the neighbour became %q", got)
	}
	put(t, s, "d/1.ts", "again")
	if got := get(t, s, "d/1.ts"); string(got) != "again" {
		t.Fatalf("after a new put: %q", got)
	}
}

func list(t *testing.T, s hls.Store) {
	if got := keys(t, s, ""); len(got) != 0 {
		t.Fatalf("a new store lists %q", got)
	}
	all := []string{"a.ts", "live/1/a.ts", "live/1/b/c.ts", "live/10/a.ts", "live/2.ts"}
	for _, key := range all {
		put(t, s, key, key)
	}
	for prefix, want := range map[string][]string{
		"":            all,
		"live/":       all[1:],
		"live/1":      all[1:4],
		"live/1/":     all[1:3],
		"live/1/b/c":  all[2:3],
		"nothing":     {},
		"live/9/":     {},
		"live/2.ts":   {"live/2.ts"},
		"live/2.ts/x": {},
		"../":         {},
	} {
		if got := keys(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("List(%q) = %q, want %q", prefix, got, want)
		}
	}
	for info, err := range s.List(t.Context(), "live/1/a") {
		if err != nil || info.Size != int64(len("live/1/a.ts")) {
			t.Errorf("List gives %+v, %v", info, err)
		}
	}
	for range s.List(t.Context(), "") {
		break // stopping early is allowed
	}
}

func badKeys(t *testing.T, s hls.Store) {
	bad := []string{
		"", ".", "..", "/", "/etc/passwd", "../x.ts", "a/../b.ts", "a/./b.ts", "a//b.ts", "a/", "./a.ts",
		`a\b.ts`, "a\x00b.ts", "a\nb.ts", "\xff.ts", ".hidden", "a/.put-1",
		strings.Repeat("k", 300), strings.Repeat("k/", 400) + "k",
	}
	for _, key := range bad {
		if err := s.Put(t.Context(), key, strings.NewReader("x")); !errors.Is(err, hls.ErrKey) {
			t.Errorf("Put(%q) = %v, want ErrKey", key, err)
		}
		if o, err := s.Open(t.Context(), key); !errors.Is(err, hls.ErrKey) {
			if err == nil {
				o.Close()
			}
			t.Errorf("Open(%q) = %v, want ErrKey", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, hls.ErrKey) {
			t.Errorf("Delete(%q) = %v, want ErrKey", key, err)
		}
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("refused keys left %q", got)
	}
}

func cancelled(t *testing.T, s hls.Store) {
	put(t, s, "c.ts", "old")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "c.ts", strings.NewReader("new")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want context.Canceled", err)
	}
	if o, err := s.Open(ctx, "c.ts"); !errors.Is(err, context.Canceled) {
		if err == nil {
			o.Close()
		}
		t.Errorf("Open = %v, want context.Canceled", err)
	}
	if err := s.Delete(ctx, "c.ts"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete = %v, want context.Canceled", err)
	}
	var listed error
	for _, err := range s.List(ctx, "") {
		listed = err
	}
	if !errors.Is(listed, context.Canceled) {
		t.Errorf("List = %v, want context.Canceled", listed)
	}
	if got := get(t, s, "c.ts"); string(got) != "old" {
		t.Errorf("what was cancelled left %q", got)
	}
}

// broken is a body that fails halfway.
type broken struct{ *strings.Reader }

var errBroken = errors.New("the body broke")

func (b broken) Read(p []byte) (int, error) {
	if b.Len() < 1000 {
		return 0, errBroken
	}
	return b.Reader.Read(p[:min(len(p), 500)])
}

func bodyFails(t *testing.T, s hls.Store) {
	put(t, s, "b.ts", "old")
	if err := s.Put(t.Context(), "b.ts", broken{strings.NewReader(strings.Repeat("x", 5000))}); !errors.Is(err, errBroken) {
		t.Errorf("Put = %v, want the body's error", err)
	}
	if got := get(t, s, "b.ts"); string(got) != "old" {
		t.Errorf("half a body became %d bytes", len(got))
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"b.ts"}) {
		t.Errorf("a failed put left %q", got)
	}
}

// body is recognisable: a version, its content, and a checksum over both.
func body(version int) string {
	text := fmt.Sprintf("%d %s ", version, strings.Repeat(string(rune('a'+version%26)), 1000+version*137%40000))
	return text + fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}

func whole(b []byte) bool {
	if len(b) < 64 {
		return false
	}
	text := b[:len(b)-64]
	return fmt.Sprintf("%x", sha256.Sum256(text)) == string(b[len(b)-64:])
}

func concurrent(t *testing.T, s hls.Store) {
	const writers, rounds, key = 4, 12, "live/1/media.m3u8"
	put(t, s, key, body(0))
	done := make(chan struct{})
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range rounds {
				if err := s.Put(t.Context(), key, strings.NewReader(body(w*rounds+i))); err != nil {
					t.Errorf("Put: %v", err)
				}
				other := fmt.Sprintf("live/%d/x/%d.ts", w, i)
				if err := s.Put(t.Context(), other, strings.NewReader("x")); err != nil {
					t.Errorf("Put: %v", err)
				}
				if err := s.Delete(t.Context(), other); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				o, err := s.Open(t.Context(), key)
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				b, err := io.ReadAll(o)
				if size := o.Info().Size; err != nil || !whole(b) || size != int64(len(b)) {
					t.Errorf("a reader got %d bytes of %d, whole %v: %v", len(b), size, whole(b), err)
				}
				o.Close()
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	if got := keys(t, s, ""); !slices.Equal(got, []string{key}) {
		t.Errorf("left over: %q", got)
	}
}

func openStays(t *testing.T, s hls.Store) {
	put(t, s, "o.ts", "the old one")
	o, err := s.Open(t.Context(), "o.ts")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	put(t, s, "o.ts", "another")
	if err := s.Delete(t.Context(), "o.ts"); err != nil {
		t.Fatal(err)
	}
	// A remote store may have lost it, but must not mix the two.
	if b, err := io.ReadAll(o); err == nil && string(b) != "the old one" {
		t.Errorf("the open object became %q", b)
	}
}
