package opus_test

import (
	"fmt"
	"log"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

// A live is decoded packet by packet into one buffer; lost packets are decoded too.
func ExampleDecoder() {
	live := mediatest.Lose(
		mediatest.EncodeOpus(mediatest.Sine(440, -20, time.Second), opus.EncoderConfig{}),
		func(i int) bool { return i == 30 })

	decoder, err := opus.NewDecoder(1)
	if err != nil {
		log.Fatal(err)
	}
	pcm := make([]float32, opus.MaxSamples)
	samples := 0
	for _, p := range live {
		n, err := decoder.Decode(pcm, p)
		if err != nil {
			log.Fatal(err)
		}
		samples += n
	}
	fmt.Println(media.Duration(int64(samples)))
	// Output: 1s
}

// A tone becomes packets of 20 ms.
func ExampleEncoder() {
	encoder, err := opus.NewEncoder(opus.EncoderConfig{Bitrate: 64000})
	if err != nil {
		log.Fatal(err)
	}
	packet, err := encoder.Encode(nil, mediatest.Sine(440, -20, 20*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	duration, err := media.PacketDuration(packet)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(media.Duration(int64(duration)), "with pre-skip", encoder.PreSkip())
	// Output: 20ms with pre-skip 312
}
