package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func live(id string) station.Live {
	return station.Live{ID: id, CreatorID: "léa", Title: "t", StartedAt: time.Now(), Node: "n"}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := open(t, path)
	if err := c.StartLive(t.Context(), live("a")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path).Live(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := open(t, path)
	if err := c.StartLive(t.Context(), live("a")); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want it for its owner alone", info.Name(), info.Mode())
		}
	}
}

// Settings that a later edit of the connection string could lose in silence.
func TestSettings(t *testing.T) {
	c := openNew(t)
	for name, db := range map[string]*sql.DB{"writer": c.writer, "reader": c.reader} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal",
			"synchronous":  "2",
			"foreign_keys": "1",
			"busy_timeout": "10000",
		} {
			var got string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q (%v), want %q", name, pragma, got, err, want)
			}
		}
	}
}

// Positions of listeners that are forgotten must not stay in the file.
func TestForgetsForGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := open(t, path)
	old := events(500)
	for i := range old {
		old[i].UserID = "somebody-to-forget"
	}
	if err := c.Record(t.Context(), old, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := c.ForgetEvents(t.Context(), time.Now().Add(48*time.Hour), false); n != 500 || err != nil {
		t.Fatal(n, err)
	}
	if err := c.Close(); err != nil { // which folds the log into the file
		t.Fatal(err)
	}
	left, err := os.ReadFile(path)
	if err != nil || bytes.Contains(left, []byte("somebody-to-forget")) {
		t.Errorf("%d bytes remember (%v)", len(left), err)
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{"with space.db", "100%.db", "what?mode=memory", "a#b.db", ":memory:", "été 🚗.db"} {
		path := filepath.Join(t.TempDir(), name)
		c := open(t, path)
		if err := c.StartLive(t.Context(), live("a")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: the catalog is not in its file (%v)", name, err)
		}
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	open(t, "catalog.db")
	if _, err := os.Stat("catalog.db"); err != nil {
		t.Error(err)
	}
}

func TestRefusesToOpen(t *testing.T) {
	damaged := func(t *testing.T, path string) {
		// Enough lives for the tables to have many pages, then noise over some of them.
		c := open(t, path)
		for i := range 300 {
			l := live(fmt.Sprint(i))
			l.Title = strings.Repeat("x", 200)
			if err := c.StartLive(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		noise := []byte(strings.Repeat("\xde\xad\xbe\xef", 4096))
		if _, err := f.WriteAt(noise, 16<<10); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    []string
	}{
		{"not a database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"damaged or not a database", "restore a copy"}},
		{"damaged", damaged, []string{"damaged or not a database", "restore a copy"}},
		{"newer", func(t *testing.T, path string) {
			c := open(t, path)
			if _, err := c.writer.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)"); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}, []string{"newer roadwaved", "version 9000", "run that version again"}},
		{"no folder", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}, []string{"no such file or directory"}},
		{"a folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, []string{"is a directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "catalog.db")
			tt.prepare(t, path)
			c, err := Open(t.Context(), path)
			if err == nil {
				c.Close()
				t.Fatal("it opened")
			}
			for _, want := range append(tt.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

// Daemon and command line open a new catalog in the same instant.
func TestOpenedByMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			c, err := Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if err := c.StartLive(t.Context(), live(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	lives, err := open(t, path).ListLives(t.Context(), station.LiveQuery{})
	if err != nil || len(lives) != 4 {
		t.Errorf("%d lives (%v), want 4", len(lives), err)
	}
}

// Readers see whole transactions and never wait for the writer.
func TestReadWhileWriting(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "catalog.db"))
	if err := c.StartLive(t.Context(), live("a")); err != nil {
		t.Fatal(err)
	}
	tx, err := c.writer.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), "UPDATE lives SET title = 'half done'"); err != nil {
		t.Fatal(err)
	}
	got, err := c.Live(t.Context(), "a")
	if err != nil || got.Title != "t" {
		t.Errorf("a reader saw %q (%v)", got.Title, err)
	}
}

func TestClosed(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "catalog.db"))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("a closed catalog answers")
	}
	if err := c.StartLive(t.Context(), live("a")); err == nil || errors.Is(err, station.ErrNotFound) {
		t.Errorf("a closed catalog wrote: %v", err)
	}
}

// The lists that are asked for all day long must neither read the whole table
// nor sort it; those of lives are in TestSearchPlans.
func TestIndexes(t *testing.T) {
	c := openNew(t)
	for query, index := range map[string]string{
		"SELECT * FROM replays WHERE (published_at, replay_id) < ('2026', '') ORDER BY published_at DESC, replay_id DESC LIMIT 5": "replays_published_at",
		"SELECT * FROM replay_jobs ORDER BY opened_at, live_id LIMIT 50":                                                          "replay_jobs_opened_at",
		"SELECT * FROM replay_jobs WHERE state IN ('uploading') AND node = 'n' ORDER BY opened_at, live_id LIMIT 50":              "replay_jobs_state",
		"SELECT * FROM audit_events WHERE at >= '2026' AND at < '2027' ORDER BY at, event_id LIMIT 50":                            "PRIMARY KEY (at>? AND at<?)",
		"SELECT * FROM audit_events WHERE (at, event_id) > ('2026', 'a') ORDER BY at, event_id LIMIT 50":                          "PRIMARY KEY ((at,event_id)>(?,?))",
		"SELECT * FROM audit_events WHERE live_id = 'a' AND kind = 'join' ORDER BY at, event_id LIMIT 50":                         "audit_events_live_id (live_id=?)",
		"SELECT * FROM audit_events WHERE user_id = 'a' AND (at, event_id) > ('2026', 'a') ORDER BY at, event_id LIMIT 50":        "audit_events_user_id (user_id=? AND (at,event_id)>(?,?))",
		"SELECT count(*) FROM audit_events WHERE at < '2026'":                                                                     "PRIMARY KEY (at<?)",
		"SELECT * FROM counter_samples WHERE live_id = 'a' ORDER BY at":                                                           "PRIMARY KEY (live_id=?)",
		reactorsQuery: "COVERING INDEX audit_events_reactions (live_id=? AND kind=?)",
	} {
		// Arguments that a query has no place for are ignored.
		if p := plan(t, c, query, "a", "like"); !strings.Contains(p, index) || strings.Contains(p, "TEMP B-TREE") {
			t.Errorf("%s\nis done by %q, want index %s", query, p, index)
		}
	}
	// Of unfinished jobs there are few enough to sort.
	p := plan(t, c, "SELECT * FROM replay_jobs WHERE state IN ('pending', 'running') ORDER BY opened_at, live_id LIMIT 50")
	if !strings.Contains(p, "replay_jobs_state") {
		t.Errorf("unfinished jobs are found by %q", p)
	}
}

// Another process that holds the file is a reason to come back later.
func TestAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := open(t, path)
	if err := c.StartLive(t.Context(), live("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.writer.ExecContext(t.Context(), "PRAGMA busy_timeout = 20"); err != nil {
		t.Fatal(err)
	}
	other := open(t, path)
	tx, err := other.writer.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, write := range map[string]func() error{
		"StartLive": func() error { return c.StartLive(ctx, live("b")) },
		"EndLive":   func() error { return c.EndLive(ctx, "a", station.End{At: time.Now(), State: station.Ended}) },
		"Deposited": func() error { return c.Deposited(ctx, "a", false) },
		"Record":    func() error { return c.Record(ctx, events(3), nil) },
		"ForgetEvents": func() error {
			_, err := c.ForgetEvents(ctx, time.Now(), false)
			return err
		},
		"BeginChore": func() error {
			_, err := c.BeginChore(ctx, station.Chore{}, "n", time.Now(), time.Minute)
			return err
		},
		"Secret": func() error {
			_, err := c.Secret(ctx, "s")
			return err
		},
	} {
		if err := write(); !errors.Is(err, station.ErrAway) || strings.Count(err.Error(), station.ErrAway.Error()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Live(ctx, "a"); err != nil {
		t.Errorf("a reader does not wait for a writer: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := c.StartLive(ctx, live("b")); err != nil {
		t.Errorf("the other one is gone: %v", err)
	}
}
