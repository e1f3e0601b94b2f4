package hls

import (
	"runtime"
	"testing"

	"github.com/roadwave/roadwave/media"
)

// BenchmarkWritePacket is what passthrough costs a live per packet of 20 ms,
// segments and playlists included.
func BenchmarkWritePacket(b *testing.B) {
	l, err := NewLive(Config{})
	if err != nil {
		b.Fatal(err)
	}
	data := packets(0, 50)
	b.ReportAllocs()
	pts := int64(0)
	for b.Loop() {
		p := media.Packet{PTS: pts, Duration: 960, Data: data[pts/960%50].Data}
		if err := l.WritePacket(p); err != nil {
			b.Fatal(err)
		}
		pts += 960
	}
}

// BenchmarkMemory reports what a live of 48 kbit/s holds when its window is
// full: alone, with a store that answers for old segments, and with the ladder.
func BenchmarkMemory(b *testing.B) {
	fake := &fakeLadder{}
	for _, bench := range []struct {
		name   string
		config Config
	}{
		{"opus", Config{}},
		{"opus+store", Config{Store: discard{}}},
		{"opus+store+ladder", Config{Store: discard{}, NewTranscoder: fake.new, Rungs: rungs(), Ladder: Always}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(memoryPerLive(b, bench.config), "kB/live")
			}
		})
	}
}

func memoryPerLive(b *testing.B, config Config) float64 {
	const lives = 20
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	list := packets(0, 6000)
	before := heap()
	all := make([]*Live, lives)
	for i := range all {
		l, err := NewLive(config)
		if err != nil {
			b.Fatal(err)
		}
		all[i] = l
		for _, p := range list {
			if err := l.WritePacket(p); err != nil {
				b.Fatal(err)
			}
			if config.Ladder == Always && p.PTS%96000 == 0 {
				for l.rungs[1].next() < p.PTS/96000-1 {
					runtime.Gosched()
				}
			}
		}
	}
	after := heap()
	for _, l := range all {
		_ = l.Remove(b.Context())
	}
	return (after - before) / lives / 1000
}
