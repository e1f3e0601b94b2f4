package loudness_test

import (
	"fmt"
	"math"

	"github.com/roadwave/roadwave/media/loudness"
)

func ExampleMeter() {
	meter, err := loudness.New(loudness.Config{Channels: 2})
	if err != nil {
		panic(err)
	}
	// Ten seconds of a 1 kHz tone that peaks at −20 dBFS in both channels,
	// written as it would arrive: 20 ms at a time.
	packet := make([]float32, 2*960)
	for n := 0; n < 10*loudness.SampleRate; n += 960 {
		for i := range 960 {
			v := float32(0.1 * math.Sin(2*math.Pi*1000*float64(n+i)/loudness.SampleRate))
			packet[2*i], packet[2*i+1] = v, v
		}
		meter.Write(packet)
	}
	fmt.Printf("%.1f LUFS, %.1f dBTP\n", meter.Integrated(), meter.TruePeak())
	// Output: -20.0 LUFS, -20.0 dBTP
}

func ExampleGate() {
	// A gate remembers loudness, not sound: half a minute of talk, half a
	// minute of pause that the gate leaves out of the result.
	var gate loudness.Gate
	for range 30 * loudness.StepsPerSecond {
		gate.Add(loudness.Power(-18))
	}
	for range 30 * loudness.StepsPerSecond {
		gate.Add(loudness.Power(-50))
	}
	fmt.Printf("integrated %.1f, short-term %.1f LUFS\n", gate.Integrated(), gate.ShortTerm())
	// Output: integrated -18.0, short-term -50.0 LUFS
}
