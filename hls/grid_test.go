package hls

import (
	"slices"
	"testing"

	"github.com/roadwave/roadwave/media"
)

func TestGrid(t *testing.T) {
	type frame struct{ pts, end int64 }
	for _, test := range []struct {
		name   string
		next   int64
		frames []frame
		want   []int64 // number of each frame's segment
		before []bool
		after  []bool
	}{
		{"frames that meet the boundary", 0,
			[]frame{{0, 50}, {50, 100}, {100, 150}, {150, 200}},
			[]int64{0, 0, 1, 1}, []bool{false, false, false, false}, []bool{false, true, false, true}},
		{"a frame across the boundary belongs where it begins", 0,
			[]frame{{0, 60}, {60, 120}, {120, 180}},
			[]int64{0, 0, 1}, []bool{false, false, false}, []bool{false, true, false}},
		{"priming before time zero", 0,
			[]frame{{-20, 40}, {40, 100}}, []int64{0, 0}, []bool{false, false}, []bool{false, true}},
		{"a hole ends the segment before it", 0,
			[]frame{{0, 50}, {230, 280}}, []int64{0, 2}, []bool{false, true}, []bool{false, false}},
		{"a frame longer than a segment", 0,
			[]frame{{0, 250}, {250, 300}}, []int64{0, 2}, []bool{false, false}, []bool{true, true}},
		{"overlapping frames do not open a segment twice", 0,
			[]frame{{0, 110}, {90, 120}, {120, 130}}, []int64{0, 1, 1}, []bool{false, false, false}, []bool{true, false, false}},
		{"a start in the past", 7,
			[]frame{{690, 720}, {720, 800}}, []int64{7, 7}, []bool{false, false}, []bool{false, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := grid{length: 100, next: test.next}
			for i, f := range test.frames {
				before, after := g.place(f.pts, f.end)
				if before != test.before[i] || after != test.after[i] || g.number != test.want[i] {
					t.Errorf("frame %d: segment %d, before %v, after %v; want %d, %v, %v",
						i, g.number, before, after, test.want[i], test.before[i], test.after[i])
				}
			}
		})
	}
}

// FuzzRendition feeds frames of any duration, with holes, and checks what every
// list of segments must be.
func FuzzRendition(f *testing.F) {
	f.Add([]byte{20, 20, 20, 250, 1, 0, 0, 90})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 3, 3, 3})
	f.Fuzz(func(t *testing.T, steps []byte) {
		s := &shape{id: "f", length: 96000, target: 2, window: 20, keep: 20, maxBytes: 1 << 20}
		for _, track := range []media.Track{
			{Name: "opus", Codec: media.CodecOpus, SampleRate: 48000, Channels: 2, Bitrate: 48000},
			{Name: "aac", Codec: media.CodecAACLC, SampleRate: 48000, Channels: 1, Bitrate: 48000},
		} {
			r, err := newRendition(track, s)
			if err != nil {
				t.Fatal(err)
			}
			pts, written := int64(0), 0
			for i, step := range steps[:min(len(steps), 3000)] {
				if i%7 == 6 {
					pts += int64(step) * 1000 // a hole of up to 5.3 s
					continue
				}
				p := media.Packet{PTS: pts, Duration: 120 + int(step)*40, Data: make([]byte, 1+int(step))}
				if err := r.write(p); err != nil {
					t.Fatal(err)
				}
				pts, written = p.End(), written+1
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			checkSnapshot(t, r.snap.Load(), s, written)
		}
	})
}

func checkSnapshot(t *testing.T, s *snapshot, shape *shape, written int) {
	t.Helper()
	if written > 0 && s.playlist == nil {
		t.Fatal("frames were written and nothing is listed")
	}
	for i, seg := range s.segments {
		switch {
		case seg.duration <= 0 || seg.pts < 0:
			t.Fatalf("segment %d lasts %d from %d", seg.number, seg.duration, seg.pts)
		case seg.pts < seg.number*shape.length || seg.pts >= (seg.number+1)*shape.length:
			t.Fatalf("segment %d begins at %d", seg.number, seg.pts)
		case i > 0 && (seg.number != s.segments[i-1].number+1 || seg.pts < s.segments[i-1].pts+s.segments[i-1].duration):
			t.Fatalf("segment %d at %d follows %d, which ended at %d", seg.number, seg.pts,
				s.segments[i-1].number, s.segments[i-1].pts+s.segments[i-1].duration)
		}
	}
}

func TestHoleBeforeAFrameThatEndsItsSegment(t *testing.T) {
	s := &shape{id: "f", length: 96000, target: 2, window: 20, keep: 20, maxBytes: 1 << 20}
	r, err := newRendition(media.Track{Name: "opus", Codec: media.CodecOpus, SampleRate: 48000, Channels: 2}, s)
	if err != nil {
		t.Fatal(err)
	}
	var numbers, times []int64
	r.sealed = func(_ *rendition, s *segment, _ variant) {
		numbers, times = append(numbers, s.number), append(times, s.pts)
	}
	for _, pts := range []int64{0, 960, 5*96000 - 100, 5 * 96000} {
		if err := r.write(media.Packet{PTS: pts, Duration: 960, Data: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(numbers, []int64{0, 4}) || !slices.Equal(times, []int64{0, 5*96000 - 100}) {
		t.Errorf("segments %v begin at %v", numbers, times)
	}
}
