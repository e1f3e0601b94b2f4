package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What dead processes left in tmp is swept at any time, and never what is in use,
// however old, or somebody else's.
func TestSweepTemp(t *testing.T) {
	data := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mine, release, err := claimTemp(data)
	check(err)
	old := time.Now().Add(-25 * time.Hour)
	folder := func(name string, at time.Time) {
		path := filepath.Join(data, "tmp", name)
		check(os.MkdirAll(filepath.Join(path, "relive-7"), 0o700))
		check(os.WriteFile(filepath.Join(path, "relive-7", "recording.opus"), make([]byte, 1000), 0o600))
		check(os.Chtimes(path, at, at))
	}
	folder("replays-1", old)
	folder("replays-2", time.Now())
	folder("new-3", old)
	folder("new-4", time.Now()) // being made
	folder("new-album", old)
	folder("thesis", old)
	check(os.Chtimes(mine, old, old))
	names := func() (names []string) {
		entries, err := os.ReadDir(filepath.Join(data, "tmp"))
		check(err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	before := names()
	for _, dryRun := range []bool{true, false} {
		if n, bytes, err := sweepTemp(data, dryRun); n != 3 || bytes != 3000 || err != nil {
			t.Errorf("dry %v: swept %d folders of %d bytes: %v", dryRun, n, bytes, err)
		}
		want := []string{"new-4", "new-album", filepath.Base(mine), "thesis"}
		if dryRun {
			want = before
		}
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("dry %v: there is %q, want %q", dryRun, got, want)
		}
	}
	check(release())
	if n, _, err := sweepTemp(t.TempDir(), false); n != 0 || err != nil {
		t.Errorf("without a tmp: %d, %v", n, err)
	}
}
