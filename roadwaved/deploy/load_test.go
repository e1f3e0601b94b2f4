package deploy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
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

// onAir is a live in real time, its origin, and an NGINX in front of it.
func onAir(t testing.TB) (*origin, *deploy.Nginx) {
	live := newLive(t, hls.Config{}, 40*time.Second)
	mux := http.NewServeMux()
	mux.Handle("/live/"+liveID+"/", live)
	o := newOrigin(t, mux)
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
	ctx, stop := context.WithCancel(t.Context())
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		feed(ctx, t, live, 40*time.Second)
	}()
	t.Cleanup(func() { stop(); <-fed })
	return o, n
}

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
