package deploy_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
)

// TestStrangers: who has a network of IPv6 addresses is one stranger, however
// NGINX writes them.
func TestStrangers(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}, Behind: "127.0.0.0/8"})
	const burst = 100
	// refused is how many of 2.5 bursts from these addresses in turn are.
	refused := func(addresses ...string) int {
		t.Helper()
		var mu sync.Mutex
		var wg sync.WaitGroup
		count := 0
		for i := range 10 {
			wg.Go(func() {
				for j := range burst / 4 {
					from := addresses[(i*burst/4+j)%len(addresses)]
					if strings.Contains(from, "%") {
						from = fmt.Sprintf(from, i*burst+j+1)
					}
					if a := ask(t, "POST", n.URL+"/whip", "X-Forwarded-For", from); a.status == 429 {
						mu.Lock()
						count++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		return count
	}
	for _, one := range [][]string{
		{"192.0.2.7"},
		{"2001:db8:1:1::%x", "2001:db8:1:1:a:b:c:%x", "2001:db8:1:ff:%x:b:c:d", "2001:db8:1::%x"},
		{"2001:db8:2:1234:a::%x", "2001:db8:2:12ff:a:b:c:%x"},
		{"2001:db8:3:100::%x", "2001:db8:3:1ff:a:b:c:%x"},
		{"2001:db8:4::b:c:%x", "2001:db8:4::%x:b:c:1", "2001:db8:4::"},
		{"2001:41d0::1:1:1:%x", "2001:41d0::%x", "2001:41d0:0:1:1:1:1:%x"},
		{"2a00::1200:1:1:1:%x", "2a00:0:0:1234::%x"},
		{"2a01::%x", "2a01::1:1:1:1:%x", "2a01:0:0:1::%x"},
	} {
		if got := refused(one...); got < burst/2 {
			t.Errorf("%s are several strangers: %d refused", one, got)
		}
	}
	for _, several := range [][]string{
		{"192.0.2.101", "192.0.2.102", "192.0.2.103"},
		{"2001:db8:5:100::%x", "2001:db8:5:200:a:b:c:%x", "2001:db8:5::%x"},
		{"2001:db8:6::%x", "2001:db8:7::%x", "2001:db8:8::b:c:%x"},
		{"2a02::1200:1:1:1:%x", "2a02::1300:1:1:1:%x", "2a02::%x"},
		{"2a03:1::%x", "2a03:2::%x", "2a04::%x"},
	} {
		if got := refused(several...); got > 0 {
			t.Errorf("%s are one stranger: %d refused", several, got)
		}
	}
}

// TestEventsAreStreams: creators who follow their lives are not counted among
// those who begin one.
func TestEventsAreStreams(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 25 {
				if a := get(t, n.URL+"/whip/"+liveID+"/events"); a.status != 200 {
					t.Errorf("events: %d", a.status)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestTicketsAreNotLogged: what lets a listener be counted stays out of the log,
// and so does what strangers say as if they were daemons out of the station.
func TestTicketsAreNotLogged(t *testing.T) {
	t.Parallel()
	o, n := newStation(t)
	for _, path := range []string{"/v1/lives/x/listeners/secret.ticket", "//v1/lives/x//listeners/secret", "/v1/lives/x/listeners/%0asecret", "/v1/lives/x/listeners", "/v1/lives", "/whip/x/events", "/"} {
		knock(t, n, path)
		get(t, n.URL+path, "Roadwave-Forwarded", "1")
	}
	for _, r := range o.forget() {
		if r.Header.Get("Roadwave-Forwarded") != "" {
			t.Errorf("%s came with the mark of a daemon", r.URL)
		}
	}
	var log string
	eventually(t, "all is logged", func() bool {
		b, _ := os.ReadFile(n.AccessLog)
		log = string(b)
		return strings.Count(log, "\n") >= 14
	})
	if strings.Contains(log, "secret") || strings.Count(log, `"uri":"/v1/lives/x/listeners/-"`) != 6 || strings.Count(log, `"uri":"/v1/lives/x/listeners"`) != 2 {
		t.Errorf("logged:\n%s", log)
	}
}

// TestListOfLives is kept for a second for all who ask for the same, if the
// daemon lets it, and never for or from who says who they are.
func TestListOfLives(t *testing.T) {
	t.Parallel()
	keep := "public, max-age=1"
	o := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("state") == "lost" {
			w.Header().Set("Cache-Control", "private, no-store")
		} else {
			w.Header().Set("Cache-Control", keep)
		}
		fmt.Fprintf(w, "%s %s %s", r.URL.RawQuery, r.Header.Get("Accept"), r.Header.Get("Authorization"))
	}))
	n := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{o.address()}})
	url := n.URL + "/v1/lives"
	if a := get(t, url, "Authorization", "Bearer me"); a.cache() != "BYPASS" || string(a.body) != "  Bearer me" {
		t.Errorf("who says who they are: %s %s", a.cache(), a.body)
	}
	if a, b := get(t, url), hit(t, url); a.cache() != "MISS" || b.cache() != "HIT" || string(b.body) != "  " || fmt.Sprint(b.header["Cache-Control"]) != "["+keep+"]" {
		t.Errorf("list: %s, %s %q %v", a.cache(), b.cache(), b.body, b.header)
	}
	if a := get(t, url, "Authorization", "Bearer me"); string(a.body) != "  Bearer me" {
		t.Errorf("who says who they are got what is for all: %s", a.body)
	}
	// A query in any spelling is another: no answer comes for that of another.
	for _, query := range []string{"state=ended", "State=ended", "%73tate=ended", "state=ended&state=all", "q=a%20b", "q=a+b", "tag=x&limit=5", "q=", "?"} {
		if a := get(t, url+"?"+query); a.cache() != "MISS" || string(a.body) != query+"  " {
			t.Errorf("%s: %s %q", query, a.cache(), a.body)
		}
	}
	if a := get(t, url, "Accept", "application/cbor"); a.cache() != "MISS" || string(a.body) != " application/cbor " {
		t.Errorf("another format: %s %q", a.cache(), a.body)
	}
	for range 2 {
		if a := get(t, url+"?state=lost"); a.cache() != "MISS" {
			t.Errorf("what the daemon lets nobody keep: %s", a.cache())
		}
	}
	if a := ask(t, "POST", url); a.cache() == "HIT" {
		t.Error("a POST got the list")
	}
}

// TestListensOnIPv6: what is shipped answers everybody.
func TestListensOnIPv6(t *testing.T) {
	t.Parallel()
	listen := regexp.MustCompile(`(?m)^ *listen (\d+)((?: .*)?;)$`)
	names, err := fs.Glob(deploy.Files, "nginx/*.conf")
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		conf, err := deploy.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := listen.FindAllStringSubmatch(string(conf), -1)
		if len(lines) != 2 {
			t.Errorf("%s listens on %d ports", name, len(lines))
		}
		for _, m := range lines {
			if !strings.Contains(string(conf), "\n    listen [::]:"+m[1]+m[2]+"\n") {
				t.Errorf("%s listens on port %s with IPv4 only", name, m[1])
			}
		}
	}
}
