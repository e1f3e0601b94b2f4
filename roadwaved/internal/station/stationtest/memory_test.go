package stationtest

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryCatalog(t *testing.T) {
	TestCatalog(t, func(*testing.T) station.Catalog { return &Catalog{} })
}

func TestMemoryRecords(t *testing.T) {
	TestRecords(t, func(*testing.T) station.Records { return &Catalog{} })
}

func TestMemoryChores(t *testing.T) {
	TestChores(t, func(*testing.T) station.Chores { return &Catalog{} })
}

func TestMemorySecrets(t *testing.T) {
	TestSecrets(t, func(*testing.T) station.Secrets { return &Catalog{} })
}

func TestMemorySigns(t *testing.T) {
	TestSigns(t, func(*testing.T) station.Signs { return &Catalog{} })
}

func TestMemoryBoard(t *testing.T) {
	TestBoard(t, func(*testing.T) station.Board { return &Board{} }, time.Sleep)
}

// The board leases by the clock, of which a bubble has its own.
func TestMemoryBoardInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Board{}
		ok(t, b.Acquire(t.Context(), "a", 1, time.Hour))
		time.Sleep(time.Hour - time.Nanosecond)
		is(t, b.Acquire(t.Context(), "b", 1, time.Hour), station.ErrFull)
		time.Sleep(time.Nanosecond)
		ok(t, b.Acquire(t.Context(), "b", 1, time.Hour))
	})
}

func TestMemoryQueue(t *testing.T) {
	TestQueue(t, func(*testing.T) station.Queue { return &Queue{} })
}
