package opusrec

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
)

// live48 is a packet as a creator at 48 kbps sends it.
func live48() media.Packet {
	data := make([]byte, 120)
	data[0] = 31<<3 | 4
	return media.Packet{Duration: 960, Data: data}
}

// BenchmarkWritePacket writes to the disk as the kernel lets it; the syncs run
// beside it.
func BenchmarkWritePacket(b *testing.B) {
	for name, interval := range map[string]time.Duration{"synced": 0, "unsynced": -1} {
		b.Run(name, func(b *testing.B) {
			r := begin(b, Config{SyncInterval: interval})
			p := live48()
			b.ReportAllocs()
			for b.Loop() {
				if err := r.WritePacket(p); err != nil {
					b.Fatal(err)
				}
				p.PTS = p.End()
			}
		})
	}
}

// recording is a file of that duration at 48 kbps.
func recording(b *testing.B, d time.Duration) string {
	r := begin(b, Config{SyncInterval: -1})
	for p := live48(); p.PTS < media.Samples(d); p.PTS = p.End() {
		if err := r.WritePacket(p); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	return r.Path()
}

func BenchmarkReader(b *testing.B) {
	path := recording(b, time.Hour)
	stat, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(stat.Size())
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.ReadPacket()
		}
		r.Close()
	}
}

func BenchmarkInspect8h(b *testing.B) {
	path := recording(b, 8*time.Hour)
	for b.Loop() {
		if _, err := Inspect(path); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecover8h repairs eight hours: torn at the end, which is done in
// place, and damaged in the middle, which needs a copy.
func BenchmarkRecover8h(b *testing.B) {
	whole, err := os.ReadFile(recording(b, 8*time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	middle := append([]byte(nil), whole...)
	middle[len(middle)/2] ^= 1
	for name, broken := range map[string][]byte{"torn": whole[:len(whole)-1], "damaged": middle} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "live.opus")
			for b.Loop() {
				b.StopTimer()
				if err := os.WriteFile(path, broken, 0o644); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := Recover(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
