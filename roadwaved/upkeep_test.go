package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
	"github.com/roadwave/roadwave/roadwaved/internal/sqlite"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// command runs a command of roadwaved on a data folder and gives what it printed.
func command(t *testing.T, data string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append(args, "--data", data), env(), &stdout, &stderr); code != 0 {
		t.Fatalf("%v: exit %d: %s", args, code, &stderr)
	}
	return stdout.String()
}

// openCatalog opens the embedded catalog of a data folder, beside its daemon.
func openCatalog(t *testing.T, data string) *sqlite.Catalog {
	t.Helper()
	c, err := sqlite.Open(t.Context(), filepath.Join(data, "catalog.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A parked replay is listed with its reason, and made again when asked for.
func TestParkedReplayIsRetried(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	data := t.TempDir()
	d := startDaemon(t, data, "--workers", "0")
	creator := d.publish(programme(5*time.Second), "", nil)
	creator.wait(t)
	d.eventually("the job waits", 20*time.Second, func() bool { return d.live(creator.id).Replay.State == "pending" })
	catalog := openCatalog(t, data)
	claim, err := catalog.Claim(t.Context(), creator.id, "w", time.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := catalog.Release(t.Context(), claim, station.JobParked, "the encoder\nhad a bad day"); err != nil {
		t.Fatal(err)
	}
	if out := command(t, data, "jobs"); !strings.Contains(out, creator.id) || !strings.Contains(out, "parked") || !strings.Contains(out, "the encoder had a bad day") {
		t.Errorf("jobs says:\n%s", out)
	}
	d.stop()
	if out := command(t, data, "jobs", "retry", "--all"); !strings.Contains(out, creator.id) {
		t.Errorf("jobs retry says:\n%s", out)
	}
	d = startDaemon(t, data)
	d.replayOf(creator.id, time.Minute)
	if out := command(t, data, "jobs"); !strings.Contains(out, "Nothing waits") {
		t.Errorf("at the end jobs says:\n%s", out)
	}
	if out := command(t, data, "jobs", "list", "--all"); !strings.Contains(out, "done") {
		t.Errorf("jobs --all says:\n%s", out)
	}
}

// The cleaning deletes the recording of a replay published 8 days ago and keeps
// the replay (M11); asked for a dry run it only says so.
func TestCleaning(t *testing.T) {
	data := t.TempDir()
	catalog, ctx := openCatalog(t, data), t.Context()
	id, ago := uuid.NewString(), time.Now().Add(-8*24*time.Hour)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(catalog.StartLive(ctx, station.Live{ID: id, Title: "Vieux", StartedAt: ago.Add(-time.Hour), State: station.OnAir}))
	check(catalog.EndLive(ctx, id, station.End{At: ago, State: station.Ended, Reason: station.EndCreator}))
	check(catalog.Deposited(ctx, id, false))
	claim, err := catalog.Claim(ctx, id, "w", ago, time.Minute)
	check(err)
	replay := station.Replay{ID: relive.ReplayID(id), LiveID: id, PublishedAt: ago, Key: "replay/" + relive.ReplayID(id)}
	check(catalog.Publish(ctx, claim, replay))
	raw := filepath.Join(data, "objects", "raw", id+".opus")
	mp3 := filepath.Join(data, "objects", "replay", replay.ID, "audio.mp3")
	for _, file := range []string{raw, mp3} {
		check(os.MkdirAll(filepath.Dir(file), 0o700))
		check(os.WriteFile(file, make([]byte, 5000), 0o600))
		check(os.Chtimes(file, ago, ago))
	}
	exists := func(path string) bool { _, err := os.Stat(path); return err == nil }

	if out := command(t, data, "clean", "--dry-run"); !strings.Contains(out, "raw/"+id+".opus") || !exists(raw) {
		t.Errorf("the dry run says (recording there: %v):\n%s", exists(raw), out)
	}
	if out := command(t, data, "clean"); exists(raw) || !exists(mp3) {
		t.Errorf("recording there: %v, replay there: %v\n%s", exists(raw), exists(mp3), out)
	}
	if out := command(t, data, "clean"); strings.Contains(out, id) {
		t.Errorf("once more:\n%s", out)
	}
}

// migrate brings the tables up to date once, and says so.
func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	url := postgrestest.Start(t, postgrestest.Options{}).Database(t)
	for _, want := range []string{"were version 0", "are up to date"} {
		if out := command(t, t.TempDir(), "migrate", "--database-url", url); !strings.Contains(out, want) {
			t.Errorf("migrate says %q, not %q", out, want)
		}
	}
	if out := command(t, t.TempDir(), "migrate"); !strings.Contains(out, "catalog.sqlite are up to date") {
		t.Errorf("migrate says %q", out)
	}
}
