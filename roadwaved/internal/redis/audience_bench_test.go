//go:build unix

package redis

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const benchListeners = 10_000

// benchEach runs a benchmark with 10 000 listeners on one live, on both kinds of
// server.
func benchEach(b *testing.B, bench func(b *testing.B, a *Attendance, visits []station.Visit)) {
	for _, kind := range []string{"embedded", "server"} {
		b.Run(kind, func(b *testing.B) {
			var r *Redis
			var err error
			if kind == "embedded" {
				r, err = Embedded(Config{})
			} else {
				r, err = Dial(redistest.Start(b).URL, Config{})
			}
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { r.Close() })
			a := r.Attendance()
			live := uuid.NewString()
			visits := make([]station.Visit, benchListeners)
			for i := range visits {
				visits[i] = station.Visit{ID: uuid.NewString(), LiveID: live, UserID: uuid.NewString(), Origin: uuid.NewString()[:13], JoinedAt: time.Now()}
			}
			beat(b, a, visits)
			if c, _, err := a.Count(b.Context(), live); err != nil || c.Listeners != benchListeners {
				b.Fatalf("%d listeners: %v", c.Listeners, err)
			}
			bench(b, a, visits)
		})
	}
}

// beat touches all visits, a hundred at a time.
func beat(b *testing.B, a *Attendance, visits []station.Visit) {
	var wg sync.WaitGroup
	work := make(chan station.Visit)
	for range 100 {
		wg.Go(func() {
			for v := range work {
				if err := a.Touch(b.Context(), v, 50); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, v := range visits {
		work <- v
	}
	close(work)
	wg.Wait()
}

// As many heartbeats as can be: 100 wait for their answer at any time.
func BenchmarkTouch(b *testing.B) {
	benchEach(b, func(b *testing.B, a *Attendance, visits []station.Visit) {
		rounds := 0
		for b.Loop() {
			beat(b, a, visits)
			rounds++
		}
		b.ReportMetric(float64(rounds*len(visits))/b.Elapsed().Seconds(), "touches/s")
	})
}

// A thousand heartbeats a second for five seconds, as 10 000 listeners send them
// when each does every 10 s. The figure is what this process, which is also the
// embedded server, uses of a core.
func BenchmarkTouchSteady(b *testing.B) {
	benchEach(b, func(b *testing.B, a *Attendance, visits []station.Visit) {
		const rate, seconds = 1000, 5
		var used, longest time.Duration
		var mu sync.Mutex
		for b.Loop() {
			var wg sync.WaitGroup
			begin, cpu := time.Now(), processTime(b)
			for i := range rate * seconds {
				time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / rate)))
				wg.Go(func() {
					asked := time.Now()
					if err := a.Touch(b.Context(), visits[i%len(visits)], 50); err != nil {
						b.Error(err)
					}
					mu.Lock()
					longest = max(longest, time.Since(asked))
					mu.Unlock()
				})
			}
			wg.Wait()
			used += processTime(b) - cpu
		}
		b.ReportMetric(100*used.Seconds()/b.Elapsed().Seconds(), "%core")
		b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
	})
}

func processTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkCount(b *testing.B) {
	benchEach(b, func(b *testing.B, a *Attendance, visits []station.Visit) {
		for b.Loop() {
			if _, _, err := a.Count(b.Context(), visits[0].LiveID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Nobody is silent, as nearly always.
func BenchmarkSilent(b *testing.B) {
	benchEach(b, func(b *testing.B, a *Attendance, visits []station.Visit) {
		for b.Loop() {
			if _, err := a.Silent(b.Context(), visits[0].LiveID, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A thousand at a time, as when a live ends.
func BenchmarkSilentPage(b *testing.B) {
	benchEach(b, func(b *testing.B, a *Attendance, visits []station.Visit) {
		for b.Loop() {
			if got, err := a.Silent(b.Context(), visits[0].LiveID, 0); err != nil || len(got) != silentPage {
				b.Fatal(len(got), err)
			}
		}
	})
}
