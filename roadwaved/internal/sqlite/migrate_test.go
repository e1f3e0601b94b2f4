package sqlite

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// version1 puts a catalog in place as the first version of this program left it.
// It has one live on air and one of each state of jobs.
func version1(t *testing.T) (path string) {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", "version1.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "catalog.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFromVersion1(t *testing.T) {
	c := open(t, version1(t))
	lives, err := c.ListLives(t.Context(), station.LiveQuery{})
	if err != nil || len(lives) != 7 {
		t.Fatalf("%d lives (%v)", len(lives), err)
	}
	slices.Reverse(lives)
	began := time.Date(2026, 7, 14, 20, 0, 0, 123456000, time.UTC)
	want := station.Live{
		ID: "00000000-0000-4000-8000-000000000000", CreatorID: "léa", Title: "Nœud de l'été on air", StartedAt: began, ZoneGeo: "Nice",
		Tags: []string{"a7", "été", "on air"}, ClassificationAge: "-10", State: station.OnAir, Node: "node-1",
	}
	if !reflect.DeepEqual(lives[0], want) {
		t.Errorf("got  %+v\nwant %+v", lives[0], want)
	}
	lost := lives[6]
	if lost.State != station.Lost || lost.EndReason != station.EndCrash || !lost.EndedAt.Equal(began.Add(6*time.Hour+30*time.Minute)) ||
		lost.Stats != (station.LiveStats{Duration: 29*time.Minute + 123456*time.Microsecond, Packets: 87_000, Lost: 12}) {
		t.Errorf("the lost live is %+v", lost)
	}

	// What was unfinished must be brought into the object store first.
	jobs, err := c.ListJobs(t.Context(), station.JobQuery{})
	if err != nil || len(jobs) != 6 {
		t.Fatalf("%d jobs (%v)", len(jobs), err)
	}
	for i, want := range []struct {
		was      string
		state    station.JobState
		attempts int
		error    string
	}{
		{"pending", station.JobUploading, 0, ""},
		{"running", station.JobUploading, 1, ""},
		{"parked", station.JobUploading, 0, "ffmpeg failed five times"},
		{"done", station.JobDone, 1, ""},
		{"empty", station.JobEmpty, 1, "nothing was recorded"},
		{"lost", station.JobUploading, 0, ""},
	} {
		j := jobs[i]
		if j.State != want.state || j.Attempts != want.attempts || j.Error != want.error || j.Node != "node-1" ||
			j.Priority != station.PriorityNormal || !j.Lease.IsZero() || !j.Opened.Equal(began.Add(time.Duration(i+1)*time.Hour+30*time.Minute)) {
			t.Errorf("the job that was %s is %+v", want.was, j)
		}
	}
	r, err := c.ReplayOf(t.Context(), lives[4].ID)
	if err != nil || r.Title != "[REPLAY] Nœud de l'été done" || r.Duration != 28*time.Minute || r.Loudness != -14.1 || r.Key != "replay/10000000" {
		t.Errorf("the replay is %+v (%v)", r, err)
	}

	// Claims of before are over; the fence goes on growing.
	running := jobs[1].LiveID
	if err := c.Deposited(t.Context(), running, false); err != nil {
		t.Fatal(err)
	}
	cl, err := c.Claim(t.Context(), running, "worker-2", time.Now(), time.Minute)
	if err != nil || cl.Fence != 2 {
		t.Errorf("claimed with fence %d (%v), want 2", cl.Fence, err)
	}

	for _, q := range []station.LiveQuery{{Text: "noeud ete", Limit: 1}, {Tag: "a7", Limit: 1}, {ZoneGeo: "Nice", Limit: 1}, {CreatorID: "léa", Limit: 1}} {
		if found, err := c.ListLives(t.Context(), q); err != nil || len(found) != 1 || found[0].ID != lost.ID {
			t.Errorf("%+v found %v (%v)", q, found, err)
		}
	}
	if found, err := c.ListLives(t.Context(), station.LiveQuery{Tag: "parked"}); err != nil || len(found) != 1 {
		t.Errorf("by tag: %v (%v)", found, err)
	}
}

// However a catalog came about, its tables are the same and its rows agree.
func TestFromVersion1Tables(t *testing.T) {
	tables := func(c *Catalog) []string {
		t.Helper()
		rows, err := c.reader.QueryContext(t.Context(), "SELECT name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name")
		all, err := collect(rows, err, text)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	old := open(t, version1(t))
	if got, want := tables(old), tables(openNew(t)); !slices.Equal(got, want) {
		t.Errorf("migrated:\n%s\nnew:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, check := range []string{"PRAGMA integrity_check", "PRAGMA foreign_key_check"} {
		rows, err := old.reader.QueryContext(t.Context(), check)
		found, err := collect(rows, err, text)
		if err != nil || len(found) > 1 || (len(found) == 1 && found[0] != "ok") {
			t.Errorf("%s: %v (%v)", check, found, err)
		}
	}
}

func text(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

// Daemon and command line meet an old catalog in the same instant.
func TestFromVersion1ByMany(t *testing.T) {
	path := version1(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if jobs, err := c.ListJobs(t.Context(), station.JobQuery{}); err != nil || len(jobs) != 6 {
				t.Errorf("%d jobs (%v)", len(jobs), err)
			}
		})
	}
	wg.Wait()
}

// The search index follows whatever a person does to the file.
func TestSearchFollows(t *testing.T) {
	c := openNew(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		l := live(id)
		l.Title, l.Tags = "Titre de "+id, []string{"tag-" + id, "tous"}
		if err := c.StartLive(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{
		"DELETE FROM lives WHERE live_id = 'a'",
		"VACUUM", // which numbers rows anew that have no number of their own
		"UPDATE lives SET title = 'Nouveau nom', tags = '[\"autre\"]' WHERE live_id = 'c'",
		"UPDATE lives SET tags = '[\"double\", \"double\"]' WHERE live_id = 'd'",
	} {
		if _, err := c.writer.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	for _, tt := range []struct {
		q    station.LiveQuery
		want string
	}{
		{station.LiveQuery{Text: "titre"}, "db"},
		{station.LiveQuery{Text: "nouveau"}, "c"},
		{station.LiveQuery{Text: "b"}, "b"},
		{station.LiveQuery{Tag: "tous"}, "b"},
		{station.LiveQuery{Tag: "tag-a"}, ""},
		{station.LiveQuery{Tag: "tag-c"}, ""},
		{station.LiveQuery{Tag: "autre"}, "c"},
		{station.LiveQuery{Tag: "double"}, "d"},
	} {
		lives, err := c.ListLives(t.Context(), tt.q)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, l := range lives {
			got += l.ID
		}
		if got != tt.want {
			t.Errorf("%+v found %q, want %q", tt.q, got, tt.want)
		}
	}
}
