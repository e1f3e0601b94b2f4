//go:build linux

package main

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// BenchmarkWorkers is the time that one, two and four worker processes take to
// make replays of 50 lives of a minute whose creators hang up at once (M12), as
// a multiple of the ideal: what one live takes a worker alone, shared by as many
// workers as there are processors.
func BenchmarkWorkers(b *testing.B) {
	const lives, length = 50, time.Minute
	for range b.N {
		alone := makespan(b, 4, length, 1, false) / 4
		b.ReportMetric(alone.Seconds(), "s/alone")
		for _, workers := range []int{1, 2, 4} {
			took := makespan(b, lives, length, workers, false)
			ideal := alone * lives / time.Duration(min(workers, runtime.NumCPU()))
			b.ReportMetric(took.Seconds(), fmt.Sprintf("s/%d-workers", workers))
			b.ReportMetric(took.Seconds()/ideal.Seconds(), fmt.Sprintf("ratio/%d-workers", workers))
		}
		b.ReportMetric(makespan(b, lives, length, 4, true).Seconds(), "s/4-workers-one-killed")
	}
	b.ReportMetric(0, "ns/op")
}

// makespan is the time from the end of the lives to the last of their replays.
// One of the workers may be killed midway.
func makespan(b *testing.B, lives int, length time.Duration, workers int, kill bool) time.Duration {
	s := startStack(b)
	d := s.daemon(append(crowded, "--log-level", "warn")...)
	victim := s.worker("--log-level", "warn")
	for range workers - 1 {
		s.worker("--log-level", "warn")
	}
	ids := d.endAtOnce(lives, length)
	begin := time.Now()
	if kill {
		d.eventually("half is done", 10*time.Minute, func() bool {
			done, err := s.catalog().ListJobs(b.Context(), station.JobQuery{States: []station.JobState{station.JobDone}, Limit: station.MaxPage})
			return err == nil && len(done) >= lives/2
		})
		victim.kill()
	}
	s.allPublished(ids, 15*time.Minute)
	took := time.Since(begin)
	for _, p := range s.workers {
		p.stop()
	}
	d.stop()
	return took
}
