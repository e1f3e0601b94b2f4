package hls

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/roadwave/roadwave/media"
)

// lossy replaces every twentieth packet by a lost one, and now and then drops
// one without a word.
func lossy(i int, p media.Packet) (media.Packet, bool) {
	if i%20 == 11 {
		p.Lost, p.Data = true, p.Data[:1:1]
	}
	return p, i%1000 != 555
}

// TestAnHourKeepsTheClock writes an hour with 5 % loss and a few holes: segment k
// still begins at k times two seconds.
func TestAnHourKeepsTheClock(t *testing.T) {
	events := []SegmentEvent{}
	fake := &fakeLadder{}
	l := newLive(t, Config{OnSegment: func(e SegmentEvent) {
		if e.Rendition == opusName {
			events = append(events, e)
		}
	}, NewTranscoder: fake.new, Rungs: rungs()})
	payload := append([]byte{opusTOC}, bytes.Repeat([]byte{7}, 119)...)
	const n = 3600 * 50
	for i := range n {
		p, ok := lossy(i, media.Packet{PTS: int64(i) * 960, Duration: 960, Data: payload})
		if !ok {
			continue
		}
		if err := l.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(events) != 1800 {
		t.Fatalf("%d segments, want 1800", len(events))
	}
	for i, e := range events {
		if e.Number != int64(i) || e.PTS != int64(i)*96000 || e.Duration != 2*time.Second {
			t.Fatalf("segment %d is %+v", i, e)
		}
	}
	m := mediaList(t, l, "/aac48/media.m3u8")
	end := *m.Segments[0].DateTime
	for _, s := range m.Segments {
		end = end.Add(s.Duration)
	}
	if off := end.Sub(l.shape.start.Add(time.Hour)).Abs(); off > 25*time.Millisecond {
		t.Errorf("the AAC rung ends %v off the clock after an hour", off)
	}
}

func TestHoles(t *testing.T) {
	var late error
	l := newLive(t, Config{ID: "t", OnError: func(err error) { late = err }})
	list := packets(0, 100)
	writeAll(t, l, list)
	// Nine seconds are missing: filled, so that numbers and times go on.
	more := packets(11*48000, 150)
	writeAll(t, l, more)
	m := mediaList(t, l, "/opus/media.m3u8")
	if m.MediaSequence != 0 || last(m) != 6 {
		t.Errorf("after a hole of 9 s the list goes from %d to %d", m.MediaSequence, last(m))
	}
	for _, s := range m.Segments {
		if s.Duration != 2*time.Second {
			t.Errorf("%s lasts %v", s.URI, s.Duration)
		}
	}
	// A packet from the past is dropped and reported.
	if err := l.WritePacket(list[3]); err != nil || !errors.Is(late, ErrOrder) {
		t.Errorf("a late packet: %v, reported %v", err, late)
	}
	// Two minutes are too long to fill: the list begins anew.
	writeAll(t, l, packets(14*48000+120*48000, 250))
	m = mediaList(t, l, "/opus/media.m3u8")
	if m.MediaSequence != 67 || last(m) != 68 {
		t.Errorf("after a hole of 2 min the list goes from %d to %d", m.MediaSequence, last(m))
	}
	if w := get(t, l, "/opus/t-67.mp4"); w.Code != http.StatusOK {
		t.Errorf("the first segment after the hole: %d", w.Code)
	}
}

func TestLadderAcrossALongHole(t *testing.T) {
	fake := &fakeLadder{}
	l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs(), Ladder: Always})
	writeAll(t, l, packets(0, 500))
	waitFor(t, func() bool { return l.rungs[0].snap.Load().last() >= 3 })
	writeAll(t, l, packets(300*48000, 500))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	m := mediaList(t, l, "/aac32/media.m3u8")
	if m.MediaSequence != 150 || last(m) != 154 || !m.Endlist {
		t.Errorf("the rung lists %d to %d, ended %v", m.MediaSequence, last(m), m.Endlist)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it does not happen")
}

func TestLiveThatBeginsLate(t *testing.T) {
	l := newLive(t, Config{ID: "t", StartedAt: time.Unix(1e9, 0)})
	writeAll(t, l, packets(1000*48000+24000, 175)) // 1000.5 s to 1004 s
	m := mediaList(t, l, "/opus/media.m3u8")
	if m.MediaSequence != 500 || m.Segments[0].Duration != 1500*time.Millisecond {
		t.Errorf("the list begins with %d, %v long", m.MediaSequence, m.Segments[0].Duration)
	}
	if want := time.Unix(1e9+1000, 5e8); !m.Segments[0].DateTime.Equal(want) {
		t.Errorf("its date is %v, want %v", m.Segments[0].DateTime, want)
	}
}

func TestBigPacketsStayBounded(t *testing.T) {
	const limit = 1 << 20
	l := newLive(t, Config{MaxBytes: limit})
	data := append([]byte{opusTOC}, make([]byte, 1275)...)
	for i := range 20000 { // 2.5 ms each: 4 Mbit/s
		if err := l.WritePacket(media.Packet{PTS: int64(i) * 120, Duration: 120, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for _, s := range l.opus.snap.Load().segments {
		size += len(s.body)
	}
	if n := l.opus.snap.Load().listed; size > 4<<20 || n < minListed {
		t.Errorf("%d bytes in %d segments are kept", size, n)
	}
}

func TestBadPackets(t *testing.T) {
	l := newLive(t, Config{})
	for name, p := range map[string]media.Packet{
		"empty":     {Duration: 960},
		"endless":   {Duration: 5761, Data: []byte{opusTOC}},
		"timeless":  {Data: []byte{opusTOC}},
		"too early": {PTS: -1, Duration: 960, Data: []byte{opusTOC}},
		"too big":   {Duration: 960, Data: make([]byte, math.MaxUint16+1)},
	} {
		if err := l.WritePacket(p); err == nil {
			t.Errorf("a packet that is %s is taken", name)
		}
	}
}

func TestBadConfigs(t *testing.T) {
	track := rungs()[0]
	transcoder := (&fakeLadder{}).new
	opus := track
	opus.Codec = media.CodecOpus
	for name, c := range map[string]Config{
		"segment too short":     {SegmentDuration: 100 * time.Millisecond},
		"segment of odd length": {SegmentDuration: 2*time.Second + time.Millisecond},
		"hold-back too short":   {HoldBack: 5 * time.Second},
		"window too short":      {Window: 20 * time.Second},
		"window too long":       {Window: time.Hour},
		"backfill too long":     {Backfill: time.Minute},
		"channels":              {Channels: 3},
		"id":                    {ID: "../x"},
		"prefix":                {Prefix: "/abs"},
		"negative":              {PutTimeout: -1},
		"rungs alone":           {Rungs: rungs()},
		"transcoder alone":      {NewTranscoder: transcoder},
		"twice the same name":   {NewTranscoder: transcoder, Rungs: []media.Track{track, track}},
		"mixed codecs":          {NewTranscoder: transcoder, Rungs: []media.Track{track, opus}},
	} {
		if _, err := NewLive(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestTSWrap packages AAC around 26.5 hours, where the 33-bit clock wraps.
func TestTSWrap(t *testing.T) {
	box, err := newTSContainer(rungs()[0])
	if err != nil {
		t.Fatal(err)
	}
	wrap := int64(1<<33-ptsBase) * 8 / 15
	pts := (wrap/1024 - 100) * 1024
	counters := map[uint16]int{}
	var all []byte
	for number := range int64(3) {
		var frames []media.Frame
		for range 94 {
			frames = append(frames, media.Frame{PTS: pts, Duration: 1024, Data: bytes.Repeat([]byte{byte(len(frames))}, 128)})
			pts += 1024
		}
		body, err := box.segment(number, frames)
		if err != nil {
			t.Fatal(err)
		}
		checkTS(t, body, counters)
		all = append(all, body...)
	}
	r := &mpegts.Reader{R: bytes.NewReader(all)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	var decoder mpegts.TimeDecoder
	decoder.Initialize()
	var times []int64
	frames := 0
	r.OnDataMPEG4Audio(r.Tracks()[0], func(pts int64, aus [][]byte) error {
		times = append(times, decoder.Decode(pts))
		frames += len(aus)
		return nil
	})
	for {
		if err := r.Read(); err != nil {
			break
		}
	}
	if frames != 3*94 {
		t.Errorf("%d frames came back of %d", frames, 3*94)
	}
	for i := range times[1:] {
		if step := times[i+1] - times[i]; step <= 0 || step > 90000 {
			t.Errorf("PES %d comes %d ticks after the one before", i+1, step)
		}
	}
}

// checkTS checks the packet layer: sync bytes, tables first and once, counters
// that go on, a clock reference in every PES packet.
func checkTS(t *testing.T, body []byte, counters map[uint16]int) {
	t.Helper()
	if len(body)%tsPacket != 0 {
		t.Fatalf("%d bytes are no whole packets", len(body))
	}
	for i := 0; i < len(body); i += tsPacket {
		p := body[i : i+tsPacket]
		pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff
		wanted := uint16(pidAudio)
		switch i {
		case 0:
			wanted = 0
		case tsPacket:
			wanted = 0x1000
		}
		if p[0] != 0x47 || pid != wanted {
			t.Fatalf("packet %d: sync %#x, PID %#x", i/tsPacket, p[0], pid)
		}
		if last, ok := counters[pid]; ok && int(p[3]&15) != (last+1)&15 {
			t.Fatalf("packet %d: counter %d of PID %#x after %d", i/tsPacket, p[3]&15, pid, last)
		}
		counters[pid] = int(p[3] & 15)
		if starts := p[1]&0x40 != 0; starts && pid == pidAudio && p[5]&0x50 != 0x50 {
			t.Fatalf("packet %d: adaptation field %#x lacks a clock reference or random access", i/tsPacket, p[5])
		}
	}
}

func TestTSGolden(t *testing.T) {
	box, err := newTSContainer(rungs()[1])
	if err != nil {
		t.Fatal(err)
	}
	var frames []media.Frame
	for i := range 94 {
		frames = append(frames, media.Frame{PTS: int64(i)*1024 - 1024, Duration: 1024, Data: bytes.Repeat([]byte{byte(i)}, 85)})
	}
	body, err := box.segment(0, frames)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "aac32.ts", body)
}

func TestContainersRefuse(t *testing.T) {
	good := media.Track{Name: "a", Codec: media.CodecAACLC, SampleRate: 48000, Channels: 2}
	for name, change := range map[string]func(*media.Track){
		"a name with a slash": func(t *media.Track) { t.Name = "a/b" },
		"no name":             func(t *media.Track) { t.Name = "" },
		"five channels":       func(t *media.Track) { t.Channels = 5 },
		"an unknown codec":    func(t *media.Track) { t.Codec = "vorbis" },
		"a broken config":     func(t *media.Track) { t.Config = []byte{0} },
		"HE-AAC":              func(t *media.Track) { t.Config = []byte{0x2b, 0x11, 0x88, 0} },
	} {
		track := good
		change(&track)
		if _, err := newContainer(track); err == nil {
			t.Errorf("a track with %s is taken", name)
		}
	}
}

func TestFMP4Structure(t *testing.T) {
	l := liveWith(t, 6, Config{})
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(get(t, l, "/opus/t-init.mp4").Body.Bytes())); err != nil {
		t.Fatal(err)
	}
	if len(init.Tracks) != 1 || init.Tracks[0].TimeScale != 48000 {
		t.Fatalf("init %+v", init.Tracks)
	}
	body := get(t, l, "/opus/t-1.mp4").Body.String()
	for _, box := range []string{"moof", "mfhd", "traf", "tfhd", "tfdt", "trun", "mdat"} {
		if strings.Count(body, box) != 1 {
			t.Errorf("%d boxes %s", strings.Count(body, box), box)
		}
	}
	// default-base-is-moof (ISO 14496-12 §8.8.7), which CMAF requires.
	if flags := body[strings.Index(body, "tfhd")+5]; flags&2 == 0 {
		t.Errorf("tfhd flags %#x", flags)
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if track := parts[0].Tracks[0]; track.BaseTime != 96000 || len(track.Samples) != 100 || parts[0].SequenceNumber != 2 {
		t.Errorf("base time %d, %d samples, sequence %d", track.BaseTime, len(track.Samples), parts[0].SequenceNumber)
	}
}

func TestRemoveReportsTheStore(t *testing.T) {
	store := &flakyStore{Store: NewMemory()}
	l := newLive(t, Config{Store: listFails{store}})
	writeAll(t, l, packets(0, 200))
	if err := l.Remove(context.Background()); !errors.Is(err, errList) {
		t.Errorf("Remove = %v", err)
	}
}

var errList = errors.New("cannot list")

type listFails struct{ *flakyStore }

func (listFails) List(context.Context, string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) { yield(Info{}, errList) }
}
