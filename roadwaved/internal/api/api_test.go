package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

func TestLivesOnAirByDefault(t *testing.T) {
	a := newAPI(t, nil)
	for query, want := range map[string][]string{
		"":                                       {onAirID},
		"?state=all":                             {onAirID, endedID, lostID},
		"?state=ended":                           {endedID},
		"?state=lost":                            {lostID},
		"?state=all&limit=1":                     {onAirID},
		"?before=2026-05-01T11:30:00Z":           {},
		"?state=all&before=2026-05-01T11:30:00Z": {endedID, lostID},
	} {
		w := do(a, "GET", "/v1/lives"+query)
		var got api.LiveList
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s: %v", query, w.Code, w.Body, err)
		}
		ids := []string{}
		for _, l := range got.Lives {
			ids = append(ids, l.LiveID)
		}
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", query, ids, want)
		}
		if (got.NextBefore != nil) != (query == "?state=all&limit=1") {
			t.Errorf("%s: next_before %v", query, got.NextBefore)
		}
	}
}

func TestLiveFields(t *testing.T) {
	a := newAPI(t, func(c *api.Config) { c.PublicURL = "https://radio.example/fm/" })
	for _, tt := range []struct{ id, want string }{
		{onAirID, `{"live_id":"11111111-1111-4111-8111-111111111111","creator_id":"elise","title":"En direct",
			"started_at":"2026-05-01T11:59:00Z","zone_geo":"Drôme","tags":["route","nuit"],"classification_age":"tout_public",
			"state":"on_air","message":"","listeners":0,"likes":0,"reports":0,
			"hls_url":"https://radio.example/fm/live/11111111-1111-4111-8111-111111111111/index.m3u8",
			"opus_url":"https://radio.example/fm/live/11111111-1111-4111-8111-111111111111/opus.m3u8"}`},
		{endedID, `{"live_id":"22222222-2222-4222-8222-222222222222","creator_id":"elise","title":"La nationale 7",
			"started_at":"2026-05-01T11:00:00Z","zone_geo":"Drôme","tags":["route","nuit"],"classification_age":"tout_public",
			"state":"ended","message":"Le live est terminé","listeners":0,"likes":7,"reports":1,"ended_at":"2026-05-01T11:59:00Z","duration_seconds":3540,
			"replay":{"state":"done","step":"","progress":1,"replay_id":"99999999-9999-4999-8999-999999999999"}}`},
		{lostID, `{"live_id":"33333333-3333-4333-8333-333333333333","creator_id":"elise","title":"Coupé",
			"started_at":"2026-05-01T10:00:00Z","zone_geo":"Drôme","tags":[],"classification_age":"tout_public",
			"state":"lost","message":"Le live est terminé suite à un problème technique","listeners":0,"likes":0,"reports":0,"ended_at":"2026-05-01T11:00:00Z",
			"replay":{"state":"running","step":"master","progress":0.4}}`},
	} {
		sameJSON(t, do(a, "GET", "/v1/lives/"+tt.id).Body.String(), tt.want)
	}
	sameJSON(t, do(a, "GET", "/v1/replays/"+replayID).Body.String(), `{"replay_id":"99999999-9999-4999-8999-999999999999",
		"live_id":"22222222-2222-4222-8222-222222222222","title":"[REPLAY] La nationale 7","geo_type":"Géo-neutre",
		"published_at":"2026-05-01T12:00:00Z","duration_seconds":3480,
		"hls_url":"https://radio.example/fm/replay/99999999-9999-4999-8999-999999999999/index.m3u8",
		"mp3_url":"https://radio.example/fm/replay/99999999-9999-4999-8999-999999999999/audio.mp3",
		"loudness_lufs":-14.1,"silence_removed_seconds":60}`)
}

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	gb, _ := json.Marshal(g)
	wb, _ := json.Marshal(w)
	if string(gb) != string(wb) {
		t.Errorf("got  %s\nwant %s", gb, wb)
	}
}

// testNet is where the requests of httptest come from.
var testNet = prefixes("192.0.2.0/24")

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestOrigin(t *testing.T) {
	forwarded := []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "radio.example"}
	for name, tt := range map[string]struct {
		config       api.Config
		header       []string
		prefix, keep string
	}{
		"from the request":       {api.Config{}, nil, "http://example.com/live/", "private, no-store"},
		"proxy not trusted":      {api.Config{}, forwarded, "http://example.com/live/", "private, no-store"},
		"another proxy trusted":  {api.Config{TrustedProxies: prefixes("10.0.0.0/8")}, forwarded, "http://example.com/live/", "private, no-store"},
		"proxy trusted":          {api.Config{TrustedProxies: testNet}, forwarded, "https://radio.example/live/", "private, no-store"},
		"proxy sends nonsense":   {api.Config{TrustedProxies: testNet}, []string{"X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "a.example, b.example"}, "http://example.com/live/", "private, no-store"},
		"public URL before both": {api.Config{TrustedProxies: testNet, PublicURL: "http://cdn.example"}, forwarded, "http://cdn.example/live/", "public, max-age=1"},
	} {
		a := newAPI(t, func(c *api.Config) { c.TrustedProxies, c.PublicURL = tt.config.TrustedProxies, tt.config.PublicURL })
		w := do(a, "GET", "/v1/lives/"+onAirID, tt.header...)
		var l api.Live
		if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(l.HLSURL, tt.prefix) || w.Header().Get("Cache-Control") != tt.keep {
			t.Errorf("%s: %s, %s", name, l.HLSURL, w.Header().Get("Cache-Control"))
		}
	}
}

func TestOriginWithoutHost(t *testing.T) {
	r := httptest.NewRequest("GET", "/v1/lives/"+onAirID, nil)
	r.Host = ""
	w := httptest.NewRecorder()
	newAPI(t, nil).ServeHTTP(w, r)
	if want := `"hls_url":"/live/` + onAirID + `/index.m3u8"`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s lacks %s", w.Body, want)
	}
}

// FuzzForwarded sends what a proxy would never send: what comes out is still a
// URL of the live, and the host is the one that was said or our own.
func FuzzForwarded(f *testing.F) {
	f.Add("https", "radio.example")
	f.Add("gopher", "a.example, b.example")
	f.Add("http", "[::1]:8080")
	f.Add("https", "me@evil\\x?#/%zz")
	c := newCatalog()
	a, err := api.New(api.Config{Lives: c, Replays: c, TrustedProxies: testNet})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, proto, host string) {
		w := do(a, "GET", "/v1/lives/"+onAirID, "X-Forwarded-Proto", proto, "X-Forwarded-Host", host)
		var l api.Live
		if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(l.HLSURL)
		if err != nil || u.Path != "/live/"+onAirID+"/index.m3u8" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" {
			t.Fatalf("%q, %q: %q: %v", proto, host, l.HLSURL, err)
		}
		if u.Host != host && u.Host != "example.com" {
			t.Fatalf("%q, %q: host %q", proto, host, u.Host)
		}
	})
}

func TestBadConfig(t *testing.T) {
	c := newCatalog()
	if _, err := api.New(api.Config{Lives: c, Replays: c, OriginKey: []byte("short")}); err == nil {
		t.Error("a short key: want an error")
	}
	if _, err := api.New(api.Config{Lives: c}); err == nil {
		t.Error("no Replays: want an error")
	}
	for _, u := range []string{"radio.example", "ftp://radio.example", "http://", "http://a/?x=1", "http://a/#x", "http://me@a/", "http://a b/"} {
		if _, err := api.New(api.Config{Lives: c, Replays: c, PublicURL: u}); err == nil {
			t.Errorf("public URL %q: want an error", u)
		}
	}
}

func TestProblems(t *testing.T) {
	a := newAPI(t, nil)
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/nowhere", 404, "not-found"},
		{"GET", "/v1", 404, "not-found"},
		{"GET", "/listen", 404, "not-found"},
		{"POST", "/v1/lives", 405, "method-not-allowed"},
		{"DELETE", "/v1/replays/" + replayID, 405, "method-not-allowed"},
		{"POST", "/studio", 405, "method-not-allowed"},
		{"GET", "/v1/lives/none", 404, "live-not-found"},
		{"GET", "/v1/lives/none/events", 404, "live-not-found"},
		{"GET", "/whip/none/events", 404, "live-not-found"},
		{"GET", "/v1/replays/none", 404, "replay-not-found"},
		{"GET", "/v1/lives/" + strings.Repeat("x", 65), 422, "invalid-request"},
		{"GET", "/v1/lives?limit=0", 422, "invalid-request"},
		{"GET", "/v1/lives?limit=201", 422, "invalid-request"},
		{"GET", "/v1/lives?limit=many", 422, "invalid-request"},
		{"GET", "/v1/lives?state=dead", 422, "invalid-request"},
		{"GET", "/v1/lives?before=yesterday", 422, "invalid-request"},
		{"GET", "/v1/lives?q=%00", 422, "invalid-request"},
		{"GET", "/v1/lives?tag=%ff", 422, "invalid-request"},
		{"GET", "/v1/lives?cursor=x", 422, "invalid-request"},
		{"GET", "/v1/lives/%00", 404, "not-found"},
		{"PUT", "/v1/lives/%ff/listeners/x", 404, "not-found"},
		{"GET", "/v1/lives/" + brokenID, 500, "internal-error"},
		{"GET", "/v1/lives/" + brokenID + "/events", 500, "internal-error"},
	} {
		w := do(a, tt.method, tt.path)
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Errorf("%s %s: %v: %s", tt.method, tt.path, err, w.Body)
			continue
		}
		if w.Code != tt.status || p.Status != tt.status || p.Code != tt.code || p.Title != http.StatusText(tt.status) || p.Detail == "" {
			t.Errorf("%s %s: %d %+v", tt.method, tt.path, w.Code, p)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, ct)
		}
		if (tt.status == 405) != (w.Header().Get("Allow") != "") {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, w.Header().Get("Allow"))
		}
		if tt.status == 422 && (len(p.Errors) == 0 || p.Errors[0].Location == "") {
			t.Errorf("%s %s: no flaw named: %s", tt.method, tt.path, w.Body)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %s tells what is inside: %s", tt.method, tt.path, w.Body)
		}
	}
}

// While the catalog is away people are told to come back, not that they or we
// are wrong.
func TestCatalogAway(t *testing.T) {
	c := &changing{catalog: newCatalog(), away: true}
	a := newAPI(t, func(cfg *api.Config) { cfg.Lives, cfg.Replays = c, c })
	for _, path := range []string{"/v1/lives/" + onAirID, "/v1/lives/" + onAirID + "/events", "/whip/" + onAirID + "/events"} {
		w := do(a, "GET", path)
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 503 || p.Code != "unavailable" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestMounts(t *testing.T) {
	a := newAPI(t, nil)
	for path, want := range map[string]string{
		"/whip": "whip", "/whip/" + onAirID: "whip",
		"/live/" + onAirID + "/index.m3u8": "media", "/replay/" + replayID + "/audio.mp3": "media",
		"/": "pages", "/studio": "pages", "/listen/" + onAirID: "pages", "/assets/a.css": "pages",
	} {
		w := do(a, "GET", path)
		if w.Body.String() != want || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s %v", path, w.Body, w.Header())
		}
	}
	if w := do(a, "GET", "/nowhere", "Accept", "text/html,*/*;q=0.8"); w.Body.String() != "pages" {
		t.Errorf("a browser that is lost gets %s", w.Body)
	}
	bare := newAPI(t, func(c *api.Config) { c.WHIP, c.Media, c.Pages = nil, nil, nil })
	for _, path := range []string{"/whip", "/live/x/index.m3u8", "/"} {
		if w := do(bare, "GET", path); w.Code != 404 {
			t.Errorf("%s without a handler: %d", path, w.Code)
		}
	}
}

func TestBodyIsBounded(t *testing.T) {
	var got error
	a := newAPI(t, func(c *api.Config) {
		c.WHIP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, got = r.Body.Read(make([]byte, 2<<20))
			for got == nil {
				_, got = r.Body.Read(make([]byte, 1<<20))
			}
		})
	})
	r := httptest.NewRequest("POST", "/whip", strings.NewReader(strings.Repeat("v=0\n", 1<<19)))
	a.ServeHTTP(httptest.NewRecorder(), r)
	var tooLong *http.MaxBytesError
	if !errors.As(got, &tooLong) {
		t.Fatalf("a body of 2 MiB was read: %v", got)
	}
}
