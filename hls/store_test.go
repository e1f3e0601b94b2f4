package hls_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/hls/hlstest"
)

func openDir(t *testing.T, path string) *hls.Dir {
	t.Helper()
	d, err := hls.NewDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDirStore(t *testing.T) {
	hlstest.TestStore(t, func(t *testing.T) hls.Store { return openDir(t, t.TempDir()) })
}

func TestDirStoreWithoutSync(t *testing.T) {
	hlstest.TestStore(t, func(t *testing.T) hls.Store { return openDir(t, t.TempDir()).WithoutSync() })
}

func TestMemoryStore(t *testing.T) {
	hlstest.TestStore(t, func(*testing.T) hls.Store { return hls.NewMemory() })
}

func TestDirSweepsWhatTheDeadLeft(t *testing.T) {
	path := t.TempDir()
	old, fresh := filepath.Join(path, ".put-old"), filepath.Join(path, ".put-fresh")
	for _, name := range []string{old, fresh} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(old, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	openDir(t, path)
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old leftover is still there: %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("a file another process may be writing is gone: %v", err)
	}
}

func TestDirDoesNotFollowLinksOut(t *testing.T) {
	path, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret.ts"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(path, "link")); err != nil {
		t.Skip("no symlinks here:", err)
	}
	if o, err := openDir(t, path).Open(t.Context(), "link/secret.ts"); err == nil {
		o.Close()
		t.Error("a link led out of the store")
	}
}

// FuzzDir writes under any key: what is accepted can be read back, and nothing
// appears beside the store.
func FuzzDir(f *testing.F) {
	for _, key := range []string{"a/b.ts", "../x", "/abs", "a/./b", ".put-1", "a\\b", "x/..", "con", "a\x00"} {
		f.Add(key)
	}
	outer := f.TempDir()
	dir, err := hls.NewDir(filepath.Join(outer, "store"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = dir.Close() })
	f.Fuzz(func(t *testing.T, key string) {
		err := dir.WithoutSync().Put(t.Context(), key, strings.NewReader(key))
		if accepted := hls.CheckKey(key) == nil; (err == nil) != accepted {
			t.Fatalf("CheckKey(%q) = %v, Put = %v", key, hls.CheckKey(key), err)
		}
		if err == nil {
			o, err := dir.Open(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(o.Close(), dir.Delete(t.Context(), key)); err != nil {
				t.Fatal(err)
			}
		}
		for path, want := range map[string]int{outer: 1, filepath.Join(outer, "store"): 0} {
			if entries, err := os.ReadDir(path); err != nil || len(entries) != want {
				t.Fatalf("after %q there are %d entries in %s: %v", key, len(entries), path, err)
			}
		}
	})
}
