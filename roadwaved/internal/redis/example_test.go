package redis_test

import (
	"context"
	"fmt"

	"github.com/roadwave/roadwave/roadwaved/internal/redis"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// The embedded server needs nothing but this process.
func ExampleEmbedded() {
	r, err := redis.Embedded(redis.Config{})
	if err != nil {
		panic(err)
	}
	defer r.Close()

	ctx, stop := context.WithCancel(context.Background())
	queue := r.Queue()
	if err := queue.Enqueue(ctx, "live-1", station.PriorityNormal); err != nil {
		panic(err)
	}
	err = queue.Work(ctx, 1, func(_ context.Context, liveID string) error {
		fmt.Println("makes the replay of", liveID)
		stop()
		return nil
	})
	fmt.Println("stopped:", err)
	// Output:
	// makes the replay of live-1
	// stopped: <nil>
}

// Who is heard of is counted, until somebody closes the visits that are silent.
func ExampleAttendance() {
	r, err := redis.Embedded(redis.Config{})
	if err != nil {
		panic(err)
	}
	defer r.Close()

	ctx := context.Background()
	audience := r.Attendance()
	for _, id := range []string{"anna", "bert", "anna"} {
		if err := audience.Touch(ctx, station.Visit{ID: id, LiveID: "live-1"}, 0); err != nil {
			panic(err)
		}
	}
	if err := audience.CloseVisits(ctx, "live-1", "bert"); err != nil {
		panic(err)
	}
	counters, _, err := audience.Count(ctx, "live-1")
	fmt.Println(counters.Listeners, "of", counters.Visits, err)
	// Output:
	// 1 of 2 <nil>
}
