package media_test

import (
	"fmt"
	"log"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

// Two sinks, one source: neither sink waits for the other.
func Example() {
	voice := mediatest.Speech(mediatest.Voice{}, -20, time.Second)
	creator := mediatest.Packets(mediatest.EncodeOpus(voice, opus.EncoderConfig{})...)
	recording, live := new(mediatest.Recorder), new(mediatest.Recorder) // opusrec.Recorder, hls.Live
	if err := media.Copy(media.Fanout(recording, live), creator); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(recording.Packets()), len(live.Packets()))
	// Output: 50 50
}

// The second of three packets never arrives. The third waits for it, no longer
// than needed, and its place is marked lost.
func ExampleJitter() {
	jitter := media.NewJitter(media.JitterConfig{})
	start := time.Now()
	for _, i := range []int{0, 2} {
		jitter.Push(start.Add(time.Duration(i)*20*time.Millisecond), media.RTP{
			Sequence: uint16(i), Timestamp: uint32(i) * 960, Payload: []byte{0xf8, 1, 2},
		})
	}
	now := start.Add(40 * time.Millisecond)
	for range 3 {
		p, ok := jitter.Pop(now)
		if !ok {
			wake, _ := jitter.Wake()
			fmt.Println("nothing until", wake.Sub(start))
			now = wake
			p, _ = jitter.Pop(now)
		}
		fmt.Println(media.Duration(p.PTS), "lost:", p.Lost)
	}
	// Output:
	// 0s lost: false
	// nothing until 80ms
	// 20ms lost: true
	// 40ms lost: false
}

func ExampleGap() {
	opus := media.TOC(0xfc) // CELT, 20 ms, stereo
	for p := range media.Gap(opus, 48000, media.Samples(50*time.Millisecond)) {
		fmt.Println(media.Duration(p.PTS), media.Duration(int64(p.Duration)))
	}
	// Output:
	// 1s 20ms
	// 1.02s 20ms
	// 1.04s 10ms
}
