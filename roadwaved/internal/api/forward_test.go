package api_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// elsewhere makes a daemon whose lives are all on the peer.
func elsewhere(t *testing.T, peer string, edit func(*api.Config)) *api.API {
	t.Helper()
	u, err := url.Parse(peer)
	if err != nil {
		t.Fatal(err)
	}
	return newAPI(t, func(c *api.Config) {
		c.Here = func(string) bool { return false }
		c.Peer = func(_ context.Context, id string) (*url.URL, bool) { return u, id == onAirID }
		if edit != nil {
			edit(c)
		}
	})
}

// echo answers with what it was asked.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("ETag", `"x"`)
	w.WriteHeader(http.StatusAccepted)
	for _, s := range []string{
		r.Method, r.URL.RequestURI(), r.Host, string(body), r.Header.Get("Authorization"), r.Header.Get("X-Forwarded-For"),
		r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"), r.Header.Get(api.Forwarded),
	} {
		_, _ = io.WriteString(w, s+"\n")
	}
})

func TestForwarding(t *testing.T) {
	peer := serve(t, echo)
	a := elsewhere(t, peer, func(c *api.Config) { c.TrustedProxies = prefixes("10.0.0.0/8") })
	for _, tt := range []struct {
		method, target, body string
		forwarded            bool
	}{
		{"PATCH", "/whip/" + onAirID, "a=candidate", true},
		{"DELETE", "/whip/" + onAirID, "", true},
		{"GET", "/whip/" + onAirID + "/events", "", true},
		{"GET", "/live/" + onAirID + "/index.m3u8?x=1", "", true},
		{"GET", "/live/" + onAirID + "/48k/s-1.ts", "", true},
		{"POST", "/whip", "v=0", false},
		{"OPTIONS", "/whip/" + onAirID, "", false},
		{"DELETE", "/whip/" + endedID, "", false},
		{"GET", "/live/" + endedID + "/index.m3u8", "", false},
		{"GET", "/replay/" + replayID + "/audio.mp3", "", false},
	} {
		w := send(a, tt.method, "http://radio.example"+tt.target, tt.body, "Authorization", "Bearer elise", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.example")
		want := strings.Join([]string{tt.method, tt.target, "radio.example", tt.body, "Bearer elise", "192.0.2.1", "http", "radio.example", "1", ""}, "\n")
		if got := w.Code == http.StatusAccepted; got != tt.forwarded {
			t.Errorf("%s %s: %d %s", tt.method, tt.target, w.Code, w.Body)
		} else if got && (w.Body.String() != want || w.Header().Get("ETag") != `"x"` || len(w.Header()["X-Content-Type-Options"]) != 1) {
			t.Errorf("%s %s: %s\n%v", tt.method, tt.target, w.Body, w.Header())
		}
	}
	if w := do(a, "GET", "/live/"+onAirID+"/index.m3u8", api.Forwarded, "1"); w.Body.String() != "media" {
		t.Errorf("sent on twice: %d %s", w.Code, w.Body)
	}
}

// Two daemons that each think the other has the live do not send it back and
// forth.
func TestForwardingOnce(t *testing.T) {
	var first, second string
	u := func(s *string) func(context.Context, string) (*url.URL, bool) {
		return func(context.Context, string) (*url.URL, bool) {
			parsed, err := url.Parse(*s)
			return parsed, err == nil
		}
	}
	nowhere := func(string) bool { return false }
	first = serve(t, newAPI(t, func(c *api.Config) { c.Here, c.Peer = nowhere, u(&second) }))
	second = serve(t, newAPI(t, func(c *api.Config) { c.Here, c.Peer = nowhere, u(&first) }))
	res, err := http.Get(first + "/live/" + onAirID + "/index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); string(b) != "media" {
		t.Errorf("%d %s", res.StatusCode, b)
	}
}

// Events come through as they happen, and the stream ends as the daemon that
// sends them on does.
func TestForwardingEvents(t *testing.T) {
	var hub api.Hub
	peer := serve(t, newAPI(t, func(c *api.Config) { c.Events = &hub }))
	a := elsewhere(t, peer, nil)
	creator := openStream(t, serve(t, a)+"/whip/"+onAirID+"/events")
	hub.Publish(onAirID, api.ToCreator, api.Counted(station.Counters{Listeners: 5}))
	if got := line(t, creator); got != "event: counters" {
		t.Errorf("got %q", got)
	}
	if got := line(t, creator); got != `data: {"listeners":5,"likes":0,"reports":0}` {
		t.Errorf("got %q", got)
	}
	_ = a.Close()
	if _, err := io.ReadAll(creator); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Error(err)
	}
}

func TestForwardingToNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	w := do(elsewhere(t, "http://"+address, nil), "GET", "/live/"+onAirID+"/index.m3u8")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"unavailable"`) || strings.Contains(w.Body.String(), address) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A live that is not here and cannot be reached now is not called unknown.
func TestForwardingNowhere(t *testing.T) {
	var log strings.Builder
	a := newAPI(t, func(c *api.Config) {
		c.Here = func(string) bool { return false }
		c.Peer = func(context.Context, string) (*url.URL, bool) { return &url.URL{}, true }
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	for _, request := range []string{
		"GET /live/" + onAirID + "/index.m3u8", "PATCH /whip/" + onAirID, "DELETE /whip/" + onAirID, "GET /whip/" + onAirID + "/events",
	} {
		method, path, _ := strings.Cut(request, " ")
		w := do(a, method, path)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), `"unavailable"`) {
			t.Errorf("%s: %d %v %s", request, w.Code, w.Header(), w.Body)
		}
	}
	if w := do(a, "GET", "/live/"+onAirID+"/index.m3u8", api.Forwarded, "1"); w.Body.String() != "media" {
		t.Errorf("sent on to here: %d %s", w.Code, w.Body)
	}
	if log.Len() > 0 {
		t.Errorf("the log has %s, no daemon was asked", &log)
	}
}

// One address has so many places, and gets them back.
func TestStreamsOfOneAddressAreBounded(t *testing.T) {
	a := newAPI(t, func(c *api.Config) { c.Limits.Streams, c.TrustedProxies = 1, prefixes("127.0.0.0/8") })
	url := serve(t, a) + "/v1/lives/" + onAirID + "/events"
	from := func(address string) (int, func()) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		r.Header.Set("X-Forwarded-For", address)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, func() { cancel(); _ = res.Body.Close() }
	}
	status, hangUp := from("198.51.100.1")
	if status != 200 {
		t.Fatal(status)
	}
	second, done := from("198.51.100.1")
	done()
	other, done := from("198.51.100.2")
	done()
	if second != 503 || other != 200 {
		t.Errorf("the same address %d, another %d", second, other)
	}
	hangUp()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		again, done := from("198.51.100.1")
		done()
		if again == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place does not come back")
		}
	}
}
