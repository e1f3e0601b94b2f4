package whip_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
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
type receiverUnderTest func(b *testing.B) (url string, received *atomic.Int64)

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
		for deadline := time.Now().Add(20 * time.Second); received.Load() < int64(50*lives); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatal("the lives do not begin")
			}
		}
		time.Sleep(time.Second)
		packets, cpu, at := received.Load(), cpuTime(b), time.Now()
		time.Sleep(window)
		cpu, elapsed := cpuTime(b)-cpu, time.Since(at)
		packets = received.Load() - packets
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

func whipReceiver(b *testing.B) (string, *atomic.Int64) {
	received := new(atomic.Int64)
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
	return st.url, received
}

// bareReceiver is the obvious way: Pion's defaults on one UDP port, ReadRTP in
// a loop, nothing done with the packets.
func bareReceiver(b *testing.B) (string, *atomic.Int64) {
	received := new(atomic.Int64)
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	_ = udp.SetReadBuffer(4 << 20)
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: udp})
	var settings webrtc.SettingEngine
	settings.SetICEUDPMux(mux)
	settings.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	var mu sync.Mutex
	var peers []*webrtc.PeerConnection
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		offer, _ := io.ReadAll(r.Body)
		pc, err := api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			b.Error(err)
			return
		}
		mu.Lock()
		peers = append(peers, pc)
		mu.Unlock()
		pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			for {
				if _, _, err := t.ReadRTP(); err != nil {
					return
				}
				received.Add(1)
			}
		})
		_ = pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)})
		answer, err := pc.CreateAnswer(nil)
		if err != nil {
			b.Error(err)
			return
		}
		gathered := webrtc.GatheringCompletePromise(pc)
		_ = pc.SetLocalDescription(answer)
		<-gathered
		w.Header().Set("Location", "/session")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, pc.LocalDescription().SDP)
	}))
	b.Cleanup(func() {
		server.Close()
		for _, pc := range peers {
			_ = pc.GracefulClose()
		}
		_ = mux.Close()
	})
	return server.URL, received
}
