package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/web/webtest"
)

// A house counts the listeners of live "a", like the API.
type house struct {
	answers
	mu      sync.Mutex
	said    []string // what was asked, in order
	joined  int
	forget  bool // heartbeats are answered 410, once
	away    bool // everything is answered 503
	counted chan string
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, ok := strings.CutPrefix(r.URL.Path, "/v1/lives/a/")
	if !ok {
		h.answers.ServeHTTP(w, r)
		return
	}
	if what == "events" {
		h.stream(w, r)
		return
	}
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	user, _ := body["user_id"].(string)
	delete(body, "user_id")
	rest, _ := json.Marshal(body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away {
		w.WriteHeader(503)
		fmt.Fprint(w, `{"code":"away","detail":"Le serveur ne peut pas compter en ce moment."}`)
		return
	}
	line := r.Method + " " + what
	if r.Method == "POST" {
		line = fmt.Sprintf("%s %d %s", line, len(user), rest)
	}
	if len(h.said) == 0 || h.said[len(h.said)-1] != line { // heartbeats follow each other
		h.said = append(h.said, line)
	}
	switch {
	case r.Method == "POST" && what == "listeners":
		h.joined++
		w.WriteHeader(201)
		fmt.Fprintf(w, `{"listener_id":"seat %d","heartbeat_seconds":0.3}`, h.joined)
	case r.Method == "POST":
		fmt.Fprint(w, `{"first":true,"listeners":1,"likes":41,"reports":0}`)
	case r.Method == "PUT" && h.forget:
		h.forget = false
		w.WriteHeader(410)
		fmt.Fprint(w, `{"code":"listener-gone"}`)
	default:
		w.WriteHeader(204)
	}
}

func (h *house) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case event := <-h.counted:
			fmt.Fprint(w, event)
		case <-r.Context().Done():
			return
		}
	}
}

func (h *house) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *house) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.said)
}

// wait waits until the last thing that was said is line.
func (h *house) wait(t *testing.T, line string) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if said := h.heard(); len(said) > 0 && said[len(said)-1] == line {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("not said: %s\nbut: %s", line, strings.Join(h.heard(), "\n     "))
		}
	}
}

// serve ends with the test, after the browser that is opened later: an event
// stream that is open would keep it.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(mounted(t, h))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// playing makes the page believe that sound plays, or not; the fake station has none.
func playing(tab *webtest.Tab, yes bool) {
	name := map[bool]string{true: "playing", false: "pause"}[yes]
	webtest.Eval[bool](tab, `(() => { const a = document.getElementById('audio'); a.dispatchEvent(new Event('`+name+`')); return true; })()`)
}

// TestAudience listens, likes, reports and leaves.
func TestAudience(t *testing.T) {
	h := &house{counted: make(chan string), answers: answers{"/v1/lives/a": liveJSON("a", "La nationale 7, la nuit", 20*time.Minute)}}
	server := serve(t, h)
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Expect("404", "410", "503") // no sound, a forgotten listener, a server that is away
	tab.Go(server.URL + "/listen/a")
	tab.Wait(10*time.Second, `document.getElementById('listeners').textContent == '12 auditeurs'`)
	if said := h.heard(); len(said) > 0 {
		t.Errorf("a page that only opened said %q", said)
	}

	playing(tab, true)
	h.wait(t, "PUT listeners/seat 1")
	h.set(func() { h.forget = true })
	h.wait(t, "PUT listeners/seat 2")
	h.set(func() { h.away = true })
	time.Sleep(700 * time.Millisecond)
	h.set(func() { h.away, h.said = false, nil })
	h.wait(t, "PUT listeners/seat 2")
	playing(tab, false)
	h.wait(t, "DELETE listeners/seat 2")
	playing(tab, true)
	h.wait(t, "PUT listeners/seat 3")

	h.counted <- "event: counters\ndata: {\"listeners\":1,\"likes\":40,\"reports\":0}\n\n"
	tab.Wait(10*time.Second, `document.getElementById('listeners').textContent == '1 auditeur' && document.getElementById('likes').textContent == '40'`)

	h.set(func() { h.away = true })
	tab.Click("like")
	tab.Wait(10*time.Second, `document.getElementById('reaction-trouble').textContent.startsWith('Le serveur ne peut pas') && document.getElementById('like').ariaPressed == 'false'`)
	h.set(func() { h.away, h.said = false, nil })
	tab.Click("like")
	tab.Wait(10*time.Second, `document.getElementById('likes').textContent == '42' && document.getElementById('like').ariaPressed == 'true'`)
	tab.Click("like") // once is enough

	tab.Click("report")
	tab.Wait(10*time.Second, `document.getElementById('report-dialog').open`)
	tab.Picture(*pictures, "phone-report")
	tab.Click("report-send") // nothing chosen: the browser says so
	webtest.Eval[bool](tab, `(() => { document.querySelector('[name=category][value=danger]').click(); return true; })()`)
	tab.Click("report-send")
	tab.Wait(10*time.Second, `!document.getElementById('report-dialog').open && !document.getElementById('thanks').hidden && document.getElementById('report').hidden`)
	tab.Picture(*pictures, "phone-live-reacted")
	said := strings.Join(h.heard(), "\n")
	if strings.Count(said, "POST likes") != 1 || strings.Count(said, "POST reports") != 1 || !strings.Contains(said, `POST likes 32 {}`) || !strings.Contains(said, `POST reports 32 {"category":"danger"}`) {
		t.Errorf("said:\n%s", said)
	}

	tab.Go(server.URL + "/listen/a") // the same person again
	h.wait(t, "DELETE listeners/seat 3")
	tab.Wait(10*time.Second, `document.getElementById('like').ariaPressed == 'true' && !document.getElementById('thanks').hidden`)
	h.counted <- "event: ended\ndata: {\"message\":\"Le live est terminé\",\"state\":\"ended\"}\n\n"
	tab.Wait(10*time.Second, `document.getElementById('reactions').hidden && document.getElementById('over-message').textContent == 'Le live est terminé'`)
}

// TestHeardInBackground: while sound plays the listener stays counted, with a page
// whose timers hardly run.
func TestHeardInBackground(t *testing.T) {
	h := &house{counted: make(chan string), answers: answers{"/v1/lives/a": liveJSON("a", "La nationale 7, la nuit", 20*time.Minute)}}
	server := serve(t, h)
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Expect("404")
	tab.Go(server.URL + "/listen/a")
	tab.Wait(10*time.Second, `!document.getElementById('reactions').hidden`)
	webtest.Eval[bool](tab, `(() => { const timer = setInterval; setTimeout = () => 0;
		timer(() => document.getElementById('audio').dispatchEvent(new Event('timeupdate')), 50); return true; })()`)
	playing(tab, true)
	h.wait(t, "PUT listeners/seat 1")
	playing(tab, false)
	h.wait(t, "DELETE listeners/seat 1")
}

// TestPosition is told only by who says so.
func TestPosition(t *testing.T) {
	h := &house{counted: make(chan string), answers: answers{"/v1/lives/a": liveJSON("a", "La nationale 7, la nuit", 20*time.Minute)}}
	server := serve(t, h)
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Expect("404")
	tab.Go(server.URL + "/listen/a")
	tab.Wait(10*time.Second, `!document.getElementById('place').hidden`)
	webtest.Eval[bool](tab, `Boolean(navigator.geolocation.getCurrentPosition = (found, not) => window.where ? found({ coords: window.where }) : not(new Error()))`)
	playing(tab, true)
	h.wait(t, "PUT listeners/seat 1")
	tab.Click("share-place")
	tab.Wait(10*time.Second, `!document.getElementById('share-place').checked && document.getElementById('reaction-trouble').textContent.startsWith('Votre position')`)
	webtest.Eval[bool](tab, `Boolean(window.where = { latitude: 44.933393, longitude: 4.892361 })`)
	tab.Click("share-place")
	h.wait(t, "PUT listeners/seat 2")
	tab.Click("share-place")
	h.wait(t, "PUT listeners/seat 3")
	said := h.heard()
	for _, want := range []string{`POST listeners 32 {}`, `POST listeners 32 {"position":{"lat":44.933,"lon":4.892}}`, "DELETE listeners/seat 1", "DELETE listeners/seat 2"} {
		if !slices.Contains(said, want) {
			t.Errorf("not said: %s\nbut: %s", want, strings.Join(said, "\n     "))
		}
	}
}

// TestToken goes live where the server asks for a token.
func TestToken(t *testing.T) {
	var mu sync.Mutex
	var tokens []string
	server := httptest.NewServer(mounted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tokens = append(tokens, r.Header.Get("Authorization"))
		w.WriteHeader(401)
		fmt.Fprint(w, `{"code":"token-expired","detail":"Votre session a expiré. Reconnectez-vous."}`)
	})))
	defer server.Close()
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Expect("401")
	tab.Go(server.URL + "/studio")
	tab.Type("creator", "Élise")
	tab.Click("go")
	tab.Wait(20*time.Second, `document.getElementById('trouble').textContent.startsWith('Ce serveur demande un jeton') && document.activeElement.name == 'token'`)
	tab.Picture(*pictures, "phone-studio-token")
	tab.Type("token", " Bearer abc.def-1_2\n")
	tab.Click("go")
	tab.Wait(20*time.Second, `document.getElementById('trouble').textContent.startsWith('Votre session a expiré') && !document.getElementById('go').disabled`)
	tab.Go(server.URL + "/studio#token=ghi.jkl")
	tab.Go(server.URL + "/studio?again#token=ghi.jkl")
	tab.Wait(10*time.Second, `location.hash == '' && document.getElementById('other-token').open && document.querySelector('[name=token]').value == 'abc.def-1_2'`)
	tab.Picture(*pictures, "phone-studio-other-token")
	tab.Click("token-keep")
	tab.Wait(10*time.Second, `!document.getElementById('other-token').open && document.querySelector('[name=token]').value == 'abc.def-1_2'`)
	tab.Go(server.URL + "/studio?once+more#token=ghi.jkl")
	tab.Wait(10*time.Second, `document.getElementById('other-token').open && sessionStorage.getItem('studio.token') == 'abc.def-1_2'`)
	tab.Click("token-replace")
	tab.Wait(10*time.Second, `!document.getElementById('other-token').open && document.querySelector('[name=token]').value == 'ghi.jkl'`)
	tab.Click("go")
	tab.Wait(20*time.Second, `document.getElementById('trouble').textContent.startsWith('Votre session a expiré')`)
	tab.Go(server.URL + "/studio")
	tab.Wait(10*time.Second, `document.querySelector('[name=token]').value == 'ghi.jkl' && localStorage.getItem('studio.token') === null`)
	mu.Lock()
	defer mu.Unlock()
	if got := slices.Compact(tokens); !slices.Equal(got, []string{"Bearer elise", "Bearer abc.def-1_2", "Bearer ghi.jkl"}) {
		t.Errorf("tokens %q", got)
	}
}

// TestSearch looks for a live by its title.
func TestSearch(t *testing.T) {
	var lives []any
	for i := range 7 {
		lives = append(lives, liveJSON(fmt.Sprint(i), fmt.Sprintf("Live %d", i), time.Hour))
	}
	api := answers{"/v1/lives": map[string]any{"lives": lives}, "/v1/replays": map[string]any{"replays": []any{}}}
	server := httptest.NewServer(mounted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("q") {
		case "vélo & route":
			fmt.Fprint(w, `{"lives":[]}`)
		case "live 3":
			_ = json.NewEncoder(w).Encode(map[string]any{"lives": lives[3:4]})
		case "":
			api.ServeHTTP(w, r)
		default:
			w.WriteHeader(422)
		}
	})))
	defer server.Close()
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Go(server.URL + "/")
	tab.Wait(10*time.Second, `document.querySelectorAll('#lives > li').length == 7 && !document.getElementById('search').hidden`)
	tab.Picture(*pictures, "phone-search")
	write := func(text string) {
		webtest.Eval[bool](tab, `(() => { const q = document.getElementById('q'); q.value = `+"`"+text+"`"+`; return q.dispatchEvent(new Event('input')); })()`)
	}
	write("live 3")
	tab.Wait(10*time.Second, `document.querySelectorAll('#lives > li').length == 1`)
	write("l") // the server refuses so little, and is not asked
	tab.Wait(10*time.Second, `document.querySelectorAll('#lives > li').length == 7 && document.getElementById('trouble').hidden`)
	write("vélo & route")
	tab.Wait(10*time.Second, `document.querySelectorAll('#lives > li').length == 0 && document.getElementById('none-found').textContent.includes('« vélo & route »') && !document.getElementById('search').hidden`)
	write("")
	tab.Wait(10*time.Second, `document.querySelectorAll('#lives > li').length == 7 && document.getElementById('none-found').hidden`)
}

// TestReportReasons: listeners can name every reason there is, in French.
func TestReportReasons(t *testing.T) {
	html := get(t, mounted(t, http.NotFoundHandler()), "/listen/x").Body.String()
	for _, c := range station.ReportCategories {
		if !strings.Contains(html, `value="`+c+`"`) || strings.Contains(html, "> "+c+"</label>") {
			t.Errorf("no French word for %q", c)
		}
	}
}
