//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A crowd listens to one live through one daemon: everybody joins, sends a
// heartbeat every 10 s, and each has a network address of their own.
type crowd struct {
	t      testing.TB
	url    string // of the daemon; changed while nobody beats
	live   string
	client *http.Client
	ids    []string

	mu    sync.Mutex
	took  []time.Duration // of heartbeats
	wrong map[int]int     // statuses that were not expected
}

// crowdSize is 300, or ROADWAVE_TEST_LISTENERS: the mission's figure is 10000.
func crowdSize(t *testing.T) int {
	t.Helper()
	s := os.Getenv("ROADWAVE_TEST_LISTENERS")
	if s == "" {
		return 300
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 10 {
		t.Fatalf("ROADWAVE_TEST_LISTENERS is %q, want 10 or more", s)
	}
	return n
}

// senders is how many requests the crowd has under way at most.
const senders = 50

func newCrowd(t testing.TB, d *testDaemon, liveID string, n int) *crowd {
	transport := &http.Transport{MaxIdleConnsPerHost: senders}
	t.Cleanup(transport.CloseIdleConnections)
	return &crowd{
		t: t, url: d.url, live: liveID, ids: make([]string, n), wrong: map[int]int{},
		client: &http.Client{Transport: transport, Timeout: 20 * time.Second},
	}
}

// each calls f for listeners from to below, spread over a time.
func (c *crowd) each(from, below int, over time.Duration, f func(i int)) {
	var wg sync.WaitGroup
	begin := time.Now()
	for s := range senders {
		wg.Go(func() {
			for i := from + s; i < below; i += senders {
				time.Sleep(time.Until(begin.Add(over * time.Duration(i-from) / time.Duration(below-from))))
				f(i)
			}
		})
	}
	wg.Wait()
}

func (c *crowd) send(i int, method, path string, body []byte) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+"/v1/lives/"+c.live+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255))
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	answer, _ = io.ReadAll(resp.Body)
	return resp.StatusCode, answer
}

func (c *crowd) note(status, want int) {
	if status != want {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wrong[status]++
	}
}

func (c *crowd) join() {
	c.each(0, len(c.ids), 0, func(i int) {
		var ticket struct {
			ListenerID string `json:"listener_id"`
		}
		status, answer := c.send(i, http.MethodPost, "/listeners", fmt.Appendf(nil, `{"user_id": "user-%d"}`, i))
		c.note(status, http.StatusCreated)
		_ = json.Unmarshal(answer, &ticket)
		c.ids[i] = ticket.ListenerID
	})
}

// beat sends one heartbeat of the listeners from to below within 10 s.
func (c *crowd) beat(from, below int) {
	c.each(from, below, station.HeartbeatInterval, func(i int) {
		begin := time.Now()
		status, _ := c.send(i, http.MethodPut, "/listeners/"+c.ids[i], nil)
		c.note(status, http.StatusNoContent)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.took = append(c.took, time.Since(begin))
	})
}

// check fails the test when an answer was wrong, and tells how long heartbeats took.
func (c *crowd) check(when string) {
	c.t.Helper()
	if len(c.wrong) > 0 {
		c.t.Errorf("%s: answers by status: %v", when, c.wrong)
	}
	slices.Sort(c.took)
	if n := len(c.took); n > 0 {
		c.t.Logf("%s: %d heartbeats, median %v, 99 %% within %v", when, n, c.took[n/2], c.took[n*99/100])
	}
	c.wrong, c.took = map[int]int{}, nil
}

// Many listeners on one live: the count is right on every daemon, after the one
// that they talk to was killed, and 30 s after half of them fell silent; each
// join and each leave is in the audit log once (M20, M21, M24).
func TestCrowd(t *testing.T) {
	t.Parallel()
	n := crowdSize(t)
	s := startStack(t)
	first, second := s.daemon("--log-level", "info"), s.daemon("--log-level", "info")
	creator := first.publish(programme(4*time.Minute), "", nil)
	c := newCrowd(t, second, creator.id, n)
	counted := func(want int, patience time.Duration, daemons ...*testDaemon) {
		t.Helper()
		for _, d := range daemons {
			d.eventually(fmt.Sprintf("%d are counted", want), patience, func() bool { return d.live(creator.id).Listeners == int64(want) })
		}
	}
	begin := time.Now()
	c.join()
	t.Logf("%d joined in %v", n, time.Since(begin).Round(time.Millisecond))
	busy := [2]time.Duration{first.cpu(), second.cpu()}
	begin = time.Now()
	c.beat(0, n)
	c.beat(0, n)
	spent := time.Since(begin).Seconds()
	t.Logf("processor while %d listen: %.1f %% of a core where the live is, %.1f %% where the listeners are", n,
		100*(first.cpu()-busy[0]).Seconds()/spent, 100*(second.cpu()-busy[1]).Seconds()/spent)
	counted(n, 5*time.Second, first, second)
	c.check("at rest")

	second.kill()
	second = s.daemon("--log-level", "info")
	c.url = second.url
	c.beat(0, n)
	counted(n, 5*time.Second, first, second)
	c.check("after the daemon was killed")

	for range 4 {
		c.beat(0, n/2)
	}
	counted(n/2, 15*time.Second, first, second)
	c.check("when half are silent")
	creator.stop()
	<-creator.done
	first.eventually("every join and leave is in the audit log", time.Minute, func() bool {
		kinds := s.kinds(creator.id)
		return len(kinds["join"]) == n && len(kinds["leave"]) == n && len(kinds["live_end"]) == 1
	})
}

// cpu is the processor time that the process has used.
func (p *testProcess) cpu() time.Duration {
	p.t.Helper()
	return processorTime(p.t, p.cmd.Process.Pid)
}
