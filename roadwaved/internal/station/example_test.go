package station_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A live goes on air, ends, and leaves a job to make its replay.
func Example() {
	ctx := context.Background()
	catalog := &stationtest.Catalog{}
	s, err := station.New(station.Config{Lives: catalog, Board: &stationtest.Board{}, MaxLives: 1})
	if err != nil {
		panic(err)
	}

	live, err := s.Open(ctx, station.Request{CreatorID: "léa", Title: "Bouchons sur l'A7", Tags: []string{"Trafic"}})
	fmt.Println(live.Title, live.Tags, live.ClassificationAge, err)

	if _, err := s.Open(ctx, station.Request{CreatorID: "tom"}); errors.Is(err, station.ErrFull) {
		fmt.Println(station.MessageFull)
	}

	if err := s.Close(ctx, live.ID, station.End{Reason: station.EndCreator}); err != nil {
		panic(err)
	}
	live, _ = catalog.Live(ctx, live.ID)
	job, _ := catalog.Job(ctx, live.ID)
	fmt.Println(live.Message(), job.State)
	// Output:
	// Bouchons sur l'A7 [trafic] tout public <nil>
	// Capacité maximale atteinte. Veuillez réessayer dans quelques minutes
	// Le live est terminé uploading
}

// A request that cannot be met says why, to people and to engineers.
func ExampleInvalidError() {
	s, _ := station.New(station.Config{Lives: &stationtest.Catalog{}, Board: &stationtest.Board{}})
	_, err := s.Open(context.Background(), station.Request{ClassificationAge: "-14"})
	var invalid *station.InvalidError
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Field)
		fmt.Println(invalid.Message)
		fmt.Println(err)
	}
	// Output:
	// classification_age
	// La classification d'âge doit être l'une de : tout public, -10, -12, -16, -18
	// invalid classification_age: "-14" is not one of tout public, -10, -12, -16, -18
}

// A listener joins, is heard of, and likes the live; who closes it gets the
// figures.
func ExampleAudience() {
	ctx := context.Background()
	catalog := &stationtest.Catalog{}
	if err := catalog.StartLive(ctx, station.Live{ID: "live-1"}); err != nil {
		panic(err)
	}
	a, err := station.NewAudience(station.AudienceConfig{
		Attendance: &stationtest.Attendance{}, Journal: quietLog{}, Records: catalog, Lives: catalog,
		Key:   make([]byte, 32), // of a real house: Secrets.Secret
		OnAir: func() []string { return []string{"live-1"} },
	})
	if err != nil {
		panic(err)
	}

	ticket, err := a.Join(ctx, station.Join{LiveID: "live-1", UserID: "léa", Origin: "192.0.2.7"})
	fmt.Println(ticket.UserID, ticket.Heartbeat, err)
	fmt.Println(a.Beat(ctx, "live-1", ticket.ListenerID, "192.0.2.7"))
	for range 2 {
		fmt.Println(a.React(ctx, station.Reacting{LiveID: "live-1", UserID: "léa", Origin: "192.0.2.7", Reaction: station.Like}))
	}

	f := a.Finish(ctx, "live-1")
	fmt.Println(f.Visits, f.Peak, f.Likes)
	err = a.Beat(ctx, "live-1", ticket.ListenerID, "192.0.2.7")
	fmt.Println(errors.Is(err, station.ErrGone))
	// Output:
	// léa 10s <nil>
	// <nil>
	// true <nil>
	// false <nil>
	// 1 1 1
	// true
}
