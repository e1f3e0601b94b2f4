package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/sqlite"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A live ends, a worker claims its job and publishes the replay.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	catalog, err := sqlite.Open(ctx, filepath.Join(dir, "catalog.db"))
	if err != nil {
		panic(err)
	}
	defer catalog.Close()

	now := time.Date(2026, 7, 14, 20, 0, 0, 0, time.UTC)
	catalog.StartLive(ctx, station.Live{ID: "live-1", CreatorID: "léa", Title: "Bouchons", StartedAt: now})
	catalog.EndLive(ctx, "live-1", station.End{At: now.Add(time.Hour), State: station.Ended, Reason: station.EndCreator})
	catalog.Deposited(ctx, "live-1", false)

	claim, err := catalog.Claim(ctx, "live-1", "worker-1", now.Add(time.Hour), time.Minute)
	if err != nil {
		panic(err)
	}
	err = catalog.Publish(ctx, claim, station.Replay{
		ID:          "replay-1",
		LiveID:      "live-1",
		Title:       station.ReplayTitle("Bouchons"),
		GeoType:     station.GeoNeutral,
		PublishedAt: now.Add(65 * time.Minute),
		Duration:    58 * time.Minute,
	})
	fmt.Println(err)

	replay, err := catalog.ReplayOf(ctx, "live-1")
	fmt.Println(replay.Title, replay.GeoType, replay.Duration, err)
	// Output:
	// <nil>
	// [REPLAY] Bouchons Géo-neutre 58m0s <nil>
}

// Records wait in the outbox until the catalog has them.
func ExampleOutbox() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	outbox, err := sqlite.OpenOutbox(ctx, filepath.Join(dir, "outbox.db"))
	if err != nil {
		panic(err)
	}
	defer outbox.Close()
	catalog, err := sqlite.Open(ctx, filepath.Join(dir, "catalog.db"))
	if err != nil {
		panic(err)
	}
	defer catalog.Close()

	now := time.Date(2026, 7, 14, 20, 0, 0, 0, time.UTC)
	outbox.Append(ctx, []station.Event{{ID: "event-1", Kind: station.EventLike, At: now, LiveID: "live-1", UserID: "zoé"}}, nil)

	events, samples, through, err := outbox.Next(ctx, 500)
	if err != nil {
		panic(err)
	}
	if err := catalog.Record(ctx, events, samples); err != nil {
		panic(err) // they stay where they are
	}
	outbox.Drop(ctx, through)

	waiting, err := outbox.Len(ctx)
	fmt.Println(waiting, err)
	users, err := catalog.Reactors(ctx, "live-1", station.Like)
	fmt.Println(users, err)
	// Output:
	// 0 <nil>
	// [zoé] <nil>
}
