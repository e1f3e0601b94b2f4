package deploy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
)

// A crowd is listeners on one playlist: each asks for it every 2 s at its own
// moment, on its own connection, and once for every segment that is new to it.
type crowd struct {
	base      string // URL of the folder of the playlist
	listeners int
	requests  atomic.Int64
	received  atomic.Int64
	failures  atomic.Int64
	slowest   atomic.Int64 // of all answers, in nanoseconds
	mu        sync.Mutex
	how       map[string]int // answers by X-Cache
}

// listen lets the crowd listen until ctx ends.
func (c *crowd) listen(ctx context.Context) {
	c.how = map[string]int{}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2 * c.listeners}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for range c.listeners {
		wg.Go(func() { c.listener(ctx, &http.Client{Transport: transport, Timeout: 20 * time.Second}) })
	}
	wg.Wait()
}

func (c *crowd) listener(ctx context.Context, client *http.Client) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(rand.N(2 * time.Second)):
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	known := ""
	for {
		for _, segment := range newer(c.fetch(ctx, client, "media.m3u8"), known) {
			known = segment
			c.fetch(ctx, client, segment)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// newer are the segments of a playlist after the known one: of those before, the last alone.
func newer(playlist, known string) []string {
	var names []string
	for line := range strings.SplitSeq(playlist, "\n") {
		if line != "" && line[0] != '#' {
			names = append(names, line)
		}
	}
	if i := slices.Index(names, known); i >= 0 {
		return names[i+1:]
	}
	return names[max(len(names)-1, 0):]
}

func (c *crowd) fetch(ctx context.Context, client *http.Client, name string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+name, nil)
	if err != nil {
		c.failures.Add(1)
		return ""
	}
	r.Header.Set("Accept-Encoding", "identity")
	start := time.Now()
	a, err := read(client.Do(r))
	if ctx.Err() != nil {
		return ""
	}
	c.requests.Add(1)
	c.received.Add(int64(len(a.body)))
	took := int64(time.Since(start))
	for slowest := c.slowest.Load(); took > slowest && !c.slowest.CompareAndSwap(slowest, took); slowest = c.slowest.Load() {
	}
	if err != nil || a.status != http.StatusOK {
		c.failures.Add(1)
		return ""
	}
	c.mu.Lock()
	c.how[a.cache()]++
	c.mu.Unlock()
	return string(a.body)
}

// onAir is lives in real time, with an origin of their own and an NGINX in front
// of it; direct is the URL of another server for the same lives. The segments of
// each end at another moment than those of the others.
func onAir(t testing.TB, lives int) (o *origin, n *deploy.Nginx, direct string) {
	mux := http.NewServeMux()
	ctx, stop := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	for i := range lives {
		past := 40*time.Second + time.Duration(i)*2*time.Second/time.Duration(lives)
		live := newLive(t, hls.Config{}, past)
		mux.Handle(livePath(i), live)
		feeding.Go(func() { feed(ctx, t, live, past) })
	}
	t.Cleanup(func() { stop(); feeding.Wait() })
	o = newOrigin(t, mux)
	watched := httptest.NewServer(mux)
	t.Cleanup(watched.Close)
	return o, deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}}), watched.URL
}

func livePath(i int) string { return fmt.Sprintf("/live/%s%d/", liveID[:35], i) }

// feed goes on with the live after d, in real time.
func feed(ctx context.Context, t testing.TB, live *hls.Live, d time.Duration) {
	start := time.Now().Add(-d)
	for p := range packets(t) {
		at := time.Duration(p.PTS) * time.Second / 48000
		if at < d {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(start.Add(at))):
		}
		if err := live.WritePacket(p); err != nil {
			t.Error(err)
			return
		}
	}
}

// edge watches two playlists, and tells how much later each new segment is in
// the second.
func edge(ctx context.Context, direct, through string) []time.Duration {
	var mu sync.Mutex
	seen := [2]map[string]time.Time{{}, {}}
	var wg sync.WaitGroup
	for i, url := range []string{direct, through} {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 10 * time.Second}
			defer c.CloseIdleConnections()
			known := ""
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
				if err != nil {
					return
				}
				a, err := read(c.Do(r))
				now := time.Now()
				if err == nil && a.status == http.StatusOK {
					for _, s := range newer(string(a.body), known) {
						mu.Lock()
						if known != "" {
							seen[i][s] = now
						}
						mu.Unlock()
						known = s
					}
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	var delays []time.Duration
	for s, at := range seen[1] {
		if first, ok := seen[0][s]; ok {
			delays = append(delays, at.Sub(first))
		}
	}
	slices.Sort(delays)
	return delays
}

// TestOffload lets 100 listeners listen for eight seconds.
func TestOffload(t *testing.T) {
	t.Parallel()
	o, n, _ := onAir(t, 1)
	c := crowd{base: n.URL + livePath(0) + "opus/", listeners: 100}
	ctx, stop := context.WithTimeout(t.Context(), 8*time.Second)
	defer stop()
	c.listen(ctx)
	asked, reached := c.requests.Load(), o.requests.Load()
	t.Logf("%d requests at NGINX, %d at the origin; %v", asked, reached, c.how)
	if c.failures.Load() > 0 {
		t.Errorf("%d requests failed", c.failures.Load())
	}
	if asked < 200 || reached*10 > asked {
		t.Errorf("%d of %d requests reached the origin: want less than a tenth", reached, asked)
	}
}

// BenchmarkNGINX lets 1000 listeners listen to one live for half a minute and
// watches the edge of that live and of seven others that are about as good as
// alone, at other moments of the 2 s between segments.
func BenchmarkNGINX(b *testing.B) {
	const listeners, lives, duration = 1000, 8, 32 * time.Second
	for b.Loop() {
		o, n, direct := onAir(b, lives)
		ctx, stop := context.WithTimeout(b.Context(), duration)
		before, start := cpuOf(b, n), time.Now()
		c := crowd{base: n.URL + livePath(0) + "opus/", listeners: listeners}
		var crowded, others []time.Duration
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range lives {
			wg.Go(func() {
				path := livePath(i) + "opus/media.m3u8"
				delays := edge(ctx, direct+path, n.URL+path)
				mu.Lock()
				defer mu.Unlock()
				if i == 0 {
					crowded = delays
				} else {
					others = append(others, delays...)
				}
			})
		}
		wg.Go(func() { c.listen(ctx) })
		wg.Wait()
		stop()
		took := time.Since(start)
		slices.Sort(others)
		reached, sent := o.of(livePath(0)), o.sent.Load()
		b.Logf("asked %d (%.1f MB), origin %d (%.1f MB all lives), failed %d, slowest %v, %v",
			c.requests.Load(), float64(c.received.Load())/1e6, reached, float64(sent)/1e6, c.failures.Load(), time.Duration(c.slowest.Load()).Round(time.Millisecond), c.how)
		b.Logf("edge, live of the crowd: %s; others: %s", quantiles(crowded), quantiles(others))
		b.ReportMetric(100-100*float64(reached)/float64(c.requests.Load()), "%offload")
		b.ReportMetric(float64(c.requests.Load())/took.Seconds(), "req/s")
		b.ReportMetric(100*(cpuOf(b, n)-before).Seconds()/took.Seconds(), "%core")
		b.ReportMetric(quantile(append(crowded, others...), 0.5).Seconds(), "s-edge-p50")
		b.ReportMetric(quantile(append(crowded, others...), 0.95).Seconds(), "s-edge-p95")
	}
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

func quantiles(d []time.Duration) string {
	return fmt.Sprintf("%d segments, p50 %v, p95 %v, max %v", len(d), quantile(d, 0.5).Round(time.Millisecond), quantile(d, 0.95).Round(time.Millisecond), quantile(d, 1).Round(time.Millisecond))
}

// cpuOf is what NGINX has used, its workers too, where there is /proc.
func cpuOf(t testing.TB, n *deploy.Nginx) time.Duration {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", n.PID()))
	if err != nil {
		return 0
	}
	var ticks int
	for pid := range strings.FieldsSeq(fmt.Sprint(n.PID()) + " " + string(children)) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
			v, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			ticks += v
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
