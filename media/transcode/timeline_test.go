package transcode_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

// durations are all that a packet may last.
var durations = []int{120, 240, 480, 960, 1920, 2880, 3840, 4800, 5760}

// randomLive makes a live of silent packets of all durations and loses a share of
// them.
func randomLive(t testing.TB, start int64, length time.Duration, loss float64) []media.Packet {
	t.Helper()
	e, err := opus.NewEncoder(opus.EncoderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	silence := map[int][]byte{}
	for _, d := range durations {
		size := min(d, 960)
		data, err := e.Encode(nil, make([]float32, size))
		if err != nil {
			t.Fatal(err)
		}
		if frames := d / size; frames > 1 { // the same frame several times (RFC 6716 §3.2.5)
			data = append([]byte{data[0] | 3, byte(frames)}, slices.Repeat(data[1:], frames)...)
		}
		silence[d] = data
	}
	random := rand.New(rand.NewPCG(1, 2))
	var packets []media.Packet
	for pts := start; pts < start+media.Samples(length); {
		d := durations[random.IntN(len(durations))]
		p := media.Packet{PTS: pts, Duration: d, Data: silence[d]}
		pts = p.End()
		if random.Float64() >= loss {
			packets = append(packets, p)
			continue
		}
		packets = slices.AppendSeq(packets, media.Gap(p.TOC(), p.PTS, int64(d)))
	}
	return packets
}

// TestTimeIsExact runs five minutes with 5 % loss and every packet duration, ten
// hours into a live: at the end not one sample is too many or missing.
func TestTimeIsExact(t *testing.T) {
	const start = 10 * 3600 * media.SampleRate
	packets := randomLive(t, start, 5*time.Minute, 0.05)
	end := packets[len(packets)-1].End()
	samples, frames := int64(0), int64(0)
	tap := func(pts int64, pcm []float32) {
		if pts != start+samples {
			t.Fatalf("tap at %d, want %d", pts, start+samples)
		}
		samples += int64(len(pcm))
	}
	tr := newTranscoder(t, transcode.Config{Taps: []transcode.Tap{tap}, Rungs: []transcode.Rung{{
		Track:      media.Track{Name: "count", Channels: 1},
		NewEncoder: func() (transcode.Encoder, error) { return new(counter), nil },
	}}})
	emit := func(_ int, f media.Frame) {
		if f.PTS != start-1024+frames*1024 {
			t.Fatalf("frame %d at %d", frames, f.PTS)
		}
		frames++
	}
	for _, p := range packets {
		if err := tr.Transcode(p, emit); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Flush(emit); err != nil {
		t.Fatal(err)
	}
	if samples != end-start || frames != (end-start)/1024 {
		t.Errorf("%d samples in %d frames for %d of the live", samples, frames, end-start)
	}
	if s := tr.Stats(); s.Lost == 0 || s.Bad != 0 || s.Holes != 0 || s.Late != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestTimeline(t *testing.T) {
	tone := mediatest.EncodeOpus(mediatest.Sine(400, -12, 10*time.Second), opus.EncoderConfig{})
	shift := func(p media.Packet, by int64) media.Packet { p.PTS += by; return p }
	bad := func(p media.Packet) media.Packet { p.Data = []byte{31<<3 | 3, 0}; return p }
	cases := map[string]struct {
		packets []media.Packet
		start   int64
		end     int64
		stats   transcode.Stats
	}{
		"whole":                {tone[:5], 0, 4800, transcode.Stats{Packets: 5}},
		"starts late":          {tone[100:105], 96000, 100800, transcode.Stats{Packets: 5}},
		"starts before zero":   {[]media.Packet{shift(tone[0], -5000), shift(tone[1], -5000)}, -5000, -3080, transcode.Stats{Packets: 2}},
		"starts with a loss":   {mediatest.Lose(tone[:5], func(i int) bool { return i < 2 }), 0, 4800, transcode.Stats{Packets: 5, Lost: 2}},
		"ends with a loss":     {mediatest.Lose(tone[:5], func(i int) bool { return i > 2 }), 0, 4800, transcode.Stats{Packets: 5, Lost: 2}},
		"bad packets":          {[]media.Packet{tone[0], bad(tone[1]), bad(tone[2]), tone[3]}, 0, 3840, transcode.Stats{Packets: 4, Bad: 2}},
		"a hole":               {[]media.Packet{tone[0], tone[1], tone[400]}, 0, 401 * 960, transcode.Stats{Packets: 3, Holes: 1}},
		"a hole of 7 samples":  {[]media.Packet{tone[0], shift(tone[1], 7), shift(tone[2], 7)}, 0, 2887, transcode.Stats{Packets: 3, Holes: 1}},
		"a hole after a loss":  {append(mediatest.Lose(tone[:3], func(i int) bool { return i == 2 }), tone[5]), 0, 5760, transcode.Stats{Packets: 4, Lost: 1, Holes: 1}},
		"back in time":         {[]media.Packet{tone[0], tone[1], tone[0], tone[1], tone[2]}, 0, 2880, transcode.Stats{Packets: 5, Late: 2}},
		"overlap":              {[]media.Packet{tone[0], shift(tone[1], -1), tone[1]}, 0, 1920, transcode.Stats{Packets: 3, Late: 1}},
		"longer than it says":  {[]media.Packet{tone[0], {PTS: 960, Duration: 480, Data: tone[1].Data}, shift(tone[2], -480)}, 0, 2400, transcode.Stats{Packets: 3}},
		"shorter than it says": {[]media.Packet{tone[0], {PTS: 960, Duration: 1920, Data: tone[1].Data}, tone[3]}, 0, 3840, transcode.Stats{Packets: 3}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, made := rung("r", 1)
			tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
			checkFrames(t, run(t, tr, c.packets)[0], c.start-1024, c.end)
			if got := int64(len((*made)[0].pcm)); got != c.end-c.start {
				t.Errorf("%d samples, want %d", got, c.end-c.start)
			}
			if got := tr.Stats(); got != c.stats {
				t.Errorf("stats %+v, want %+v", got, c.stats)
			}
		})
	}
}

// TestHoleSoundsSilent checks that time nobody sent is silence, after a fade.
func TestHoleSoundsSilent(t *testing.T) {
	tone := mediatest.EncodeOpus(mediatest.Sine(400, -12, 5*time.Second), opus.EncoderConfig{})
	r, made := rung("r", 1)
	run(t, newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}}), append(slices.Clone(tone[:50]), tone[200:]...))
	pcm := (*made)[0].pcm
	if peak := mediatest.Peak(pcm[51*960+4800 : 200*960]); peak != 0 {
		t.Errorf("peak %.3f in the hole", peak)
	}
	if level := mediatest.RMS(pcm[205*960:]); level < -13 {
		t.Errorf("%.1f dBFS after the hole, want the tone back", level)
	}
}

// TestFECRestoresLosses loses single packets of a stream that libopus made for a
// lossy way.
func TestFECRestoresLosses(t *testing.T) {
	file, err := os.ReadFile("../opus/testdata/hybrid-fec.opus")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := mediatest.OggPackets(file)
	if err != nil {
		t.Fatal(err)
	}
	// Every fifth packet, and twice two in a row, of which only the second can
	// be restored.
	lossy := mediatest.Lose(packets, func(i int) bool { return i%5 == 2 || i == 21 || i == 41 })
	r, made := rung("r", 1)
	tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
	checkFrames(t, run(t, tr, lossy)[0], -1024, packets[len(packets)-1].End())
	stats, whole, got := tr.Stats(), mediatest.DecodeOpus(packets, 1), (*made)[0].pcm
	if len(got) != len(whole) || stats.Recovered < stats.Lost/2 || stats.Recovered > stats.Lost-2 {
		t.Errorf("%d samples of %d, stats %+v", len(got), len(whole), stats)
	}
	concealed := mediatest.Similarity(whole, mediatest.DecodeOpus(lossy, 1), 0)
	restored := mediatest.Similarity(whole, got, 0)
	t.Logf("similarity %.3f concealed, %.3f restored", concealed, restored)
	if restored < concealed+0.02 {
		t.Errorf("similarity %.3f concealed, %.3f restored", concealed, restored)
	}
}

// TestRestart jumps an hour ahead: the encoders end what they have and new ones
// begin there.
func TestRestart(t *testing.T) {
	tone := mediatest.EncodeOpus(mediatest.Sine(400, -12, time.Second), opus.EncoderConfig{})
	r, made := rung("r", 1)
	tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
	packets := slices.Clone(tone)
	const hour = 3600 * media.SampleRate
	for _, p := range tone {
		p.PTS += hour
		packets = append(packets, p)
	}
	frames := run(t, tr, packets)[0]
	cut := slices.IndexFunc(frames, func(f media.Frame) bool { return f.PTS >= hour-1024 })
	checkFrames(t, frames[:cut], -1024, 48000)
	checkFrames(t, frames[cut:], hour-1024, hour+48000)
	if len(*made) != 2 || !(*made)[0].flushed || tr.Stats().Restarts != 1 {
		t.Errorf("%d encoders, stats %+v", len(*made), tr.Stats())
	}
	if !slices.Equal((*made)[0].pcm, (*made)[1].pcm) {
		t.Error("the second part does not sound like the first")
	}
}
