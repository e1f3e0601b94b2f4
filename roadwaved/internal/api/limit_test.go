package api_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

// from sends a request through the proxy, for an address behind it.
func from(a *api.API, address, method, path, body string) int {
	return send(a, method, path, body, "X-Forwarded-For", address).Code
}

func TestLimits(t *testing.T) {
	a := newAPI(t, func(c *api.Config) {
		c.Limits = api.Limits{Joins: 3, Reactions: 2, Publishes: 1, Beats: 4, Streams: 1}
		c.TrustedProxies = testNet
	})
	for name, tt := range map[string]struct {
		method, path, body string
		allowed            int
	}{
		"joins":      {"POST", livePath + "/listeners", `{}`, 3},
		"reactions":  {"POST", livePath + "/likes", `{"user_id":"a"}`, 2},
		"publishes":  {"POST", "/whip", "", 1},
		"heartbeats": {"PUT", livePath + "/listeners/x", "", 4},
	} {
		for i := range tt.allowed + 2 {
			w := send(a, tt.method, tt.path, tt.body, "X-Forwarded-For", "198.51.100.1")
			if (w.Code == 429) != (i >= tt.allowed) || (w.Code == 429) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("%s, number %d: %d %v", name, i, w.Code, w.Header())
			}
		}
		if from(a, "198.51.100.2", tt.method, tt.path, tt.body) == 429 {
			t.Errorf("%s: a neighbour pays", name)
		}
	}
	if status := from(a, "198.51.100.1", "DELETE", livePath+"/listeners/x", ""); status != 429 {
		t.Errorf("who sent all heartbeats says goodbye: %d", status)
	}
	off := newAPI(t, func(c *api.Config) {
		c.Limits = api.Limits{Joins: -1, Reactions: -1, Publishes: -1, Beats: -1, Streams: -1}
	})
	for range 1000 {
		if w := send(off, "POST", "/whip", ""); w.Code != 200 {
			t.Fatalf("no limit, and %d", w.Code)
		}
	}
}

// Who has a /48 of IPv6 has 65536 times a /64, and little more room; a whole
// carrier behind one IPv4 address has enough.
func TestLimitsOfNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes, so nothing is forgiven
		a := newAPI(t, func(c *api.Config) { c.Limits, c.TrustedProxies = api.Limits{Joins: 10, Beats: 100}, testNet })
		for name, tt := range map[string]struct {
			address     string // of the one with this number
			joins, beat int
		}{
			"one IPv4 address": {"198.51.100.1", 10, 100},
			"one /64":          {"2001:db8:1:0::%x", 10, 10},
			"one /56":          {"2001:db8:2:%x::1", 20, 20},
			"one /48":          {"2001:db8:3:%x00::1", 80, 80},
		} {
			joined, heard := 0, 0
			for i := range 250 {
				address := tt.address
				if strings.Contains(address, "%") {
					address = fmt.Sprintf(address, i)
				}
				if from(a, address, "POST", livePath+"/listeners", `{}`) == 201 {
					joined++
				}
				if from(a, address, "PUT", livePath+"/listeners/x", "") == 204 {
					heard++
				}
			}
			if joined != tt.joins || heard != tt.beat {
				t.Errorf("%s: %d joins and %d heartbeats, want %d and %d", name, joined, heard, tt.joins, tt.beat)
			}
		}
		time.Sleep(6 * time.Second) // of 10 a minute
		if first, second := from(a, "2001:db8:1::1", "POST", livePath+"/listeners", `{}`), from(a, "2001:db8:1::1", "POST", livePath+"/listeners", `{}`); first != 201 || second != 429 {
			t.Errorf("after a while: %d, then %d", first, second)
		}
	})
}

// Streams of one network are bounded in the same way, and their places come back.
func TestStreamsOfNetworksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(c *api.Config) { c.Limits.Streams, c.TrustedProxies = 20, testNet })
		follow := func(ctx context.Context, address string) (opened int) {
			codes := make(chan int, 100)
			for i := range cap(codes) {
				r := httptest.NewRequestWithContext(ctx, "GET", livePath+"/events", nil)
				r.Header.Set("X-Forwarded-For", address)
				if strings.Contains(address, "%") {
					r.Header.Set("X-Forwarded-For", fmt.Sprintf(address, i))
				}
				go func() {
					w := httptest.NewRecorder()
					a.ServeHTTP(w, r)
					codes <- w.Code
				}()
			}
			synctest.Wait()
			return cap(codes) - len(codes) // who was refused is back
		}
		for address, want := range map[string]int{"198.51.100.1": 20, "2001:db8:1:0::%x": 2, "2001:db8:2:%x::1": 4, "2001:db8:3:%x00::1": 16} {
			for range 2 {
				ctx, hangUp := context.WithCancel(t.Context())
				if got := follow(ctx, address); got != want {
					t.Errorf("%s: %d streams, want %d", address, got, want)
				}
				hangUp()
				synctest.Wait()
			}
		}
	})
}
