package opus_test

import (
	"math"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
)

const ms = media.SampleRate / 1000

// TestConceal loses 300 ms of a tone: it goes on, fades out from 60 to 100 ms,
// is silent, and comes back without a click.
func TestConceal(t *testing.T) {
	tone := mediatest.EncodeOpus(mediatest.Sine(400, -12, time.Second), opus.EncoderConfig{Bitrate: 64000})
	lossy := mediatest.Lose(tone, func(i int) bool { return i >= 20 && i < 35 })
	for channels := 1; channels <= 2; channels++ {
		both := mediatest.DecodeOpus(lossy, channels)
		if len(both) != channels*media.SampleRate {
			t.Fatalf("%d values for a second of %d channels", len(both), channels)
		}
		pcm := mediatest.Channel(both, channels-1, channels)
		at := func(from, to int) float64 { return mediatest.RMS(pcm[20*960+from*ms : 20*960+to*ms]) }
		if level := at(0, 40); level < -16 || level > -11 {
			t.Errorf("first 40 ms of the loss: %.1f dBFS, want the tone to go on", level)
		}
		if early, late := at(60, 70), at(90, 100); late > early-6 {
			t.Errorf("from %.1f at 60 ms to %.1f dBFS at 90: want it to fade", early, late)
		}
		if peak := mediatest.Peak(pcm[20*960+100*ms : 35*960]); peak != 0 {
			t.Errorf("peak %.4f after 100 ms, want silence", peak)
		}
		if level := at(380, 400); math.Abs(level+12) > 2 {
			t.Errorf("80 ms after the loss: %.1f dBFS, want the tone back", level)
		}
		if jump := largestStep(pcm); jump > 2*largestStep(mediatest.Sine(400, -12, time.Second)) {
			t.Errorf("a step of %.3f from one sample to the next is a click", jump)
		}
	}
}

// largestStep is the largest difference of neighbouring samples.
func largestStep(pcm []float32) float64 {
	step := 0.0
	for i := 1; i < len(pcm); i++ {
		step = max(step, math.Abs(float64(pcm[i]-pcm[i-1])))
	}
	return step
}

// TestAfterOutage cuts a second out of every recording at many places: what
// follows is never louder than it was sent.
func TestAfterOutage(t *testing.T) {
	dst := make([]float32, 2*media.SampleRate)
	for _, r := range recordings {
		packets := r.load(t)
		step := max(1, 5*960/r.frame)
		whole := mediatest.DecodeOpus(packets, r.channels)
		for cut := step; cut+2*step < len(packets); cut += step {
			d := newDecoder(t, r.channels)
			for _, p := range packets[:cut] {
				mustDecode(t, d, p)
			}
			if _, err := d.Conceal(dst, media.SampleRate); err != nil {
				t.Fatal(err)
			}
			var got []float32
			for _, p := range packets[cut+step/2 : cut+2*step] {
				got = append(got, mustDecode(t, d, p)...)
			}
			want := whole[(cut+step/2)*r.frame*r.channels:][:len(got)]
			if louder := mediatest.RMS(got) - mediatest.RMS(want); louder > 3 && mediatest.RMS(got) > -50 {
				t.Errorf("%s: after an outage at packet %d the sound is %.1f dB louder", r.name, cut, louder)
			}
		}
	}
}

// TestConcealAnyLength conceals lengths that are no Opus frame, before and after
// the first packet.
func TestConcealAnyLength(t *testing.T) {
	packet := mediatest.EncodeOpus(mediatest.Sine(400, -12, 20*time.Millisecond), opus.EncoderConfig{})[0]
	for _, samples := range []int{0, 1, 119, 120, 121, 961, 5760, 50001} {
		dst := make([]float32, 2*samples+2)
		dst[2*samples] = 7
		d := newDecoder(t, 2)
		for _, when := range []string{"before the first packet", "after a packet"} {
			if n, err := d.Conceal(dst, samples); n != samples || err != nil {
				t.Errorf("%s: %d samples, %v; want %d", when, n, err, samples)
			}
			mustDecode(t, d, packet)
		}
		if dst[2*samples] != 7 {
			t.Errorf("%d samples: wrote beyond them", samples)
		}
	}
}

// TestLongLossSkipsCodec checks that an outage costs next to nothing.
func TestLongLossSkipsCodec(t *testing.T) {
	d := newDecoder(t, 1)
	mustDecode(t, d, mediatest.EncodeOpus(mediatest.Pink(1, -12, 20*time.Millisecond), opus.EncoderConfig{})[0])
	dst := make([]float32, media.SampleRate)
	if _, err := d.Conceal(dst, len(dst)); err != nil {
		t.Fatal(err)
	}
	clear(dst[:5000])
	dst[0] = 1
	if _, err := d.Conceal(dst, 960); err != nil || mediatest.Peak(dst) != 0 {
		t.Errorf("peak %.3f, %v: a loss goes on silent where the call before left it", mediatest.Peak(dst), err)
	}
}

// TestRecover loses packets of streams with FEC and compares two ways to hear
// them with the stream that lost nothing.
func TestRecover(t *testing.T) {
	for _, r := range recordings {
		packets := r.load(t)
		carriers := 0
		for _, p := range packets {
			if opus.HasFEC(p.Data) {
				carriers++
			}
		}
		if r.name != "silk-fec" && r.name != "hybrid-fec" {
			if carriers > 0 {
				t.Errorf("%s: %d packets seem to carry FEC", r.name, carriers)
			}
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			if carriers < len(packets)/3 {
				t.Fatalf("%d of %d packets carry FEC", carriers, len(packets))
			}
			whole := mediatest.DecodeOpus(packets, 1)
			var lost []int // packets whose copy follows, at least five apart
			for i := 5; i+1 < len(packets); i++ {
				if opus.HasFEC(packets[i+1].Data) && (len(lost) == 0 || i >= lost[len(lost)-1]+5) {
					lost = append(lost, i)
				}
			}
			concealed := meanSimilarity(t, packets, lost, whole, false)
			recovered := meanSimilarity(t, packets, lost, whole, true)
			t.Logf("%d losses: similarity %.3f concealed, %.3f recovered", len(lost), concealed, recovered)
			if recovered < 0.8 || recovered < concealed+0.1 {
				t.Errorf("similarity %.3f concealed, %.3f recovered: FEC should be heard", concealed, recovered)
			}
		})
	}
}

// meanSimilarity decodes a stream without the packets in lost and compares the
// sound in their place with the whole stream.
func meanSimilarity(t *testing.T, packets []media.Packet, lost []int, whole []float32, fec bool) float64 {
	d := newDecoder(t, 1)
	dst := make([]float32, opus.MaxSamples)
	sum, losses := 0.0, float64(len(lost))
	for i, p := range packets {
		if len(lost) == 0 || i != lost[0] {
			mustDecode(t, d, p)
			continue
		}
		n, err := 0, error(nil)
		if fec {
			n, err = d.Recover(dst, p.Duration, packets[i+1])
		} else {
			n, err = d.Conceal(dst, p.Duration)
		}
		if err != nil || n != p.Duration {
			t.Fatalf("packet %d: %d samples, %v", i, n, err)
		}
		sum += mediatest.Similarity(whole[p.PTS:p.End()], dst[:n], 0)
		lost = lost[1:]
	}
	return sum / losses
}

// TestRecoverFallsBack asks for what is not there: the answer is concealment.
func TestRecoverFallsBack(t *testing.T) {
	celt := mediatest.EncodeOpus(mediatest.Sine(400, -12, 100*time.Millisecond), opus.EncoderConfig{})
	var fec media.Packet
	for _, r := range recordings {
		for _, p := range r.load(t) {
			if opus.HasFEC(p.Data) {
				fec = p
			}
		}
	}
	cases := map[string]struct {
		samples int
		next    media.Packet
	}{
		"next is CELT":        {960, celt[2]},
		"next is lost":        {960, media.Packet{Lost: true, Data: fec.Data}},
		"next is empty":       {960, media.Packet{}},
		"odd length":          {961, fec},
		"shorter than a copy": {480, fec},
		"before was CELT":     {960, fec},
		"longer than any":     {opus.MaxSamples + 120, fec},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dst, want := make([]float32, 6000), make([]float32, 6000)
			a, b := newDecoder(t, 1), newDecoder(t, 1)
			mustDecode(t, a, celt[0])
			mustDecode(t, b, celt[0])
			n, err := a.Recover(dst, c.samples, c.next)
			if err != nil || n != c.samples {
				t.Fatalf("%d samples, %v; want %d", n, err, c.samples)
			}
			if _, err := b.Conceal(want, c.samples); err != nil {
				t.Fatal(err)
			}
			if snr(want, dst) < 1000 {
				t.Error("it does not sound like concealment")
			}
		})
	}
}
