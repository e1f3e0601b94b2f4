package transcode_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ladder is what a segmenter asks for.
type ladder interface {
	Transcode(p media.Packet, emit func(rung int, f media.Frame)) error
	Flush(emit func(rung int, f media.Frame)) error
	Close() error
}

var _ ladder = (*transcode.Transcoder)(nil)

// A plain encoder has frames of 1024 and a delay like AAC, keeps the sound it was given
// and writes the number of the frame. It can be made to fail.
type plain struct {
	channels int
	pcm      []float32
	frames   int
	flushed  bool
	fail     error
}

func (e *plain) Encode(pcm []float32, emit func([]byte)) error {
	if e.fail != nil {
		return e.fail
	}
	e.pcm = append(e.pcm, pcm...)
	for (e.frames+1)*1024 <= len(e.pcm)/e.channels {
		e.emit(emit)
	}
	return nil
}

func (e *plain) Flush(emit func([]byte)) error {
	for e.frames*1024 < len(e.pcm)/e.channels+1024 {
		e.emit(emit)
	}
	e.flushed = true
	return e.fail
}

func (e *plain) emit(emit func([]byte)) {
	emit([]byte{byte(e.frames), byte(e.frames >> 8)})
	e.frames++
}

func (e *plain) FrameSize() int { return 1024 }
func (e *plain) Delay() int     { return 1024 }

// rung gives a rung of plain encoders and a list that each new one is added to.
func rung(name string, channels int) (transcode.Rung, *[]*plain) {
	made := new([]*plain)
	return transcode.Rung{
		Track: media.Track{Name: name, Channels: channels},
		NewEncoder: func() (transcode.Encoder, error) {
			e := &plain{channels: channels}
			*made = append(*made, e)
			return e, nil
		},
	}, made
}

func newTranscoder(t testing.TB, config transcode.Config) *transcode.Transcoder {
	t.Helper()
	tr, err := transcode.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// run transcodes packets to the end and gives the frames of each rung.
func run(t testing.TB, tr *transcode.Transcoder, packets []media.Packet) [][]media.Frame {
	t.Helper()
	frames := make([][]media.Frame, len(tr.Tracks()))
	emit := func(rung int, f media.Frame) { frames[rung] = append(frames[rung], f) }
	for _, p := range packets {
		if err := tr.Transcode(p, emit); err != nil {
			t.Fatalf("packet at %d: %v", p.PTS, err)
		}
	}
	if err := tr.Flush(emit); err != nil {
		t.Fatal(err)
	}
	return frames
}

// checkFrames fails unless frames follow one another from PTS first on and reach end.
func checkFrames(t testing.TB, frames []media.Frame, first, end int64) {
	t.Helper()
	if len(frames) == 0 || frames[0].PTS != first {
		t.Fatalf("%d frames, want the first at %d", len(frames), first)
	}
	for i, f := range frames {
		if f.PTS != first+int64(i)*1024 || f.Duration != 1024 {
			t.Fatalf("frame %d is %d+%d, want %d+1024", i, f.PTS, f.Duration, first+int64(i)*1024)
		}
		if want := []byte{byte(i), byte(i >> 8)}; len(f.Data) == 2 && !slices.Equal(f.Data, want) {
			t.Fatalf("frame %d holds %v, want %v: it was overwritten", i, f.Data, want)
		}
	}
	if last := frames[len(frames)-1].End(); last < end || last >= end+1024 {
		t.Errorf("the last frame ends at %d, want %d to %d", last, end, end+1023)
	}
}

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

// TestTimeIsExact runs twenty minutes with 5 % loss and every packet duration, ten
// hours into a live: at the end not one sample is too many or missing.
func TestTimeIsExact(t *testing.T) {
	const start = 10 * 3600 * media.SampleRate
	packets := randomLive(t, start, 20*time.Minute, 0.05)
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

// counter is an encoder that only counts.
type counter struct{ samples int }

func (c *counter) Encode(pcm []float32, emit func([]byte)) error {
	for c.samples += len(pcm); c.samples >= 1024; c.samples -= 1024 {
		emit([]byte{1})
	}
	return nil
}
func (c *counter) Flush(func([]byte)) error { return nil }
func (c *counter) FrameSize() int           { return 1024 }
func (c *counter) Delay() int               { return 1024 }

func TestRungsShareTheSound(t *testing.T) {
	a, madeA := rung("a", 1)
	b, madeB := rung("b", 2)
	var tapped []float32
	tr := newTranscoder(t, transcode.Config{
		Rungs: []transcode.Rung{a, b},
		Taps:  []transcode.Tap{func(_ int64, pcm []float32) { tapped = append(tapped, pcm...) }},
	})
	// Left and right as loud as can be, and opposed in the second half.
	loud := mediatest.Sine(300, -0.1, time.Second)
	right := slices.Concat(loud[:24000], mediatest.Gain(loud, -200)[24000:])
	packets := mediatest.EncodeOpus(mediatest.Stereo(loud, right), opus.EncoderConfig{Channels: 2, Bitrate: 128000})
	frames := run(t, tr, packets)
	checkFrames(t, frames[0], -1024, 48000)
	checkFrames(t, frames[1], -1024, 48000)
	want := mediatest.DecodeOpus(packets, 2)
	if !slices.Equal(tapped, want) || !slices.Equal((*madeB)[0].pcm, want) {
		t.Error("the tap and the stereo rung do not get what is decoded")
	}
	mono := (*madeA)[0].pcm
	for i, v := range mono {
		if v != (want[2*i]+want[2*i+1])/2 {
			t.Fatalf("sample %d of the mono rung is %v, left and right are %v and %v", i, v, want[2*i], want[2*i+1])
		}
	}
	if len(mono) != 48000 || mediatest.Peak(mono) > 1 {
		t.Errorf("%d samples with peak %.3f", len(mono), mediatest.Peak(mono))
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

func TestFaults(t *testing.T) {
	tone := mediatest.EncodeOpus(mediatest.Sine(400, -12, time.Second), opus.EncoderConfig{})
	emit := func(int, media.Frame) {}
	t.Run("encoder fails", func(t *testing.T) {
		r, made := rung("weak", 1)
		tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
		if err := tr.Transcode(tone[0], emit); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		(*made)[0].fail = broken
		for range 2 {
			if err := tr.Transcode(tone[1], emit); !errors.Is(err, broken) {
				t.Errorf("%v, want the encoder's error", err)
			}
		}
		if err := tr.Flush(emit); !errors.Is(err, broken) {
			t.Errorf("Flush: %v, want the encoder's error", err)
		}
	})
	t.Run("encoder cannot be made", func(t *testing.T) {
		broken := errors.New("broken")
		_, err := transcode.New(transcode.Config{Rungs: []transcode.Rung{{
			Track:      media.Track{Name: "r", Channels: 1},
			NewEncoder: func() (transcode.Encoder, error) { return nil, broken },
		}}})
		if !errors.Is(err, broken) {
			t.Errorf("%v, want the encoder's error", err)
		}
	})
	t.Run("impossible duration", func(t *testing.T) {
		for _, d := range []int{-1, 0, 5761} {
			r, _ := rung("r", 1)
			tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
			p := tone[0]
			p.Duration = d
			if err := tr.Transcode(p, emit); !errors.Is(err, transcode.ErrPacket) {
				t.Errorf("%d samples: %v, want ErrPacket", d, err)
			}
		}
	})
	t.Run("over", func(t *testing.T) {
		r, _ := rung("r", 1)
		tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
		none := func(int, media.Frame) { t.Error("a frame of nothing") }
		if err := tr.Flush(none); err != nil {
			t.Errorf("Flush of nothing: %v", err)
		}
		if err := tr.Transcode(tone[0], none); !errors.Is(err, transcode.ErrClosed) {
			t.Errorf("Transcode after Flush: %v, want ErrClosed", err)
		}
		if err := errors.Join(tr.Close(), tr.Close()); err != nil {
			t.Error(err)
		}
		if err := tr.Flush(none); !errors.Is(err, transcode.ErrClosed) {
			t.Errorf("Flush after Close: %v, want ErrClosed", err)
		}
	})
}

func TestConfig(t *testing.T) {
	mono, _ := rung("a", 1)
	stereo, _ := rung("a", 2)
	none, _ := rung("a", 0)
	noEncoder := transcode.Rung{Track: mono.Track}
	for name, config := range map[string]transcode.Config{
		"nothing":         {},
		"three channels":  {Channels: 3, Rungs: []transcode.Rung{mono}},
		"stereo of mono":  {Channels: 1, Rungs: []transcode.Rung{stereo}},
		"no channels":     {Rungs: []transcode.Rung{none}},
		"one name twice":  {Rungs: []transcode.Rung{mono, stereo}},
		"without encoder": {Rungs: []transcode.Rung{noEncoder}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := transcode.New(config); err == nil {
				t.Error("it is taken")
			} else {
				t.Log(err)
			}
		})
	}
}

func Example() {
	// A meter listens to the live without any encoder.
	loudest := 0.0
	meter := func(pts int64, pcm []float32) { loudest = max(loudest, mediatest.Peak(pcm)) }
	t, err := transcode.New(transcode.Config{Taps: []transcode.Tap{meter}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	for _, p := range mediatest.EncodeOpus(mediatest.Sine(440, -20, time.Second), opus.EncoderConfig{}) {
		if err := t.Transcode(p, nil); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%.1f\n", loudest)
	// Output: 0.1
}
