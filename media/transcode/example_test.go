package transcode_test

import (
	"fmt"
	"log"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/loudness"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

// The default ladder and a meter share one decoding; the frames carry the
// creator's time.
func ExampleTranscoder() {
	live := mediatest.EncodeOpus(mediatest.Speech(mediatest.Voice{}, -20, time.Second), opus.EncoderConfig{})
	meter, err := loudness.New(loudness.Config{Channels: 1})
	if err != nil {
		log.Fatal(err)
	}
	rungs := aac.Ladder() // mono, and so is what taps get
	t, err := transcode.New(transcode.Config{
		Rungs: rungs,
		Taps:  []transcode.Tap{func(_ int64, pcm []float32) { meter.Write(pcm) }},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()

	frames := make([]int, len(rungs))
	emit := func(rung int, f media.Frame) { frames[rung]++ }
	for _, p := range live {
		if err := t.Transcode(p, emit); err != nil {
			log.Fatal(err)
		}
	}
	if err := t.Flush(emit); err != nil {
		log.Fatal(err)
	}
	for i, track := range transcode.Tracks(rungs) {
		fmt.Println(track.Name, track.Codec, frames[i], "frames")
	}
	fmt.Printf("%.0f LUFS\n", meter.Integrated())
	// Output:
	// aac48 aac-lc 48 frames
	// aac32 aac-lc 48 frames
	// -23 LUFS
}

// Without rungs nothing is encoded, and nothing emitted.
func ExampleTap() {
	live := mediatest.EncodeOpus(mediatest.Sine(440, -20, time.Second), opus.EncoderConfig{})
	loudest := 0.0
	tap := func(_ int64, pcm []float32) { loudest = max(loudest, mediatest.Peak(pcm)) }
	t, err := transcode.New(transcode.Config{Taps: []transcode.Tap{tap}})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	for _, p := range live {
		if err := t.Transcode(p, nil); err != nil {
			log.Fatal(err)
		}
	}
	if err := t.Flush(nil); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f\n", loudest)
	// Output: 0.1
}
