package stationtest

import (
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestMemoryWire(t *testing.T) {
	TestWire(t, func(*testing.T) station.Wire { return &Wire{} })
}
