package media_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
)

func TestTOC(t *testing.T) {
	// RFC 6716 table 2: frame sizes in tenths of a millisecond.
	sizes := [32]int{
		100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 400, 600, // SILK
		100, 200, 100, 200, // hybrid
		25, 50, 100, 200, 25, 50, 100, 200, 25, 50, 100, 200, 25, 50, 100, 200, // CELT
	}
	for config, size := range sizes {
		for stereo := range 2 {
			toc := media.TOC(config<<3 | stereo<<2)
			if toc.Config() != config || toc.Channels() != 1+stereo || toc.FrameDuration() != size*48/10 {
				t.Errorf("TOC %#x: config %d, %d channels, %d samples", toc, toc.Config(), toc.Channels(), toc.FrameDuration())
			}
		}
	}
}

func TestPacketDuration(t *testing.T) {
	celt20 := byte(31 << 3)
	for name, tt := range map[string]struct {
		packet []byte
		want   int // 0: not a packet
	}{
		"empty":                           {nil, 0},
		"TOC alone":                       {[]byte{celt20}, 960},
		"one frame":                       {[]byte{celt20, 1, 2}, 960},
		"one frame, too long":             {append([]byte{celt20}, make([]byte, 1276)...), 0},
		"two equal":                       {[]byte{celt20 | 1, 1, 2}, 1920},
		"two equal of odd length":         {[]byte{celt20 | 1, 1, 2, 3}, 0},
		"two":                             {[]byte{celt20 | 2, 1, 9, 8}, 1920},
		"two, first cut off":              {[]byte{celt20 | 2, 3, 9}, 0},
		"two, no length":                  {[]byte{celt20 | 2}, 0},
		"two, half a length":              {[]byte{celt20 | 2, 252}, 0},
		"two, long length":                {append([]byte{celt20 | 2, 253, 1}, make([]byte, 300)...), 1920},
		"many, no count":                  {[]byte{celt20 | 3}, 0},
		"none":                            {[]byte{celt20 | 3, 0}, 0},
		"six of 20 ms":                    {[]byte{celt20 | 3, 6, 1, 2, 3, 4, 5, 6}, 5760},
		"seven of 20 ms":                  {[]byte{celt20 | 3, 7, 1, 2, 3, 4, 5, 6, 7}, 0},
		"48 of 2.5 ms":                    {[]byte{16<<3 | 3, 48}, 5760},
		"three that do not divide":        {[]byte{celt20 | 3, 3, 1, 2, 3, 4}, 0},
		"padded":                          {[]byte{celt20 | 3, 0x41, 2, 7, 0, 0}, 960},
		"padded beyond the end":           {[]byte{celt20 | 3, 0x41, 4, 7, 0, 0}, 0},
		"padding length cut off":          {[]byte{celt20 | 3, 0x41, 255}, 0},
		"padded by 254 and 1":             {append([]byte{celt20 | 3, 0x41, 255, 1, 7}, make([]byte, 255)...), 960},
		"variable lengths":                {[]byte{celt20 | 3, 0x83, 1, 0, 9, 9, 9}, 2880},
		"variable lengths beyond the end": {[]byte{celt20 | 3, 0x83, 1, 5, 9, 9}, 0},
		"variable lengths, one cut off":   {[]byte{celt20 | 3, 0x83, 1}, 0},
	} {
		got, err := media.PacketDuration(tt.packet)
		if got != tt.want || (err != nil) != (tt.want == 0) || err != nil && !errors.Is(err, media.ErrInvalidPacket) {
			t.Errorf("%s: %d samples, %v; want %d", name, got, err, tt.want)
		}
	}
}

func TestGap(t *testing.T) {
	for toc := range 256 {
		for _, samples := range []int64{0, 119, 120, 960, 1000, 5759, 48000} {
			packets := slices.Collect(media.Gap(media.TOC(toc), 100, samples))
			checkTimeline(t, packets)
			var covered int64
			for _, p := range packets {
				if !p.Lost || p.TOC().Channels() != media.TOC(toc).Channels() || p.Duration > 960 {
					t.Fatalf("TOC %#x: filler %+v", toc, p)
				}
				covered = p.End() - 100
			}
			if covered != samples/120*120 {
				t.Fatalf("TOC %#x: %d of %d samples covered", toc, covered, samples)
			}
		}
	}
	for range media.Gap(0, 0, 1e9) {
		break // a caller may stop
	}
}

func TestSamplesAndDuration(t *testing.T) {
	for _, d := range []time.Duration{0, 20 * time.Millisecond, time.Second, 26 * time.Hour, 1000*time.Hour + 2500*time.Microsecond} {
		if got := media.Duration(media.Samples(d)); got != d {
			t.Errorf("%v becomes %v", d, got)
		}
	}
}

func FuzzPacketDuration(f *testing.F) {
	f.Add([]byte{0xf8, 1, 2, 3})
	f.Add([]byte{0xfb, 0xc3, 255, 3, 1, 2, 3, 4, 5})
	f.Add([]byte{0x0a, 252, 1})
	f.Fuzz(func(t *testing.T, packet []byte) {
		before := bytes.Clone(packet)
		d, err := media.PacketDuration(packet)
		if !bytes.Equal(before, packet) {
			t.Fatal("the packet was changed")
		}
		if err == nil && (d < 120 || d > 5760 || d%120 != 0) {
			t.Fatalf("a valid packet of %d samples", d)
		}
		if err != nil && d != 0 {
			t.Fatalf("%d samples in no packet", d)
		}
	})
}
