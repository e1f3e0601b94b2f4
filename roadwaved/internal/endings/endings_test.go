package endings

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func open(t *testing.T, path string) *Folder {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func load(t *testing.T, f *Folder) map[string]station.End {
	t.Helper()
	ends, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	return ends
}

func names(t *testing.T, path string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func TestFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "ends")
	f := open(t, path)
	want := make(map[string]station.End)
	for i := range 20 {
		want[uuid.NewString()] = station.End{
			At: time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC), State: station.Lost, Reason: station.EndFailed,
			Stats: station.LiveStats{Duration: time.Duration(i) * time.Second, Packets: 2, Lost: 3, Visits: 4, PeakListeners: 5, Likes: 6, Reports: 7},
		}
	}
	var wg sync.WaitGroup
	for id, e := range want {
		wg.Go(func() {
			for range 2 { // again is no error
				if err := f.Save(id, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := open(t, path) // another process
	if got := load(t, next); !maps.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for id := range want {
		for range 2 {
			if err := next.Delete(id); err != nil {
				t.Error(err)
			}
		}
	}
	if got := load(t, f); len(got) != 0 || len(names(t, path)) != 0 {
		t.Errorf("left: %v in %v", got, names(t, path))
	}
}

// A file of the version before is read by the one after.
func TestFormat(t *testing.T) {
	path := t.TempDir()
	const id = "5f2c1a57-6d0b-4a7e-9d43-2c0f6a1e8b90"
	text := `{"At":"2026-03-04T05:06:07.000008Z","State":"ended","Reason":"shutdown","Stats":{"Duration":3600000000000,
		"Packets":180000,"Lost":12,"Visits":40,"PeakListeners":9,"Likes":3,"Reports":1}}`
	if err := os.WriteFile(filepath.Join(path, id+".json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := station.End{
		At: time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC), State: station.Ended, Reason: station.EndShutdown,
		Stats: station.LiveStats{Duration: time.Hour, Packets: 180_000, Lost: 12, Visits: 40, PeakListeners: 9, Likes: 3, Reports: 1},
	}
	if got := load(t, open(t, path))[id]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// What cannot be read is set aside and told of once; the rest is given.
func TestDamaged(t *testing.T) {
	path := t.TempDir()
	f := open(t, path)
	good := uuid.NewString()
	if err := f.Save(good, station.End{At: time.Now(), State: station.Ended}); err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		uuid.NewString() + ".json": `{"At":"2026-03-0`,
		uuid.NewString() + ".json": ``,
		uuid.NewString() + ".json": `{}`,
		uuid.NewString() + ".json": `{"At":"2026-03-04T05:06:07Z","State":"on_air"}`,
		"no-id.json":               `{"At":"2026-03-04T05:06:07Z","State":"ended"}`,
	}
	half := uuid.NewString() + ".json.half"
	for name, text := range bad {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{half, "a note"} {
		if err := os.WriteFile(filepath.Join(path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ends, err := f.Load()
	if err == nil || len(ends) != 1 || ends[good].State != station.Ended {
		t.Errorf("got %+v (%v), want the good one and an error", ends, err)
	}
	for name := range bad {
		if !strings.Contains(err.Error(), name) || !slices.Contains(names(t, path), name+".damaged") {
			t.Errorf("%s is not named or not set aside: %v", name, err)
		}
	}
	if all := names(t, path); slices.Contains(all, half) || !slices.Contains(all, "a note") {
		t.Errorf("the folder has %v", all)
	}
	if ends, err := f.Load(); err != nil || len(ends) != 1 {
		t.Errorf("the second time: %+v (%v)", ends, err)
	}
}

func TestRefused(t *testing.T) {
	path := t.TempDir()
	f := open(t, path)
	for _, id := range []string{"", ".", "../x", "here", strings.Repeat("a", 36), "{" + uuid.NewString() + "}", "urn:uuid:" + uuid.NewString()} {
		if err := f.Save(id, station.End{At: time.Now(), State: station.Ended}); err == nil {
			t.Errorf("saved %q", id)
		}
		if err := f.Delete(id); err == nil {
			t.Errorf("deleted %q", id)
		}
	}
	if all := names(t, path); len(all) != 0 {
		t.Errorf("the folder has %v", all)
	}
	if _, err := Open(filepath.Join(os.DevNull, "x")); err == nil {
		t.Error("opened what is no folder")
	}
}
