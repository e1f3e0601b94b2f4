package replay_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/replay"
)

// These examples are compiled, not run: go test passes without FFmpeg.

// The whole way: a recording in, an MP3 and an HLS playlist in a folder out.
func ExampleMaker_Make() {
	ctx := context.Background()
	maker, err := replay.New(ctx, replay.Config{})
	if err != nil {
		log.Fatal(err) // says what to install
	}
	store, err := hls.NewDir("public")
	if err != nil {
		log.Fatal(err)
	}
	result, err := maker.Make(ctx, replay.Job{
		Recording: "live.opus",
		Tags:      replay.Tags{Title: "La nationale 7", Artist: "Camille", Date: time.Now()},
		Store:     store,
		Prefix:    "replay/42",
	})
	switch {
	case errors.Is(err, replay.ErrSilent), errors.Is(err, replay.ErrEmpty):
		log.Fatal("there is nothing to hear: ", err) // no use in trying again
	case err != nil:
		log.Fatal(err)
	}
	fmt.Printf("%s: %v, %v\n", result.Index, result.Duration, result.After)
}

// What is in a recording, without making anything.
func ExampleMaker_Analyze() {
	ctx := context.Background()
	maker, err := replay.New(ctx, replay.Config{SilenceMin: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	analysis, err := maker.Analyze(ctx, "live.opus")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v, %v\n", analysis.Duration, analysis.Loudness)
	for _, s := range analysis.Removed {
		fmt.Printf("nothing to hear from %v to %v\n", s.Begin, s.End)
	}
}
