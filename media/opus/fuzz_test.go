package opus_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

// FuzzDecode gives a decoder two strange packets between good ones, with a loss
// that the second may restore. Nothing may panic, even inside, and sound stays sound.
func FuzzDecode(f *testing.F) {
	for _, r := range recordings {
		packets := r.load(f)
		f.Add(packets[5].Data, packets[6].Data, r.channels == 2)
		f.Add(packets[6].Data[:len(packets[6].Data)/2], packets[9].Data, r.channels == 1)
	}
	f.Add([]byte{31<<3 | 3, 0xc2, 3, 10}, []byte{}, true)
	good := mediatest.EncodeOpus(mediatest.Speech(mediatest.Voice{}, -20, 100*time.Millisecond), opus.EncoderConfig{})
	f.Fuzz(func(t *testing.T, first, second []byte, stereo bool) {
		channels := 1
		if stereo {
			channels = 2
		}
		d := newDecoder(t, channels)
		dst := make([]float32, opus.MaxSamples*channels)
		for _, data := range [][]byte{good[1].Data, first, second, good[3].Data, first} {
			n, err := d.Decode(dst, media.Packet{Data: data})
			checkSound(t, dst, n*channels, err)
			n, err = d.Recover(dst, 960, media.Packet{Data: second})
			checkSound(t, dst, n*channels, err)
		}
	})
}

func checkSound(t *testing.T, dst []float32, values int, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, opus.ErrPacket) {
		t.Fatal(err)
	}
	for i, v := range dst[:values] {
		if math.IsNaN(float64(v)) || v < -1 || v > 1 {
			t.Fatalf("value %d is %v", i, v)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, r := range recordings {
		b.Run(r.name, func(b *testing.B) {
			packets := r.load(b)
			d := newDecoder(b, r.channels)
			dst := make([]float32, opus.MaxSamples*r.channels)
			i, samples := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				n, err := d.Decode(dst, packets[i%len(packets)])
				if err != nil {
					b.Fatal(err)
				}
				i, samples = i+1, samples+n
			}
			realtime(b, samples)
		})
	}
}

func BenchmarkConceal(b *testing.B) {
	packet := mediatest.EncodeOpus(mediatest.Sine(400, -12, 20*time.Millisecond), opus.EncoderConfig{})[0]
	d := newDecoder(b, 1)
	dst := make([]float32, opus.MaxSamples)
	samples := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(dst, packet); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Conceal(dst, 960); err != nil {
			b.Fatal(err)
		}
		samples += 2 * 960
	}
	realtime(b, samples)
}

func BenchmarkEncode(b *testing.B) {
	pcm := mediatest.Speech(mediatest.Voice{}, -20, time.Second)
	e, err := opus.NewEncoder(opus.EncoderConfig{})
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1500)
	samples := 0
	b.ReportAllocs()
	for b.Loop() {
		at := samples % len(pcm)
		if _, err := e.Encode(buf, pcm[at:at+960]); err != nil {
			b.Fatal(err)
		}
		samples += 960
	}
	realtime(b, samples)
}

// realtime reports how many seconds of sound one second makes.
func realtime(b *testing.B, samples int) {
	b.ReportMetric(media.Duration(int64(samples)).Seconds()/b.Elapsed().Seconds(), "x-realtime")
}
