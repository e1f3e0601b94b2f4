package api_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// patience bounds every wait of these tests.
const patience = time.Minute

// openStream connects to an event stream and waits for its first bytes.
func openStream(t *testing.T, url string) *bufio.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	b := bufio.NewReader(res.Body)
	if got := line(t, b); got != "retry: 3000" {
		t.Fatalf("first line %q", got)
	}
	line(t, b)
	return b
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(s, "\n")
}

func serve(t *testing.T, a http.Handler) string {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Cleanup(s.Close)
	return s.URL
}

func TestStreamsUntilTheEnd(t *testing.T) {
	var hub api.Hub
	url := serve(t, newAPI(t, func(c *api.Config) { c.Events = &hub }))
	listener := openStream(t, url+"/v1/lives/"+onAirID+"/events")
	creator := openStream(t, url+"/whip/"+onAirID+"/events")
	hub.Publish(endedID, api.ToCreator|api.ToListeners, api.Event{Type: api.EventWarning, Message: "un autre live"})
	hub.Publish(onAirID, api.ToCreator, api.Event{Type: api.EventWarning, Code: "unstable", Message: "Connexion instable"})
	for _, to := range []api.Audience{api.ToCreator, api.ToListeners} {
		hub.Publish(onAirID, to, api.Ended(station.Live{State: station.Ended, EndReason: station.EndCreator}, to))
	}

	if got, _ := io.ReadAll(listener); string(got) != "event: ended\ndata: {\"message\":\"Le live est terminé\",\"state\":\"ended\"}\n\n" {
		t.Errorf("listener got %q", got)
	}
	want := "event: warning\ndata: {\"message\":\"Connexion instable\",\"code\":\"unstable\"}\n\n" +
		"event: ended\ndata: {\"message\":\"Le live est terminé\",\"state\":\"ended\"}\n\n"
	if got, _ := io.ReadAll(creator); string(got) != want {
		t.Errorf("creator got %q", got)
	}
}

// A creator and a listener who come back after a crash read what is meant for
// each of them (M22).
func TestStreamOfALiveThatIsOver(t *testing.T) {
	url := serve(t, newAPI(t, nil))
	for path, message := range map[string]string{
		"/v1/lives/" + lostID + "/events": "Le live est terminé suite à un problème technique",
		"/whip/" + lostID + "/events":     "Connexion perdue. Veuillez redémarrer le live",
	} {
		want := "event: ended\ndata: {\"message\":\"" + message + "\",\"state\":\"lost\"}\n\n"
		if got, _ := io.ReadAll(openStream(t, url+path)); string(got) != want {
			t.Errorf("%s: got %q", path, got)
		}
	}
}

func TestStreamKeepsAlive(t *testing.T) {
	url := serve(t, newAPI(t, func(c *api.Config) { c.KeepAlive = time.Millisecond }))
	if got := line(t, openStream(t, url+"/v1/lives/"+onAirID+"/events")); got != ":" {
		t.Errorf("got %q, want a comment", got)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	url := serve(t, newAPI(t, func(c *api.Config) { c.MaxStreams = 1 }))
	openStream(t, url+"/v1/lives/"+onAirID+"/events")
	res, err := http.Get(url + "/v1/lives/" + onAirID + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("second stream: %d %v", res.StatusCode, res.Header)
	}
}

// Creators have places of their own, and strangers take none of them.
func TestPlacesOfCreators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(c *api.Config) { c.MaxStreams, c.MaxCreatorStreams, c.Identify = 1, 1, tokens })
		const listeners, creators = livePath + "/events", "/whip/" + onAirID + "/events"
		follow := func(path string) {
			go do(a, "GET", path, "Authorization", "Bearer elise")
			synctest.Wait()
		}
		status := func(path, token string) int { return do(a, "HEAD", path, "Authorization", token).Code }
		follow(listeners)
		if got := status(listeners, ""); got != 503 {
			t.Errorf("a listener too many: %d", got)
		}
		if got := status(creators, "Bearer elise"); got != 200 {
			t.Errorf("a creator among many listeners: %d", got)
		}
		follow(creators)
		if got := status(creators, "Bearer elise"); got != 503 {
			t.Errorf("a creator too many: %d", got)
		}
		// Where there is no place left, those who get none hear why.
		for path, want := range map[string]int{creators: 403, "/whip/none/events": 404, "/v1/lives/none/events": 404} {
			if got := status(path, "Bearer mallory"); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
		_ = a.Close()
	})
}

func TestCloseEndsStreams(t *testing.T) {
	a := newAPI(t, nil)
	url := serve(t, a)
	b := openStream(t, url+"/v1/lives/"+onAirID+"/events")
	_ = a.Close()
	_ = a.Close()
	if rest, err := io.ReadAll(b); err != nil || len(rest) != 0 {
		t.Errorf("got %q, %v", rest, err)
	}
	if w := do(a, "GET", "/v1/lives/"+onAirID+"/events"); w.Code != 503 {
		t.Errorf("a stream after Close: %d", w.Code)
	}
	if w := do(a, "GET", "/v1/lives"); w.Code != 200 {
		t.Errorf("an answer after Close: %d", w.Code)
	}
}

// Lives end as the daemon stops: their listeners are told, though the streams
// close right after.
func TestCloseLetsTheEndThrough(t *testing.T) {
	for range 20 { // select is fair: one time would prove nothing
		var hub api.Hub
		a := newAPI(t, func(c *api.Config) { c.Events = &hub })
		b := openStream(t, serve(t, a)+"/v1/lives/"+onAirID+"/events")
		hub.Publish(onAirID, api.ToListeners, api.Ended(station.Live{State: station.Ended}, api.ToListeners))
		_ = a.Close()
		if got, _ := io.ReadAll(b); !strings.Contains(string(got), "event: ended") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestCreatorStreamIsTheirs(t *testing.T) {
	a := newAPI(t, func(c *api.Config) { c.Identify = tokens })
	for token, want := range map[string]int{"": 401, "Bearer expired": 401, "Bearer away": 503, "Bearer mallory": 403, "Bearer elise": 200, "Bearer operator": 200} {
		w := do(a, "HEAD", "/whip/"+onAirID+"/events", "Authorization", token)
		if w.Code != want || (want == 401) != (w.Header().Get("WWW-Authenticate") != "") || (want == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%q: %d %v", token, w.Code, w.Header())
		}
	}
	w := do(a, "OPTIONS", "/whip/"+onAirID+"/events")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Headers") != "Authorization" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
}

// In open mode everybody is who they say, and who did not say is the anonymous
// creator.
func TestCreatorStreamInOpenMode(t *testing.T) {
	open, err := auth.Open("open", auth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := newCatalog()
	c.lives[0].CreatorID = station.AnonymousCreator
	a := newAPI(t, func(cfg *api.Config) { cfg.Lives, cfg.Identify = c, open.Identify })
	for token, want := range map[string]int{"": 200, "Bearer elise": 403, "Bearer anonyme": 200} {
		if w := do(a, "HEAD", "/whip/"+onAirID+"/events", "Authorization", token); w.Code != want {
			t.Errorf("%q: %d", token, w.Code)
		}
	}
}

// A live that is over where no message said so is noticed within one KeepAlive,
// by one question now and then for all who follow it.
func TestStreamsNoticeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &changing{catalog: newCatalog()}
		a := newAPI(t, func(cfg *api.Config) { cfg.Lives, cfg.Limits.Streams = c, -1 })
		const readers = 100
		ended := make(chan string, readers)
		for range readers {
			time.Sleep(100 * time.Millisecond) // they come one after the other
			go func() { ended <- do(a, "GET", "/v1/lives/"+onAirID+"/events").Body.String() }()
		}
		time.Sleep(time.Minute)
		if asked := c.questions() - readers; asked < 4 || asked > 10 {
			t.Errorf("the catalog was asked %d times in 70 s", asked)
		}
		c.end()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if len(ended) != readers {
			t.Fatalf("%d of %d noticed", len(ended), readers)
		}
		want := "event: ended\ndata: {\"message\":\"Le live est terminé suite à un problème technique\",\"state\":\"lost\"}\n\n"
		for range readers {
			if got := <-ended; !strings.HasSuffix(got, want) || strings.Count(got, "event:") != 1 {
				t.Fatalf("got %q", got)
			}
		}
	})
}

// A catalog that is away ends no stream.
func TestStreamsOutliveTheCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &changing{catalog: newCatalog()}
		a := newAPI(t, func(cfg *api.Config) { cfg.Lives = c })
		over := make(chan struct{})
		go func() { do(a, "GET", "/v1/lives/"+onAirID+"/events"); close(over) }()
		synctest.Wait()
		c.goAway()
		time.Sleep(5 * time.Minute)
		select {
		case <-over:
			t.Error("cut")
		default:
		}
		_ = a.Close()
		<-over
	})
}
