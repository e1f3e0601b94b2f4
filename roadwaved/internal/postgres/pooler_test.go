package postgres

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A pooler between the daemons and the server gives each transaction another
// connection. The suites pass all the same, and nothing stays behind in one.
func TestPooler(t *testing.T) {
	server := postgrestest.Shared(t)
	pooler := postgrestest.StartPooler(t, server)
	t.Run("migrate", func(t *testing.T) {
		databaseURL := pooler.URL(server.Database(t))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := Migrate(t.Context(), databaseURL, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	direct := server.Database(t)
	databaseURL := pooler.URL(direct)
	if _, _, err := Migrate(t.Context(), databaseURL, nil); err != nil {
		t.Fatal(err)
	}
	through := func(t *testing.T) *Catalog {
		c := openAt(t, databaseURL)
		c.callersClock = true
		t.Cleanup(func() { // before it is closed
			if err := truncate(c); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	t.Run("catalog", func(t *testing.T) {
		stationtest.TestCatalog(t, func(t *testing.T) station.Catalog { return through(t) })
	})
	t.Run("records", func(t *testing.T) {
		stationtest.TestRecords(t, func(t *testing.T) station.Records { return through(t) })
	})
	t.Run("locks", func(t *testing.T) {
		c := openAt(t, direct)
		n, err := one(t.Context(), c, pgx.RowTo[int], `
			SELECT count(*)::integer FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE locktype = 'advisory' AND datname = current_database()`)
		if err != nil || n != 0 {
			t.Errorf("%d locks were left (%v)", n, err)
		}
	})
}
