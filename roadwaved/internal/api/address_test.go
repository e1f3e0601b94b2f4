package api_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

func TestClientAddress(t *testing.T) {
	a := newAPI(t, func(c *api.Config) { c.TrustedProxies = prefixes("10.0.0.0/8", "fd00::/8", "127.0.0.0/8") })
	for name, tt := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"nobody between":              {"203.0.113.7:40000", nil, "203.0.113.7"},
		"a stranger's word":           {"203.0.113.7:40000", []string{"198.51.100.1"}, "203.0.113.7"},
		"our proxy's word":            {"10.1.2.3:40000", []string{"198.51.100.1"}, "198.51.100.1"},
		"what the client said before": {"10.1.2.3:40000", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		"two of ours":                 {"10.1.2.3:40000", []string{"1.1.1.1, 198.51.100.1 , 10.9.9.9"}, "198.51.100.1"},
		"over several headers":        {"10.1.2.3:40000", []string{"1.1.1.1", "198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		"only ours":                   {"10.1.2.3:40000", []string{"10.4.4.4, 10.9.9.9"}, "10.4.4.4"},
		"our proxy says nothing":      {"10.1.2.3:40000", nil, "10.1.2.3"},
		"nonsense":                    {"10.1.2.3:40000", []string{"198.51.100.1, unknown"}, "10.1.2.3"},
		"nonsense further on":         {"10.1.2.3:40000", []string{"unknown, 10.9.9.9"}, "10.9.9.9"},
		"empty":                       {"10.1.2.3:40000", []string{""}, "10.1.2.3"},
		"with a port":                 {"10.1.2.3:40000", []string{"198.51.100.1:5555"}, "198.51.100.1"},
		"IPv6 with a port":            {"[fd00::1]:40000", []string{"[2001:db8::7]:5555"}, "2001:db8::7"},
		"IPv4 in IPv6":                {"[::ffff:10.1.2.3]:40000", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"with a zone":                 {"[fe80::1%eth0]:40000", nil, "fe80::1"},
		"no address":                  {"@", []string{"198.51.100.1"}, "invalid IP"},
		"very many":                   {"10.1.2.3:40000", []string{strings.Repeat("198.51.100.1,", 50) + strings.Repeat("10.0.0.1,", 50) + "10.0.0.2"}, "10.0.0.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.peer
		r.Header["X-Forwarded-For"] = tt.forwarded
		if got := a.Client(r).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// The same customer is the same to all daemons of a house and to nobody else,
// and no address can be read.
func TestStandIn(t *testing.T) {
	house := func(key string) *api.API {
		return newAPI(t, func(c *api.Config) { c.OriginKey = []byte(strings.Repeat(key, 32)) })
	}
	one, two, other, random := house("k"), house("k"), house("x"), newAPI(t, nil)
	of := func(a *api.API, addr string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(addr), 1).String()
		return a.StandIn(r)
	}
	base := of(one, "198.51.100.1")
	if base != of(two, "198.51.100.1") || len(base) != 24 || strings.Contains(base, "198") {
		t.Errorf("%q", base)
	}
	for _, different := range []string{of(one, "198.51.100.2"), of(other, "198.51.100.1"), of(random, "198.51.100.1")} {
		if different == base {
			t.Error("not told apart")
		}
	}
	if of(one, "2001:db8:1:200::3") != of(one, "2001:db8:1:2ff:ffff::4") || of(one, "2001:db8:1:200::3") == of(one, "2001:db8:1:300::3") {
		t.Error("a house has a /56 of IPv6")
	}
}

// A proxy that is not trusted makes all behind it one: that is said, and not with
// every request.
func TestUntrustedProxyIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := newAPI(t, func(c *api.Config) {
			c.TrustedProxies, c.Logger = prefixes("10.0.0.0/8"), slog.New(slog.NewTextHandler(&log, nil))
		})
		ask := func(peer string, header ...string) int {
			for range 3 {
				r := httptest.NewRequest("PUT", livePath+"/listeners/x", nil)
				r.RemoteAddr = peer
				if len(header) > 0 {
					r.Header["X-Forwarded-For"] = header
				}
				a.ServeHTTP(httptest.NewRecorder(), r)
			}
			return strings.Count(log.String(), "--trusted-proxies")
		}
		if n := ask("10.1.2.3:1", "198.51.100.1"); n != 0 {
			t.Errorf("a trusted one: %d warnings", n)
		}
		if n := ask("192.0.2.9:1"); n != 0 {
			t.Errorf("no proxy: %d warnings", n)
		}
		if n := ask("192.0.2.9:1", "198.51.100.1"); n != 1 || !strings.Contains(log.String(), "peer=192.0.2.9") {
			t.Errorf("%d warnings: %s", n, &log)
		}
		time.Sleep(59 * time.Minute)
		if n := ask("192.0.2.9:1", "198.51.100.1"); n != 1 {
			t.Errorf("within the hour %d warnings", n)
		}
		time.Sleep(time.Minute)
		if n := ask("192.0.2.9:1", "198.51.100.1"); n != 2 {
			t.Errorf("after an hour %d warnings", n)
		}
	})
}

// FuzzClient sends any X-Forwarded-For: without a trusted peer nothing changes,
// with one the answer is an address that was said, or the peer's.
func FuzzClient(f *testing.F) {
	for _, s := range []string{"", "198.51.100.1", "1.1.1.1, 10.0.0.1", "[::1]:80,,", ",", "fe80::1%lo, ::ffff:10.0.0.1", strings.Repeat("10.0.0.1,", 40)} {
		f.Add(s)
	}
	c := newCatalog()
	a, err := api.New(api.Config{Lives: c, Replays: c, TrustedProxies: prefixes("10.0.0.0/8")})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = a.Close() })
	f.Fuzz(func(t *testing.T, said string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Forwarded-For", said)
		r.RemoteAddr = "203.0.113.7:1"
		if got := a.Client(r).String(); got != "203.0.113.7" {
			t.Fatalf("%q makes a stranger %s", said, got)
		}
		r.RemoteAddr = "10.0.0.9:1"
		got := a.Client(r)
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q: %v", said, got)
		}
		if got.String() == "10.0.0.9" {
			return
		}
		for hop := range strings.SplitSeq(said, ",") {
			hop = strings.TrimSpace(hop)
			if addr, err := netip.ParseAddr(hop); err == nil && addr.Unmap().WithZone("") == got {
				return
			}
			if ap, err := netip.ParseAddrPort(hop); err == nil && ap.Addr().Unmap().WithZone("") == got {
				return
			}
		}
		t.Fatalf("%q: nobody said %v", said, got)
	})
}
