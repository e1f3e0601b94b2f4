package whip_test

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/media/whip/whiptest"
)

// publishEnv makes the test binary a process of publishers, so that their work
// is not counted as the server's: "URL count seconds".
const publishEnv = "WHIP_BENCH_PUBLISH"

func publishMany(job string) {
	var url string
	var count, seconds int
	if _, err := fmt.Sscan(job, &url, &count, &seconds); err != nil {
		panic(err)
	}
	client, err := whip.NewClient(whip.ClientConfig{LocalIP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	packets := numbered(50 * seconds)
	var wg sync.WaitGroup
	for range count {
		wg.Go(func() {
			if _, err := client.Publish(context.Background(), url, mediatest.Packets(packets...), whip.PublishConfig{}); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
		time.Sleep(7 * time.Millisecond)
	}
	wg.Wait()
	os.Exit(0)
}

// BenchmarkSession compares the cost of a live here with that of a bare Pion
// receiver in the same run: percent of a core, memory and goroutines per live.
func BenchmarkSession(b *testing.B) {
	for _, lives := range []int{1, 25, 100, 200} {
		b.Run(fmt.Sprintf("bare/%d", lives), func(b *testing.B) { benchmarkReceiver(b, lives, bareReceiver) })
		b.Run(fmt.Sprintf("whip/%d", lives), func(b *testing.B) { benchmarkReceiver(b, lives, whipReceiver) })
	}
}

// A receiverUnderTest gives the URL to publish to and how many packets it got.
type receiverUnderTest func(b *testing.B) (url string, received func() int64)

func benchmarkReceiver(b *testing.B, lives int, receiver receiverUnderTest) {
	const window = 4 * time.Second
	for range b.N {
		runtime.GC()
		before := memory()
		goroutines := runtime.NumGoroutine()
		url, received := receiver(b)
		publishers := exec.Command(os.Args[0])
		publishers.Stderr = os.Stderr
		publishers.Env = append(os.Environ(), publishEnv+"="+url+" "+strconv.Itoa(lives)+" 12")
		if err := publishers.Start(); err != nil {
			b.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); received() < int64(50*lives); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatal("the lives do not begin")
			}
		}
		time.Sleep(time.Second)
		packets, cpu, at := received(), cpuTime(b), time.Now()
		time.Sleep(window)
		cpu, elapsed := cpuTime(b)-cpu, time.Since(at)
		packets = received() - packets
		goroutines = runtime.NumGoroutine() - goroutines
		runtime.GC()
		used := memory() - before
		b.ReportMetric(100*cpu.Seconds()/elapsed.Seconds()/float64(lives), "%core/live")
		b.ReportMetric(float64(used)/1024/float64(lives), "KiB/live")
		b.ReportMetric(float64(goroutines)/float64(lives), "goroutines/live")
		b.ReportMetric(100*float64(packets)/(elapsed.Seconds()*50*float64(lives)), "%received")
		if err := publishers.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}

func memory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func whipReceiver(b *testing.B) (string, func() int64) {
	var received atomic.Int64
	st := newStation(b, func(cfg *whip.Config) {
		cfg.EndAfter, cfg.NoticeAfter = 0, 0
		cfg.OnPublish = func(_ context.Context, s *whip.Session) error {
			for {
				p, err := s.ReadPacket()
				if err != nil {
					return nil
				}
				if !p.Lost {
					received.Add(1)
				}
			}
		}
	})
	return st.url, received.Load
}

func bareReceiver(b *testing.B) (string, func() int64) {
	bare, err := whiptest.NewBare()
	if err != nil {
		b.Fatal(err)
	}
	web := httptest.NewServer(bare)
	b.Cleanup(func() {
		web.Close()
		_ = bare.Close()
	})
	return web.URL, bare.Received
}
