package stationtest

import (
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestMemoryNodes(t *testing.T) {
	TestNodes(t, func(*testing.T) station.Nodes { return &Nodes{} }, time.Sleep)
}
