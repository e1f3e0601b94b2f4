package sqlite

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), path)
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

func openNew(t *testing.T) *Catalog { return open(t, filepath.Join(t.TempDir(), "catalog.db")) }

func TestConformance(t *testing.T) {
	t.Run("catalog", func(t *testing.T) {
		stationtest.TestCatalog(t, func(t *testing.T) station.Catalog { return openNew(t) })
	})
	t.Run("records", func(t *testing.T) {
		stationtest.TestRecords(t, func(t *testing.T) station.Records { return openNew(t) })
	})
	t.Run("chores", func(t *testing.T) {
		stationtest.TestChores(t, func(t *testing.T) station.Chores { return openNew(t) })
	})
	t.Run("signs", func(t *testing.T) {
		stationtest.TestSigns(t, func(t *testing.T) station.Signs { return openNew(t) })
	})
	t.Run("secrets", func(t *testing.T) {
		stationtest.TestSecrets(t, func(t *testing.T) station.Secrets { return openNew(t) })
	})
}
