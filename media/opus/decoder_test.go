package opus_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRecordings decodes what libopus encoded, in every mode, and compares it
// with the sound that was encoded.
func TestRecordings(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			packets := r.load(t)
			modes := map[string]int{}
			for _, p := range packets {
				modes[mode(p)]++
				if p.Duration != r.frame {
					t.Fatalf("packet of %d samples, want %d", p.Duration, r.frame)
				}
			}
			if r.mode != "" && modes[r.mode] != len(packets) || r.mode == "" && len(modes) < 2 {
				t.Fatalf("modes are %v, the test wants %q", modes, r.mode)
			}
			got := mediatest.DecodeOpus(packets, r.channels)
			if want := len(packets) * r.frame * r.channels; len(got) != want {
				t.Fatalf("%d values, want %d", len(got), want)
			}
			// The chord on the right is periodic and may be found a period off, so
			// only the voice on the left is looked at.
			offset, similarity := mediatest.Align(mediatest.Channel(r.sound(), 0, r.channels), mediatest.Channel(got, 0, r.channels))
			if offset < 100 || offset > 320 || similarity < 0.8 {
				t.Errorf("%d samples later, similarity %.3f: want the encoder's delay and the same voice", offset, similarity)
			}
		})
	}
}

// TestAgainstLibopus compares every sample with FFmpeg's libopus, which
// calculates in floating point: SILK is equal to the bit, CELT within rounding.
func TestAgainstLibopus(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			file, err := os.ReadFile(r.path())
			if err != nil {
				t.Fatal(err)
			}
			want := mediatest.Listen(t, file, r.channels, "-c:a", "libopus")
			got := mediatest.DecodeOpus(r.load(t), r.channels)
			// FFmpeg drops the pre-skip of the header, and what the end trims.
			preSkip := 312
			if r.frame == 120 {
				preSkip = 120 // -application lowdelay
			}
			got = got[preSkip*r.channels:]
			if len(want) > len(got) || len(want) < len(got)-2*2880*r.channels {
				t.Fatalf("%d values, libopus gives %d", len(got), len(want))
			}
			if ratio := snr(want, got); ratio < 65 {
				t.Errorf("%.1f dB from libopus, want at least 65", ratio)
			}
		})
	}
}

// snr is how far, in dB, the difference of two sounds lies below the first.
func snr(want, got []float32) float64 {
	var signal, noise float64
	for i, w := range want[:min(len(want), len(got))] {
		d := float64(w - got[i])
		signal, noise = signal+float64(w)*float64(w), noise+d*d
	}
	return 10 * math.Log10(signal/noise)
}

func TestChannels(t *testing.T) {
	mono := mediatest.EncodeOpus(mediatest.Sine(500, -20, time.Second), opus.EncoderConfig{Bitrate: 64000})
	stereo := mediatest.EncodeOpus(mediatest.Stereo(mediatest.Sine(500, -20, time.Second), mediatest.Silence(time.Second)),
		opus.EncoderConfig{Channels: 2, Bitrate: 96000})
	// One live that changes between both every quarter of a second.
	var packets []media.Packet
	for i := range mono {
		p := mono[i]
		if i/12%2 == 1 {
			p = stereo[i]
		}
		packets = append(packets, p)
	}
	part := func(pcm []float32, from, to, channel, channels int) float64 {
		return mediatest.RMS(mediatest.Channel(pcm, channel, channels)[from*960 : to*960])
	}
	level := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.7 && !(want < -60 && got < -45) {
			t.Errorf("%s: %.1f dBFS, want %.1f", name, got, want)
		}
	}
	two := mediatest.DecodeOpus(packets, 2)
	level("mono on the left", part(two, 3, 11, 0, 2), -20)
	level("mono on the right", part(two, 3, 11, 1, 2), -20)
	level("stereo on the left", part(two, 15, 23, 0, 2), -20)
	level("stereo on the right", part(two, 15, 23, 1, 2), -70)
	one := mediatest.DecodeOpus(packets, 1)
	level("mono as mono", part(one, 3, 11, 0, 1), -20)
	level("stereo as mono", part(one, 15, 23, 0, 1), -26)
}

// TestLoudStereoAsMono decodes two full-scale channels into one: nothing clips.
func TestLoudStereoAsMono(t *testing.T) {
	loud := mediatest.Sine(300, -0.5, time.Second)
	pcm := mediatest.DecodeOpus(mediatest.EncodeOpus(mediatest.Stereo(loud, loud), opus.EncoderConfig{Channels: 2, Bitrate: 128000}), 1)
	if _, similarity := mediatest.Align(loud, pcm); similarity < 0.999 {
		t.Errorf("similarity %.4f: the sound is distorted", similarity)
	}
}

func TestBadPackets(t *testing.T) {
	good := mediatest.EncodeOpus(mediatest.Sine(500, -20, 100*time.Millisecond), opus.EncoderConfig{})
	cases := map[string][]byte{
		"empty":            {},
		"nil":              nil,
		"no frame count":   {3},
		"zero frames":      {31<<3 | 3, 0},
		"more than 120 ms": {31<<3 | 3, 7, 1, 2, 3, 4, 5, 6, 7},
		"odd halves":       {31<<3 | 1, 1, 2, 3},
		"padding too long": {31<<3 | 3, 0x41, 200, 1},
		"frame too long":   make([]byte, 1277),
		"packet too long":  append([]byte{28<<3 | 3, 48}, make([]byte, 48*200)...),
	}
	dst := make([]float32, opus.MaxSamples)
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(t, 1)
			mustDecode(t, d, good[0])
			if n, err := d.Decode(dst, media.Packet{Duration: 960, Data: data}); n != 0 || !errors.Is(err, opus.ErrPacket) {
				t.Errorf("%d samples, %v; want ErrPacket", n, err)
			}
			if n, err := d.Conceal(dst, 960); n != 960 || err != nil {
				t.Errorf("concealment after it: %d samples, %v", n, err)
			}
			mustDecode(t, d, good[2])
		})
	}
}

func TestShortBuffer(t *testing.T) {
	d := newDecoder(t, 2)
	packet := mediatest.EncodeOpus(mediatest.Sine(500, -20, 20*time.Millisecond), opus.EncoderConfig{})[0]
	if _, err := d.Decode(make([]float32, 2*960-1), packet); err == nil || errors.Is(err, opus.ErrPacket) {
		t.Errorf("Decode into a buffer too short: %v; want an error about the buffer", err)
	}
	if _, err := d.Conceal(make([]float32, 2*960-1), 960); err == nil {
		t.Error("Conceal into a buffer too short gives no error")
	}
	for channels := -1; channels < 4; channels++ {
		if _, err := opus.NewDecoder(channels); (err == nil) != (channels == 1 || channels == 2) {
			t.Errorf("NewDecoder(%d): %v", channels, err)
		}
	}
}

// TestPanic shows that a codec that fails costs an error, and works again after it.
func TestPanic(t *testing.T) {
	packets := mediatest.EncodeOpus(mediatest.Sine(500, -20, time.Second), opus.EncoderConfig{})
	d := newDecoder(t, 1)
	mustDecode(t, d, packets[0])
	if err := d.Panic(); !errors.Is(err, opus.ErrPanic) {
		t.Fatalf("%v, want ErrPanic", err)
	}
	var pcm []float32
	for _, p := range packets {
		pcm = append(pcm, mustDecode(t, d, p)...)
	}
	if !slices.Equal(pcm, mediatest.DecodeOpus(packets, 1)) {
		t.Error("after a panic the decoder does not sound like a new one")
	}
}

func TestReset(t *testing.T) {
	packets := mediatest.EncodeOpus(mediatest.Speech(mediatest.Voice{}, -20, time.Second), opus.EncoderConfig{})
	d := newDecoder(t, 2)
	mustDecode(t, d, packets[20])
	d.Reset()
	var pcm []float32
	for _, p := range packets {
		pcm = append(pcm, mustDecode(t, d, p)...)
	}
	if !slices.Equal(pcm, mediatest.DecodeOpus(packets, 2)) {
		t.Error("after Reset the decoder does not sound like a new one")
	}
}

func TestDecodeLeavesPacketAlone(t *testing.T) {
	for _, r := range recordings {
		for _, p := range r.load(t)[:10] {
			before := bytes.Clone(p.Data)
			mustDecode(t, newDecoder(t, 2), p)
			if !bytes.Equal(before, p.Data) {
				t.Fatalf("%s: Decode changed the packet", r.name)
			}
		}
	}
}

func newDecoder(t testing.TB, channels int) *opus.Decoder {
	t.Helper()
	d, err := opus.NewDecoder(channels)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustDecode(t testing.TB, d *opus.Decoder, p media.Packet) []float32 {
	t.Helper()
	dst := make([]float32, opus.MaxSamples*d.Channels())
	n, err := d.Decode(dst, p)
	if err != nil || n != p.Duration {
		t.Fatalf("packet at %d: %d samples, %v; want %d", p.PTS, n, err, p.Duration)
	}
	return dst[:n*d.Channels()]
}
