package aac_test

import (
	"fmt"
	"log"
	"time"

	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/transcode"
)

// A second of a tone becomes access units, without ADTS headers, on a timeline.
func ExampleEncoder() {
	encoder, err := aac.NewEncoder(aac.Config{Bitrate: 48000})
	if err != nil {
		log.Fatal(err)
	}
	pts := int64(-encoder.Delay())
	emit := func(frame []byte) { pts += int64(encoder.FrameSize()) }
	if err := encoder.Encode(mediatest.Sine(440, -20, time.Second), emit); err != nil {
		log.Fatal(err)
	}
	if err := encoder.Flush(emit); err != nil {
		log.Fatal(err)
	}
	fmt.Println("one second of sound, frames up to sample", pts)
	// Output: one second of sound, frames up to sample 48128
}

// A music station puts a stereo rung on top of the default ladder. Package
// transcode makes all of them at once, package hls serves them.
func ExampleRung() {
	rungs := append([]transcode.Rung{aac.Rung(aac.Config{Channels: 2, Bitrate: 96000})}, aac.Ladder()...)
	for _, r := range rungs {
		fmt.Println(r.Track.Name, r.Track.Channels)
	}
	// Output:
	// aac96 2
	// aac48 1
	// aac32 1
}
