package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// durable gives an empty catalog on a server that syncs what it commits.
func durable(b *testing.B) *Catalog {
	b.Helper()
	databaseURL := postgrestest.Start(b, postgrestest.Options{Durable: true}).Database(b)
	if _, _, err := Migrate(b.Context(), databaseURL, nil); err != nil {
		b.Fatal(err)
	}
	return openAt(b, databaseURL)
}

// BenchmarkRecord writes 10 000 events in batches of 500, as the journal ships
// them, and tells what they take on the disk with their indexes.
func BenchmarkRecord(b *testing.B) {
	for _, lives := range []int{1, 100} {
		b.Run(fmt.Sprint("lives=", lives), func(b *testing.B) { benchmarkRecord(b, lives) })
	}
}

func benchmarkRecord(b *testing.B, lives int) {
	c := durable(b)
	total := 0
	for b.Loop() {
		for range 20 {
			batch := visits(newestStart, 500)
			for i := range batch {
				batch[i].LiveID = liveNumber(i % lives)
			}
			if err := c.Record(b.Context(), batch, nil); err != nil {
				b.Fatal(err)
			}
		}
		total += 10_000
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
	size, err := one(b.Context(), c, pgx.RowTo[int64], `
		SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent IN ('audit_events'::regclass, 'audit_ids'::regclass)`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size)/float64(total), "B/event")
}

// BenchmarkSamples writes the counters of a hundred lives at one minute.
func BenchmarkSamples(b *testing.B) {
	c := durable(b)
	lives := make([]station.Sample, 100)
	for i := range lives {
		lives[i] = station.Sample{LiveID: liveNumber(i), Counters: station.Counters{Listeners: 100, Likes: 3}}
	}
	at := newestStart
	for b.Loop() {
		at = at.Add(time.Minute)
		for i := range lives {
			lives[i].At = at
		}
		if err := c.Record(b.Context(), nil, lives); err != nil {
			b.Fatal(err)
		}
	}
	size, err := one(b.Context(), c, pgx.RowTo[int64], "SELECT pg_total_relation_size('counter_samples') / count(*) FROM counter_samples")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size), "B/sample")
}

// BenchmarkLife is all that the catalog does for one live, from its start to its
// replay, one commit after the other.
func BenchmarkLife(b *testing.B) {
	c := durable(b)
	for b.Loop() {
		l := liveCalled("Bouchons sur l'A7")
		now := time.Now()
		for _, step := range []func() error{
			func() error { return c.StartLive(b.Context(), l) },
			func() error { return c.EndLive(b.Context(), l.ID, station.End{At: now, State: station.Ended}) },
			func() error { return c.Deposited(b.Context(), l.ID, false) },
			func() error {
				claim, err := c.Claim(b.Context(), l.ID, "w", now, time.Minute)
				if err != nil {
					return err
				}
				return c.Publish(b.Context(), claim, station.Replay{ID: l.ID, LiveID: l.ID, PublishedAt: now})
			},
		} {
			if err := step(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
