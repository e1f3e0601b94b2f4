package janitor_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/janitor"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// parked is a catalog with lives whose replays failed, and the id that the replay
// of each would have had.
func parked(b *testing.B, lives int) (catalog *stationtest.Catalog, replays []string) {
	h := &house{catalog: new(stationtest.Catalog), begun: time.Now(), t: b}
	for range lives {
		replays = append(replays, replayID(h.released(station.JobParked)))
	}
	return h.catalog, replays
}

// A listing is a store of many objects that are made up as they are listed.
type listing struct {
	hls.Store
	folders []string
	each    int
	now     time.Time
}

func (s listing) List(_ context.Context, prefix string) iter.Seq2[hls.Info, error] {
	return func(yield func(hls.Info, error) bool) {
		tree, one, _ := strings.Cut(prefix, "/")
		if tree != "replay" && tree != "live" {
			return
		}
		for _, id := range s.folders {
			for n := range s.each {
				if !strings.HasPrefix(id+"/", one) {
					break
				}
				if !yield(hls.Info{Key: fmt.Sprintf("%s/%s/%d.ts", tree, id, n), Size: 1000, ModTime: s.now}, nil) {
					return
				}
			}
		}
	}
}

// BenchmarkClean looks at 100 000 objects of each tree, in folders of an hour's
// replay; it tells the memory that the cleaning keeps beside what it allocates
// and drops.
func BenchmarkClean(b *testing.B) {
	now := time.Now()
	catalog, replays := parked(b, 100_000/360)
	store := listing{hls.NewMemory(), replays, 360, now.Add(-48 * time.Hour)}
	j, err := janitor.New(janitor.Config{Catalog: catalog, Store: store, ReplayID: replayID})
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var kept janitor.Report
	for b.Loop() {
		if kept, err = j.Clean(b.Context(), true); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e3, "kB-kept")
	b.ReportMetric(float64(len(kept.Items)), "items")
}

// BenchmarkDelete deletes 100 000 objects of a store in memory.
func BenchmarkDelete(b *testing.B) {
	catalog, replays := parked(b, 278)
	for b.Loop() {
		b.StopTimer()
		store := hls.NewMemory()
		for _, id := range replays {
			for n := range 360 {
				if err := store.Put(b.Context(), fmt.Sprintf("replay/%s/%d.ts", id, n), bytes.NewReader(nil)); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.StartTimer()
		j, err := janitor.New(janitor.Config{Catalog: catalog, Store: store, ReplayID: replayID, Now: func() time.Time { return time.Now().Add(48 * time.Hour) }})
		if err != nil {
			b.Fatal(err)
		}
		r, err := j.Clean(b.Context(), false)
		if err != nil || r.Totals[0].Objects != 278*360 {
			b.Fatal(r.Summary(), err)
		}
	}
}
