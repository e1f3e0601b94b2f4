package hls

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/roadwave/roadwave/media"
)

func TestPlaylistGolden(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 3600))
	for name, p := range map[string]mediaPlaylist{
		"live.m3u8": {target: 2, holdBack: 15 * time.Second, sequence: 41, header: "x-init.mp4", entries: []entry{
			{uri: "x-41.mp4", duration: 96000, at: start},
			{uri: "x-42.mp4", duration: 96960},
			{uri: "x-43.mp4", duration: 96000, gap: true},
		}},
		"ended.m3u8": {target: 2, holdBack: 6 * time.Second, ended: true, entries: []entry{
			{uri: "x-0.ts", duration: 93 * 1024, at: start},
			{uri: "x-1.ts", duration: 1},
		}},
		"vod.m3u8": {target: 10, vod: true, ended: true, entries: []entry{
			{uri: "0.ts", duration: 417 * 1152}, {uri: "1.ts", duration: 1152},
		}},
	} {
		golden(t, name, p.append(nil))
	}
	golden(t, "index.m3u8", appendMultivariant(nil, []variant{
		{uri: "aac48/media.m3u8", codecs: "mp4a.40.2", peak: 54321, average: 52000},
		{uri: "aac32/media.m3u8", codecs: "mp4a.40.2", peak: 38321, average: 36000},
	}))
}

func TestSeconds(t *testing.T) {
	for samples, want := range map[int64]string{
		0: "0.000000", 1: "0.000021", 48: "0.001000", 47999: "0.999979", 96000: "2.000000",
		95232: "1.984000", 96256: "2.005333", 48 * 3600 * 48000: "172800.000000",
	} {
		if got := string(appendSeconds(nil, samples)); got != want {
			t.Errorf("%d samples are %s s, want %s", samples, got, want)
		}
	}
}

// TestLivePlaylistGolden pins what a listener of a whole live is told.
func TestLivePlaylistGolden(t *testing.T) {
	l := liveWith(t, 50, Config{})
	golden(t, "live-opus.m3u8", get(t, l, "/opus/media.m3u8").Body.Bytes())
	golden(t, "live-index.m3u8", get(t, l, "/opus.m3u8").Body.Bytes())
	golden(t, "live-init.mp4", get(t, l, "/opus/t-init.mp4").Body.Bytes())
	golden(t, "live-24.mp4", get(t, l, "/opus/t-24.mp4").Body.Bytes())
}

// M4, M5: players are told to stay 15 s behind, as soon as so much exists.
func TestHoldBackGrowsWithTheList(t *testing.T) {
	l := newLive(t, Config{})
	for i, p := range packets(0, 30*50) {
		if err := l.WritePacket(p); err != nil {
			t.Fatal(err)
		}
		if (i+1)%100 != 0 {
			continue
		}
		exists := float64(i+1) / 50
		want := strconv.FormatFloat(max(6, min(15, exists)), 'f', 1, 64)
		if text := get(t, l, "/opus/media.m3u8").Body.String(); !strings.Contains(text, ":HOLD-BACK="+want+"\n") {
			t.Errorf("after %v s HOLD-BACK is not %s:\n%s", exists, want, text)
		}
	}
}

// FuzzPlaylist reads what we write with an independent parser.
func FuzzPlaylist(f *testing.F) {
	f.Add(int64(0), uint16(3), int64(96000), int64(0), true, false)
	f.Add(int64(1<<40), uint16(1), int64(1), int64(1e9), false, true)
	f.Fuzz(func(t *testing.T, sequence int64, n uint16, duration, at int64, header, ended bool) {
		n, duration = n%500+1, duration&0xfffffff+1
		sequence &= 1<<30 - 1
		p := mediaPlaylist{target: 2, holdBack: 15 * time.Second, sequence: sequence, ended: ended}
		if header {
			p.header = "id-init.mp4"
		}
		for i := range n {
			p.entries = append(p.entries, entry{uri: "id-" + strconv.Itoa(int(i)) + ".ts", duration: duration + int64(i), gap: i%3 == 1})
		}
		p.entries[0].at = time.Unix(at%1e9+1e9, 0)
		text := p.append(nil)
		var m playlist.Media
		if err := m.Unmarshal(text); err != nil {
			if duration < 24 { // the parser takes less than half a microsecond for a missing duration
				return
			}
			t.Fatalf("%v\n%s", err, text)
		}
		if m.MediaSequence != int(sequence) || len(m.Segments) != int(n) || m.Endlist != ended || (m.Map != nil) != header || m.Version != 9 {
			t.Fatalf("read back as %+v\n%s", m, text)
		}
		for i, s := range m.Segments {
			off := s.Duration - media.Duration(p.entries[i].duration)
			if off.Abs() > time.Microsecond || s.URI != p.entries[i].uri || s.Gap != p.entries[i].gap {
				t.Fatalf("segment %d read back as %+v\n%s", i, s, text)
			}
		}
		if !m.Segments[0].DateTime.Equal(p.entries[0].at) {
			t.Fatalf("date %v read back as %v", p.entries[0].at, m.Segments[0].DateTime)
		}
	})
}

// FuzzMultivariant does the same for the list of renditions.
func FuzzMultivariant(f *testing.F) {
	f.Add(48000, int64(12000), int64(96000))
	f.Fuzz(func(t *testing.T, bitrate int, size, samples int64) {
		var m meter
		m.add(int(size&0xffffff), samples&0xffffff+1, 96000)
		track := media.Track{Name: "aac48", Codec: media.CodecAACLC, Bitrate: bitrate & 0xfffff}
		text := appendMultivariant(nil, []variant{m.variant(track, "aac48/media.m3u8")})
		var p playlist.Multivariant
		if err := p.Unmarshal(text); err != nil {
			if size*8*48000/(samples&0xffffff+1) >= 1<<31 {
				return
			}
			t.Fatalf("%v\n%s", err, text)
		}
		v := p.Variants[0]
		if v.URI != "aac48/media.m3u8" || v.Codecs[0] != "mp4a.40.2" || *v.AverageBandwidth > v.Bandwidth {
			t.Fatalf("read back as %+v\n%s", v, text)
		}
	})
}
