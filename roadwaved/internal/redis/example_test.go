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
