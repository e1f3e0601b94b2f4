package hls

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/roadwave/roadwave/media"
)

func rungs() []media.Track {
	return []media.Track{
		{Name: "aac48", Codec: media.CodecAACLC, SampleRate: 48000, Channels: 1, Bitrate: 48000},
		{Name: "aac32", Codec: media.CodecAACLC, SampleRate: 48000, Channels: 1, Bitrate: 32000},
	}
}

// fakeLadder counts and steers the transcoders it makes. Its frames are junk of
// the right size and time.
type fakeLadder struct {
	made, open atomic.Int64
	fail       func(p media.Packet) error // nil or an error, or a panic
	mu         sync.Mutex
	starts     []int64 // PTS of each transcoder's first packet
}

func (f *fakeLadder) new() (Transcoder, error) {
	f.made.Add(1)
	f.open.Add(1)
	return &fakeTranscoder{owner: f, next: math.MinInt64}, nil
}

func (f *fakeLadder) firsts() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starts)
}

type fakeTranscoder struct {
	owner *fakeLadder
	next  int64 // PTS of the next frame
	buf   [200]byte
}

// encoderDelay is what a real encoder keeps back.
const encoderDelay = 1024

func (t *fakeTranscoder) Transcode(p media.Packet, emit func(int, media.Frame)) error {
	if t.next == math.MinInt64 {
		t.next = p.PTS - 100 // priming, a little before the first packet
		t.owner.mu.Lock()
		t.owner.starts = append(t.owner.starts, p.PTS)
		t.owner.mu.Unlock()
	}
	if t.owner.fail != nil {
		if err := t.owner.fail(p); err != nil {
			return err
		}
	}
	t.emitUntil(p.End()-encoderDelay, emit)
	return nil
}

func (t *fakeTranscoder) emitUntil(end int64, emit func(int, media.Frame)) {
	for t.next+1024 <= end {
		for rung, track := range rungs() {
			size := track.Bitrate * 1024 / 48000 / 8
			for i := range t.buf[:size] {
				t.buf[i] = byte(t.next >> 10)
			}
			emit(rung, media.Frame{PTS: t.next, Duration: 1024, Data: t.buf[:size]})
		}
		t.next += 1024
	}
}

func (t *fakeTranscoder) Flush(emit func(int, media.Frame)) error {
	t.emitUntil(t.next+1024, emit)
	return nil
}

func (t *fakeTranscoder) Close() error {
	t.owner.open.Add(-1)
	return nil
}

// feed writes packets on the clock of a synctest bubble.
func feed(t *testing.T, l *Live, from, seconds int64) int64 {
	t.Helper()
	for _, p := range packets(from, int(seconds*50)) {
		time.Sleep(20 * time.Millisecond)
		if err := l.WritePacket(p); err != nil {
			t.Fatal(err)
		}
		from = p.End()
	}
	synctest.Wait()
	return from
}

func mediaList(t *testing.T, l *Live, url string) *playlist.Media {
	t.Helper()
	w := get(t, l, url)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, w.Code, w.Body)
	}
	var m playlist.Media
	if err := m.Unmarshal(w.Body.Bytes()); err != nil {
		t.Fatalf("%s: %v\n%s", url, err, w.Body)
	}
	return &m
}

func last(m *playlist.Media) int { return m.MediaSequence + len(m.Segments) - 1 }

func TestLadderStartsInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeLadder{}
		l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs()})
		pts := feed(t, l, 0, 61)
		if n := fake.made.Load(); n != 0 {
			t.Fatalf("%d transcoders run and nobody listens", n)
		}
		if w := get(t, l, "/index.m3u8"); w.Code != http.StatusOK {
			t.Fatalf("index.m3u8: %d %s", w.Code, w.Body)
		}
		opus := mediaList(t, l, "/opus/media.m3u8")
		for _, name := range []string{"aac48", "aac32"} {
			m := mediaList(t, l, "/"+name+"/media.m3u8")
			if last(m) != last(opus) {
				t.Errorf("%s ends with segment %d, opus with %d", name, last(m), last(opus))
			}
			if len(m.Segments) < 15 {
				t.Errorf("%s begins with %d segments, want at least 30 s", name, len(m.Segments))
			}
		}
		most := (int64(30)-15)*96000 - preRoll
		if got := fake.firsts(); len(got) != 1 || got[0] > most || got[0] < most-media.SampleRate {
			t.Errorf("the transcoder began at %d, want a little before %d", got, most)
		}
		// It stops LadderIdle after the last request, and not before.
		pts = feed(t, l, pts, 59)
		if fake.open.Load() != 1 {
			t.Fatal("the ladder stopped while it was wanted")
		}
		pts = feed(t, l, pts, 3)
		if fake.open.Load() != 0 {
			t.Fatal("the ladder runs and nobody listens")
		}
		// Started again soon, it goes on after what is there.
		before := l.rungs[0].snap.Load().last()
		feed(t, l, pts, 6)
		m := mediaList(t, l, "/aac48/media.m3u8")
		if int64(m.MediaSequence) > before {
			t.Errorf("the list begins with %d and lost %d", m.MediaSequence, before)
		}
		if last(m) != last(mediaList(t, l, "/opus/media.m3u8")) {
			t.Error("the restarted rung is not at the live edge")
		}
		list := l.rungs[0].snap.Load().segments
		for i, s := range list[1:] {
			if end := list[i].pts + list[i].duration; end != s.pts {
				t.Errorf("segment %d begins at %d, the one before ended at %d", s.number, s.pts, end)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if m := mediaList(t, l, "/aac32/media.m3u8"); !m.Endlist {
			t.Error("the rung has no end")
		}
	})
}

func TestLadderNeverReusesASegmentName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeLadder{}
		l := newLive(t, Config{ID: "x", NewTranscoder: fake.new, Rungs: rungs(), LadderIdle: 5 * time.Second})
		seen := map[string]string{}
		pts := int64(0)
		for _, pause := range []int64{3, 6, 9, 30, 50, 100} {
			pts = feed(t, l, pts, pause)
			m := mediaList(t, l, "/aac48/media.m3u8")
			for _, s := range m.Segments {
				body := get(t, l, "/aac48/"+s.URI)
				if body.Code != http.StatusOK {
					t.Fatalf("%s is listed and missing: %d", s.URI, body.Code)
				}
				if old, ok := seen[s.URI]; ok && old != body.Body.String() {
					t.Errorf("%s was served with other bytes before", s.URI)
				}
				seen[s.URI] = body.Body.String()
			}
		}
		if n := fake.made.Load(); n < 4 {
			t.Errorf("the ladder started %d times only", n)
		}
	})
}

func TestLadderSurvivesItsTranscoder(t *testing.T) {
	for name, failure := range map[string]func() error{
		"error": func() error { return errors.New("no more") },
		"panic": func() error { panic("index out of range") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var failing atomic.Bool
				var reports atomic.Int64
				fake := &fakeLadder{fail: func(media.Packet) error {
					if failing.Load() {
						return failure()
					}
					return nil
				}}
				l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs(), Ladder: Always, OnError: func(err error) {
					if _, ok := errors.AsType[LadderError](err); ok {
						reports.Add(1)
					}
				}})
				pts := feed(t, l, 0, 20)
				failing.Store(true)
				pts = feed(t, l, pts, 30)
				if n := reports.Load(); n < 3 || n > 12 {
					t.Errorf("%d failures in 30 s: want a growing pause between them", n)
				}
				if got := l.edge.Load(); got != 24 {
					t.Errorf("the Opus rendition is at segment %d, want 24", got)
				}
				failing.Store(false)
				feed(t, l, pts, 13)
				m := mediaList(t, l, "/aac48/media.m3u8")
				if last(m) != 30 {
					t.Errorf("the ladder came back to %d, want 30", last(m))
				}
				if fake.open.Load() != 1 {
					t.Errorf("%d transcoders are open", fake.open.Load())
				}
			})
		})
	}
}

func TestLadderWaitsThen503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeLadder{fail: func(media.Packet) error { return errors.New("never") }}
		l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs(), LadderIdle: time.Second})
		feed(t, l, 0, 4)
		began := time.Now()
		w := get(t, l, "/index.m3u8")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
			t.Errorf("got %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		if waited := time.Since(began); waited != maxWait {
			t.Errorf("it waited %v, want %v", waited, maxWait)
		}
	})
}

func TestLadderAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeLadder{}
		l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs()})
		feed(t, l, 0, 25)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		m := mediaList(t, l, "/aac48/media.m3u8")
		if !m.Endlist || last(m) != 12 {
			t.Errorf("a listener who comes after the end gets segments to %d, ended %v", last(m), m.Endlist)
		}
		synctest.Wait()
		if fake.open.Load() != 0 {
			t.Error("the transcoder is still open")
		}
	})
}

// M2: the first segment is listed within 2.3 s of the first packet, in every
// rendition.
func TestLadderFirstSegmentInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeLadder{}
		l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs()})
		began := time.Now()
		go func() {
			for _, p := range packets(0, 500) {
				time.Sleep(20 * time.Millisecond)
				_ = l.WritePacket(p)
			}
		}()
		for _, url := range []string{"/opus/media.m3u8", "/aac48/media.m3u8"} {
			m := mediaList(t, l, url)
			if took := time.Since(began); took > 2300*time.Millisecond {
				t.Errorf("%s lists its first segment after %v", url, took)
			}
			if m.MediaSequence != 0 || len(m.Segments) != 1 {
				t.Errorf("%s lists %d segments from %d", url, len(m.Segments), m.MediaSequence)
			}
		}
		time.Sleep(10 * time.Second)
	})
}

// TestLadderWithOddPackets starts the ladder among packets that do not meet the
// grid of segments.
func TestLadderWithOddPackets(t *testing.T) {
	for _, duration := range []int{120, 480, 1920, 2880, 5760} {
		fake := &fakeLadder{}
		var failed atomic.Int64
		l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs(), OnError: func(error) { failed.Add(1) }})
		for pts := int64(0); pts < 100*48000; pts += int64(duration) {
			if err := l.WritePacket(media.Packet{PTS: pts, Duration: duration, Data: []byte{opusTOC, 1, 2}}); err != nil {
				t.Fatal(err)
			}
		}
		opus, m := mediaList(t, l, "/opus/media.m3u8"), mediaList(t, l, "/aac48/media.m3u8")
		if behind := last(opus) - last(m); behind > 1 || len(m.Segments) < 14 || failed.Load() > 0 {
			t.Errorf("packets of %d samples: the rung is %d segments behind, lists %d, %d failures", duration, behind, len(m.Segments), failed.Load())
		}
		if s := l.Stats(); !s.Ladder || s.Segments != 50 {
			t.Errorf("Stats() = %+v", s)
		}
	}
}

func TestLadderThatCannotFinishStillEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		fake := &fakeLadder{fail: func(media.Packet) error {
			if failing.Load() {
				return errors.New("no more")
			}
			return nil
		}}
		l := newLive(t, Config{NewTranscoder: fake.new, Rungs: rungs(), Ladder: Always})
		pts := feed(t, l, 0, 11)
		failing.Store(true)
		feed(t, l, pts, 3)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if m := mediaList(t, l, "/aac48/media.m3u8"); !m.Endlist || len(m.Segments) != 5 {
			t.Errorf("the rung has %d segments, ended %v", len(m.Segments), m.Endlist)
		}
		if l.Stats().Ladder {
			t.Error("the ladder still tries")
		}
	})
}

// wrongTranscoder emits what no rung can take.
type wrongTranscoder struct{ frame media.Frame }

func (w wrongTranscoder) Transcode(_ media.Packet, emit func(int, media.Frame)) error {
	emit(7, w.frame)
	return nil
}
func (wrongTranscoder) Flush(func(int, media.Frame)) error { return nil }
func (wrongTranscoder) Close() error                       { return nil }

func TestLadderReportsAWrongTranscoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]func() (Transcoder, error){
			"emits for a rung there is not": func() (Transcoder, error) { return wrongTranscoder{media.Frame{Duration: 1024, Data: []byte{1}}}, nil },
			"cannot be made":                func() (Transcoder, error) { return nil, errors.New("no licence") },
		} {
			var report atomic.Pointer[LadderError]
			l := newLive(t, Config{NewTranscoder: c, Rungs: rungs(), Ladder: Always, OnError: func(err error) {
				if e, ok := errors.AsType[LadderError](err); ok {
					report.Store(&e)
				}
			}})
			feed(t, l, 0, 3)
			if e := report.Load(); e == nil || e.Error() == "" {
				t.Errorf("a transcoder that %s is not reported", name)
			}
			if err := l.Remove(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
