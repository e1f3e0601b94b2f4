package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// BenchmarkStation opens and closes lives one after the other: three commits
// each, all of them synced.
func BenchmarkStation(b *testing.B) {
	s, err := station.New(station.Config{
		Lives: open(b, filepath.Join(b.TempDir(), "catalog.db")),
		Board: &stationtest.Board{},
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l, err := s.Open(b.Context(), station.Request{CreatorID: "léa", Tags: []string{"été"}})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(b.Context(), l.ID, station.End{Reason: station.EndCreator}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecord writes what an outbox delivers.
func BenchmarkRecord(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := open(b, filepath.Join(b.TempDir(), "catalog.db"))
			for b.Loop() {
				b.StopTimer()
				batch := events(n)
				b.StartTimer()
				if err := c.Record(b.Context(), batch, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
