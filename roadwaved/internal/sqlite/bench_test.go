package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

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

// BenchmarkListLives reads the first page of those on air, of whom there are a
// hundred among many that are over.
func BenchmarkListLives(b *testing.B) {
	for _, over := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(over), func(b *testing.B) {
			c := open(b, filepath.Join(b.TempDir(), "catalog.db"))
			tx, err := c.writer.Begin()
			if err != nil {
				b.Fatal(err)
			}
			defer tx.Rollback()
			for i := range over + 100 {
				state, ended := station.Ended, stamp(time.Now())
				if i >= over {
					state, ended = station.OnAir, stamp(time.Time{})
				}
				if _, err := tx.Exec(`INSERT INTO lives (live_id, creator_id, title, started_at, zone_geo, tags, classification_age, state, node, ended_at)
					VALUES (?, 'léa', 't', ?, '', '[]', '', ?, 'n', ?)`, uuid.NewString(), stamp(time.Now()), state, ended); err != nil {
					b.Fatal(err)
				}
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if lives, err := c.ListLives(b.Context(), station.LiveQuery{State: station.OnAir}); err != nil || len(lives) != 50 {
					b.Fatal(len(lives), err)
				}
			}
		})
	}
}
