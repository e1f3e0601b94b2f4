package postgres

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/lock"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Eight daemons start in the same instant on an empty database.
func TestMigrateByMany(t *testing.T) {
	databaseURL := postgrestest.Shared(t).Database(t)
	var wg sync.WaitGroup
	did := make(chan int64, 8)
	for range 8 {
		wg.Go(func() {
			from, to, err := Migrate(t.Context(), databaseURL, nil)
			if err != nil || to != newest() {
				t.Errorf("from %d to %d: %v", from, to, err)
			}
			did <- to - from
		})
	}
	wg.Wait()
	close(did)
	var versions int64
	for n := range did {
		versions += n
	}
	if versions != newest() {
		t.Errorf("%d versions were made in all, want %d", versions, newest())
	}
	from, to, err := Migrate(t.Context(), databaseURL, nil)
	if err != nil || from != newest() || to != newest() {
		t.Errorf("migrated again: from %d to %d: %v", from, to, err)
	}
	openAt(t, databaseURL)
}

// A server that says who it is and then nothing more: the tables are locked.
func TestServerThatStopsAnswering(t *testing.T) {
	impatient(t, 300*time.Millisecond)
	databaseURL := empty(t)
	c := openAt(t, databaseURL)
	tx, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), "LOCK TABLE goose_db_version"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), databaseURL, Config{})
	_, _, merr := Migrate(t.Context(), databaseURL, nil)
	for what, err := range map[string]error{"Open": err, "Migrate": merr} {
		if !errors.Is(err, station.ErrAway) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who waits for another daemon to make the tables says so.
func TestWaitForMigration(t *testing.T) {
	impatient(t, 500*time.Millisecond)
	databaseURL := postgrestest.Shared(t).Database(t)
	other, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(t.Context())
	if _, err := other.Exec(t.Context(), "SELECT pg_advisory_lock($1)", lock.DefaultLockID); err != nil {
		t.Fatal(err)
	}
	said, log := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, _, err := Migrate(t.Context(), databaseURL, slog.New(slog.NewTextHandler(log, nil)))
		log.CloseWithError(err) // io.EOF where there is none
		done <- err
	}()
	lines := bufio.NewScanner(said)
	waited := false
	for lines.Scan() {
		if !waited && strings.Contains(lines.Text(), "waiting for it") {
			waited = true
			if _, err := other.Exec(t.Context(), "SELECT pg_advisory_unlock($1)", lock.DefaultLockID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-done; err != nil || !waited {
		t.Errorf("it said that it waits: %v (%v)", waited, err)
	}
	openAt(t, databaseURL)
}

// impatient shortens what a test would have to wait for.
func impatient(t *testing.T, d time.Duration) {
	before := patience
	patience = d
	t.Cleanup(func() { patience = before })
}

func exec(t *testing.T, databaseURL, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestTablesOfAnotherVersion(t *testing.T) {
	bare := postgrestest.Shared(t).Database(t)
	if _, err := Open(t.Context(), bare, Config{}); err == nil || !strings.Contains(err.Error(), "roadwaved migrate") {
		t.Errorf("without tables: %v", err)
	}
	newer := empty(t)
	exec(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, true)")
	_, err := Open(t.Context(), newer, Config{})
	_, _, merr := Migrate(t.Context(), newer, nil)
	for what, err := range map[string]error{"Open": err, "Migrate": merr} {
		if err == nil || !strings.Contains(err.Error(), "newer roadwaved") || !strings.Contains(err.Error(), "version 9000") {
			t.Errorf("%s of newer tables: %v", what, err)
		}
	}
}

// A database in another encoding cannot hold what people write.
func TestEncoding(t *testing.T) {
	s := postgrestest.Shared(t)
	if err := s.Exec(t.Context(), "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "latin"
	t.Cleanup(func() { s.Exec(t.Context(), "DROP DATABASE latin") })
	if _, _, err := Migrate(t.Context(), u.String(), nil); err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("a database in LATIN1: %v", err)
	}
}

// A dump of the tables can be restored, which is not so where the expression of
// a column looks for a function by a search path.
func TestDumpAndRestore(t *testing.T) {
	from := empty(t)
	c := openAt(t, from)
	if err := c.StartLive(t.Context(), liveCalled("Été sur l'A7")); err != nil {
		t.Fatal(err)
	}
	if err := c.Record(t.Context(), visits(newestStart, 3), nil); err != nil {
		t.Fatal(err)
	}
	to := postgrestest.Shared(t).Database(t)
	if err := postgrestest.Shared(t).DumpAndRestore(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	restored := openAt(t, to)
	if got := find(t, restored, "ete"); len(got) != 1 {
		t.Errorf("found %v in the restored catalog", got)
	}
	if err := restored.StartLive(t.Context(), liveCalled("Étés")); err != nil {
		t.Error(err)
	}
	if got := eventCount(t, restored); got != 3 {
		t.Errorf("%d events were restored, want 3", got)
	}
}
