package api_test

import (
	"net/http/httptest"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

// Pages of other sites do not make their visitors listen or like; our own do,
// behind a proxy too, and so do apps, which say nothing about pages.
func TestOtherSites(t *testing.T) {
	direct := newAPI(t, nil)
	public := newAPI(t, func(c *api.Config) { c.PublicURL = "https://radio.example/fm" })
	behind := newAPI(t, func(c *api.Config) { c.TrustedProxies = testNet })
	for name, tt := range map[string]struct {
		api    *api.API
		header []string
		allow  bool
	}{
		"an app":                        {direct, nil, true},
		"our page":                      {direct, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, true},
		"the address bar":               {direct, []string{"Sec-Fetch-Site", "none"}, true},
		"another site":                  {direct, []string{"Sec-Fetch-Site", "cross-site"}, false},
		"a sister site":                 {direct, []string{"Sec-Fetch-Site", "same-site"}, false},
		"our page, old browser":         {direct, []string{"Origin", "http://example.com"}, true},
		"another, old browser":          {direct, []string{"Origin", "https://evil.example"}, false},
		"a page in a box":               {direct, []string{"Origin", "null"}, false},
		"the public URL":                {public, []string{"Origin", "https://radio.example"}, true},
		"not the public URL":            {public, []string{"Origin", "https://evil.example"}, false},
		"through our proxy":             {behind, []string{"Origin", "https://radio.example", "X-Forwarded-Host", "radio.example"}, true},
		"another, through our proxy":    {behind, []string{"Origin", "https://evil.example", "X-Forwarded-Host", "radio.example"}, false},
		"what a stranger says of Hosts": {direct, []string{"Origin", "https://evil.example", "X-Forwarded-Host", "evil.example"}, false},
	} {
		for _, what := range []struct{ method, path, body string }{
			{"POST", "/likes", `{"user_id":"a"}`}, {"POST", "/reports", `{"user_id":"a","category":"spam"}`}, {"POST", "/listeners", `{}`},
			{"PUT", "/listeners/x", ""}, {"DELETE", "/listeners/x", ""},
		} {
			if w := send(tt.api, what.method, livePath+what.path, what.body, tt.header...); (w.Code == 403) == tt.allow || tt.allow && w.Code > 299 {
				t.Errorf("%s, %s %s: %d %s", name, what.method, what.path, w.Code, w.Body)
			}
		}
	}
	for kind, want := range map[string]int{"application/json": 200, "application/json; charset=utf-8": 200, "": 415, "text/plain": 415, "text/plain+json": 415} {
		if w := send(direct, "POST", livePath+"/likes", `{"user_id":"a"}`, "Content-Type", kind); w.Code != want {
			t.Errorf("Content-Type %q: %d %s", kind, w.Code, w.Body)
		}
	}
}

// A daemon that believes everybody is not reached under a name that somebody else
// made lead to this machine.
func TestLoopbackOnly(t *testing.T) {
	public := newAPI(t, func(c *api.Config) { c.LoopbackOnly, c.TrustedProxies = true, testNet })
	admin := newAdmin(newOffice(), func(c *api.AdminConfig) { c.LoopbackOnly = true })
	for host, ours := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LOCALHOST.:80": true, "radio.localhost:8080": true, "127.0.0.1:8080": true, "127.8.9.1": true,
		"[::1]": true, "[::1]:8080": true, "[::ffff:127.0.0.1]:80": true,
		"": false, "evil.example": false, "evil.example:8080": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"evillocalhost": false, "192.168.1.7:8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "[fe80::1]": false,
	} {
		for name, get := range map[string]func(host, forwarded string) int{
			"public": func(host, forwarded string) int {
				r := httptest.NewRequest("GET", "/v1/lives", nil)
				r.Host = host
				r.Header.Set("X-Forwarded-Host", forwarded)
				w := httptest.NewRecorder()
				public.ServeHTTP(w, r)
				return w.Code
			},
			"admin": func(host, _ string) int {
				r := httptest.NewRequest("GET", "/v1/jobs", nil)
				r.Host = host
				w := httptest.NewRecorder()
				admin.ServeHTTP(w, r)
				return w.Code
			},
		} {
			if code := get(host, ""); (code == 200) != ours || (code == 421) == ours {
				t.Errorf("%s, %q: %d", name, host, code)
			}
			if code := get("127.0.0.1:8080", host); name == "public" && host != "" && (code == 200) != ours {
				t.Errorf("%q through a proxy: %d", host, code)
			}
		}
	}
	r := httptest.NewRequest("GET", "/live/a/index.m3u8", nil)
	r.Host = "roadwave" // as NGINX says
	w := httptest.NewRecorder()
	if public.ServeHTTP(w, r); w.Code == 421 {
		t.Errorf("media: %d", w.Code)
	}
	if w := do(newAPI(t, nil), "GET", "/v1/lives"); w.Code != 200 {
		t.Errorf("where people prove who they are: %d", w.Code)
	}
}
