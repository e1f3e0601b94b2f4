package postgres

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

// tests stop the server they have in common before leaks are looked for.
type tests struct{ m *testing.M }

func (t tests) Run() int {
	code := t.m.Run()
	if err := postgrestest.CloseShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// empty gives a database with tables and nothing in them.
func empty(t testing.TB) (databaseURL string) {
	t.Helper()
	s := postgrestest.Shared(t)
	prepare.Do(func() {
		ctx := context.Background()
		if prepared, prepareErr = s.Create(ctx, ""); prepareErr == nil {
			_, _, prepareErr = Migrate(ctx, prepared, nil)
		}
	})
	if prepareErr != nil {
		t.Fatal(prepareErr)
	}
	return s.Copy(t, prepared)
}

// One database is migrated, the tests have copies of it.
var (
	prepare    sync.Once
	prepared   string
	prepareErr error
)

func openAt(t testing.TB, databaseURL string) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), databaseURL, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func fresh(t testing.TB) *Catalog {
	t.Helper()
	return openAt(t, empty(t))
}

func TestConformance(t *testing.T) {
	t.Run("catalog", func(t *testing.T) {
		stationtest.TestCatalog(t, func(t *testing.T) station.Catalog { return fresh(t) })
	})
	t.Run("records", func(t *testing.T) {
		stationtest.TestRecords(t, func(t *testing.T) station.Records { return fresh(t) })
	})
	t.Run("chores", func(t *testing.T) {
		stationtest.TestChores(t, func(t *testing.T) station.Chores { return fresh(t) })
	})
	t.Run("secrets", func(t *testing.T) {
		stationtest.TestSecrets(t, func(t *testing.T) station.Secrets { return fresh(t) })
	})
}
