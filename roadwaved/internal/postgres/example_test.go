package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A daemon brings the tables up to date when it starts, along with the others
// that start, and then asks who is on air. It is shown, not run: it needs a server.
func Example() {
	ctx := context.Background()
	databaseURL := os.Getenv("ROADWAVE_DATABASE_URL")
	_, version, err := postgres.Migrate(ctx, databaseURL, slog.Default())
	if errors.Is(err, station.ErrAway) {
		fmt.Println("later:", err)
		return
	}
	if err != nil {
		panic(err)
	}
	catalog, err := postgres.Open(ctx, databaseURL, postgres.Config{})
	if err != nil {
		panic(err)
	}
	defer catalog.Close()
	lives, err := catalog.ListLives(ctx, station.LiveQuery{State: station.OnAir, Text: "bouchons"})
	fmt.Println(version, len(lives), err)
}
