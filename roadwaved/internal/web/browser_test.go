package web_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/web"
	"github.com/roadwave/roadwave/roadwaved/internal/web/webtest"
)

var pictures = flag.String("pictures", "", "folder to write pictures of the pages to")

// answers replies like the API, with what a test puts in.
type answers map[string]any

func (s answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, ok := s[r.URL.Path]
	if !ok {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(404)
		answer = map[string]any{"status": 404, "code": "not-found", "detail": "Rien ici."}
	}
	if stream, ok := answer.(string); ok {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, stream)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func liveJSON(id, title string, started time.Duration) map[string]any {
	return map[string]any{
		"live_id": id, "creator_id": "elise-martin", "title": title, "started_at": time.Now().Add(-started).UTC(),
		"zone_geo": "Drôme", "tags": []string{"route", "nuit", "chanson française"}, "classification_age": "-12",
		"state": "on_air", "message": "", "listeners": 12, "likes": 1204, "reports": 1, "hls_url": "/live/" + id + "/index.m3u8", "opus_url": "/live/" + id + "/opus.m3u8",
	}
}

func replayJSON(id, title string) map[string]any {
	return map[string]any{
		"replay_id": id, "live_id": "l", "title": title, "geo_type": "Géo-neutre", "published_at": time.Now().Add(-time.Hour).UTC(),
		"duration_seconds": 3725.4, "hls_url": "/replay/" + id + "/index.m3u8", "mp3_url": "/replay/" + id + "/audio.mp3",
		"loudness_lufs": -14.0, "silence_removed_seconds": 31.0,
	}
}

// TestPagesInBrowser opens each page on a phone at night and on a desk by day:
// nothing may fail in the console, nothing may be wider than the screen.
func TestPagesInBrowser(t *testing.T) {
	ended := liveJSON("ended", "La nationale 7, la nuit", time.Hour)
	ended["state"], ended["message"], ended["ended_at"] = "ended", "Le live est terminé", time.Now().UTC()
	ended["replay"] = map[string]any{"state": "running", "step": "master", "progress": 0.42}
	long := liveJSON("b", strings.Repeat("Autoroutedusoleil", 9), 3*time.Hour)
	s := answers{
		"/v1/lives":            map[string]any{"lives": []any{liveJSON("a", "La nationale 7, la nuit", 20*time.Second), long, liveJSON("c", "Bouchons à Vienne", 12*time.Minute)}},
		"/v1/replays":          map[string]any{"replays": []any{replayJSON("r", "[REPLAY] La nationale 7"), replayJSON("q", "[REPLAY] "+strings.Repeat("Valence ", 22))}, "next_before": time.Now().UTC()},
		"/v1/lives/a":          liveJSON("a", "La nationale 7, la nuit", 20*time.Minute),
		"/v1/lives/a/events":   "retry: 60000\n\nevent: counters\ndata: {\"listeners\":1318,\"likes\":1204,\"reports\":1}\n\n",
		"/v1/lives/ended":      ended,
		"/v1/replays/r":        replayJSON("r", "[REPLAY] La nationale 7, la nuit"),
		"/live/a/index.m3u8":   "",
		"/replay/r/index.m3u8": "",
	}
	server := httptest.NewServer(mounted(t, s))
	defer server.Close()
	browser := webtest.Open(t, "")
	for size, width := range map[string]int64{"phone": 360, "desk": 1280} {
		tab := browser.Tab(t, width, 760)
		tab.Expect("404") // the fake station has no sound
		if size == "phone" {
			tab.Dark()
		}
		for _, page := range []struct{ name, path, ready string }{
			{"home", "/", `document.querySelectorAll('#lives > li').length == 3 && document.querySelectorAll('#replays > li').length == 2`},
			{"studio", "/studio", `document.getElementById('go').textContent.startsWith('Passer')`},
			{"live", "/listen/a", `document.getElementById('status').textContent == 'Appuyez pour écouter' || document.getElementById('status').textContent.startsWith('Connexion')`},
			{"ended", "/listen/ended", `document.getElementById('over-replay').textContent.includes('42')`},
			{"replay", "/listen/r", `document.getElementById('duration').textContent == '1:02:05'`},
			{"unknown", "/listen/none", `document.getElementById('title').textContent.includes('existe pas')`},
			{"absent", "/nowhere", `document.title.includes('introuvable')`},
		} {
			tab.Go(server.URL + page.path)
			tab.Wait(10*time.Second, page.ready)
			tab.Picture(*pictures, size+"-"+page.name)
			if wide := webtest.Eval[int64](tab, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("%s on a %s is %d px wide, the screen is %d", page.path, size, wide, width)
			}
			if nameless := webtest.Eval[[]string](tab, unnamed); len(nameless) > 0 {
				t.Errorf("%s: without a name for screen readers: %s", page.path, nameless)
			}
		}
	}
}

// TestLinkHeader reads what RFC 9725 §4.6 shows, and what else a header may hold.
func TestLinkHeader(t *testing.T) {
	server := httptest.NewServer(mounted(t, answers{"/v1/lives": map[string]any{"lives": []any{}}, "/v1/replays": map[string]any{"replays": []any{}}}))
	defer server.Close()
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Go(server.URL + "/")
	for header, want := range map[string]string{
		``: `[]`,
		`<stun:stun.example.net>; rel="ice-server"`:          `[{"urls":"stun:stun.example.net"}]`,
		`</style.css>; rel=preload, <stun:a>;rel=ice-server`: `[{"urls":"stun:a"}]`,
		`<turn:a?transport=udp>; rel="ice-server"; username="u"; credential="p,;\"\\>"; credential-type="password", <stun:b>; rel="ice-server"`: `[{"urls":"turn:a?transport=udp","username":"u","credential":"p,;\"\\>"},{"urls":"stun:b"}]`,
	} {
		quoted, _ := json.Marshal(header)
		got := webtest.Eval[string](tab, `import('/assets/whip.js').then((m) => JSON.stringify(m.iceServersOf(`+string(quoted)+`)))`)
		if got != want {
			t.Errorf("%s: got %s, want %s", header, got, want)
		}
	}
}

// TestStudioSaysWhatIsWrong goes live where that cannot work.
func TestStudioSaysWhatIsWrong(t *testing.T) {
	type refusal struct {
		status        int
		problem, want string
	}
	var now atomic.Pointer[refusal]
	server := httptest.NewServer(mounted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.Header.Get("Authorization") != "Bearer l-ane-de-nimes" || r.Header.Get("Content-Type") != "application/sdp" {
			t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
		}
		q := r.URL.Query()
		if q.Get("title") != "Où ça ?" || fmt.Sprint(q["tag"]) != "[a b c]" || q.Get("classification_age") != "tout public" || q.Has("zone_geo") {
			t.Errorf("query %v", q)
		}
		answer := now.Load()
		if answer.status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(answer.status)
		_, _ = w.Write([]byte(answer.problem))
	})))
	defer server.Close()
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Expect("400", "401", "422", "500", "503", "ERR_")
	tab.Go(server.URL + "/studio")
	tab.Type("title", " Où ça ? ")
	tab.Type("creator", "L’Âne de Nîmes !")
	tab.Type("tags", "a, b,,c ")
	try := func(want string) {
		t.Helper()
		tab.Click("go")
		tab.Wait(20*time.Second, `document.getElementById('trouble').textContent.startsWith(`+"`"+want+"`"+`) && !document.getElementById('go').disabled`)
	}
	for _, tt := range []refusal{
		{503, `{"code":"full","detail":"Capacité maximale atteinte. Veuillez réessayer dans quelques minutes"}`, "Capacité maximale atteinte. Veuillez réessayer dans quelques minutes"},
		{503, `<html>bad gateway`, "Le serveur ne peut pas prendre ce live."},
		{400, `{"code":"invalid-title","detail":"Le titre est trop long"}`, "Le titre est trop long"},
		{401, `{"code":"unauthorized","detail":"send the token"}`, "Ce serveur demande un jeton d’accès."},
		{401, `{"code":"token-invalid","detail":"Votre identification n'est pas valable."}`, "Ce serveur demande un jeton d’accès."},
		{422, `{"code":"no-opus","detail":"the offer has no Opus"}`, "Le serveur ne comprend pas"},
		{500, `{}`, "Le live n’a pas pu commencer."},
		{0, ``, "Le serveur ne répond pas."},
	} {
		now.Store(&tt)
		try(tt.want)
	}
	// Without a microphone the server is not even asked.
	for name, want := range map[string]string{"NotAllowedError": "L’accès au micro est refusé.", "NotFoundError": "Aucun micro", "NotReadableError": "Le micro est déjà pris"} {
		tab.Go(server.URL + "/studio")
		webtest.Eval[bool](tab, `Boolean(navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', '`+name+`'); })`)
		try(want)
	}
}

// unnamed lists the controls that are seen and have no accessible name.
const unnamed = `[...document.querySelectorAll('button, a, input, select, progress')].filter((e) => e.checkVisibility() &&
	!(e.ariaLabel || e.labels?.length || e.textContent.trim() && e.matches('button, a'))).map((e) => e.outerHTML)`

// mounted puts the pages beside a station.
func mounted(t *testing.T, s http.Handler) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", pages(t, web.Config{}))
	for _, prefix := range []string{"/v1/", "/live/", "/replay/", "/whip"} {
		mux.Handle(prefix, s)
	}
	return mux
}

// TestMicrophoneUnplugged opens a microphone again, on air, after the first one
// has gone. The connection is made up; the microphones are Chromium's.
func TestMicrophoneUnplugged(t *testing.T) {
	server := httptest.NewServer(mounted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Location", "/whip/a")
			w.WriteHeader(201)
		}
	})))
	defer server.Close()
	tab := webtest.Open(t, "").Tab(t, 360, 760)
	tab.Expect("404")
	tab.Go(server.URL + "/studio")
	webtest.Eval[bool](tab, `(() => {
		const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
		navigator.mediaDevices.getUserMedia = async (wanted) => window.opened = await open(wanted);
		window.sent = null;
		window.RTCPeerConnection = class extends EventTarget {
			addTransceiver(track) {
				window.sent = track;
				return { setCodecPreferences() {}, sender: { replaceTrack: async (other) => { window.sent = other; }, getParameters: () => ({}), setParameters: async () => {}, getStats: async () => new Map() } };
			}
			async createOffer() { return { type: 'offer', sdp: '' }; }
			async setLocalDescription() {}
			async setRemoteDescription() {
				this.connectionState = 'connected';
				this.dispatchEvent(new Event('connectionstatechange'));
			}
			close() {}
		};
		return true;
	})()`)
	tab.Click("go")
	tab.Wait(20*time.Second, `document.getElementById('main').dataset.state == 'onair'`)
	webtest.Eval[bool](tab, `(() => { const [track] = opened.getAudioTracks(); track.stop(); return track.dispatchEvent(new Event('ended')); })()`)
	tab.Wait(10*time.Second, `document.getElementById('warning').textContent.startsWith('Le micro s’est arrêté.') && document.getElementById('meter-bar').style.clipPath == ''`)
	tab.Click("open-mic")
	tab.Wait(10*time.Second, `sent.readyState == 'live' && sent == opened.getAudioTracks()[0] && document.getElementById('warning').hidden && document.getElementById('open-mic').hidden`)
}
