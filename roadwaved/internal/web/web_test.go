package web_test

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/web"
)

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func pages(t *testing.T, c web.Config) http.Handler {
	t.Helper()
	h, err := web.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestVendoredFiles finds a vendored file that is not what its list says, or
// that no list knows.
func TestVendoredFiles(t *testing.T) {
	folder := filepath.Join("assets", "hls.js-1.7.4")
	list, err := os.Open(filepath.Join(folder, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	known := map[string]bool{"SHA256SUMS": true, "README.md": true}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		want, name, _ := strings.Cut(lines.Text(), "  ")
		known[name] = true
		body, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has changed: its SHA-256 is %x", name, sum)
		}
	}
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if !known[e.Name()] {
			t.Errorf("%s is not in SHA256SUMS", e.Name())
		}
	}
}

func TestPagesAreSafe(t *testing.T) {
	h := pages(t, web.Config{})
	for path, status := range map[string]int{"/": 200, "/studio": 200, "/listen/x": 200, "/nowhere": 404, "/assets/none.js": 404} {
		w := get(t, h, path)
		if w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
		for name, want := range map[string]string{
			"Content-Type":            "text/html; charset=utf-8",
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			"Permissions-Policy":      "microphone=(self), camera=(), geolocation=(self)",
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "same-origin",
			"Cache-Control":           "no-cache",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", path, name, got, want)
			}
		}
		if w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s sets a cookie", path)
		}
	}
}

var (
	reference = regexp.MustCompile(`(?:src|href)="([^"#]+)"`)
	inline    = regexp.MustCompile(`(?i)<script[^>]*>[^<]|\son\w+=|\sstyle=|<style`)
	module    = regexp.MustCompile(`from '(\./[^']+)'`)
	elsewhere = regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
)

// TestPagesAreWhole follows every reference: all are served, none leads to
// another site, and nothing is inline that the policy would block.
func TestPagesAreWhole(t *testing.T) {
	h := pages(t, web.Config{})
	for _, page := range []string{"/", "/studio", "/listen/x", "/nowhere"} {
		html := get(t, h, page).Body.String()
		if m := inline.FindString(html); m != "" {
			t.Errorf("%s: %q is inline", page, m)
		}
		if m := elsewhere.FindString(html); m != "" {
			t.Errorf("%s leads to %s", page, m)
		}
		for _, m := range reference.FindAllStringSubmatch(html, -1) {
			if w := get(t, h, m[1]); w.Code != 200 {
				t.Errorf("%s: %s answers %d", page, m[1], w.Code)
			}
		}
	}
	scripts, _ := filepath.Glob("assets/*.js")
	for _, script := range scripts {
		source, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range module.FindAllStringSubmatch(string(source), -1) {
			if _, err := os.Stat(filepath.Join("assets", m[1])); err != nil {
				t.Errorf("%s imports %s: %v", script, m[1], err)
			}
		}
		if m := elsewhere.FindString(string(source)); m != "" {
			t.Errorf("%s leads to %s", script, m)
		}
	}
}

func TestStudioKnowsTheHouse(t *testing.T) {
	html := get(t, pages(t, web.Config{}), "/studio").Body.String()
	for _, class := range station.AgeClasses {
		if !strings.Contains(html, `<option value="`+class+`">`) {
			t.Errorf("age class %q cannot be chosen", class)
		}
	}
	if !strings.Contains(html, `maxlength="200"`) || !strings.Contains(html, "Déconseillé aux moins de 16 ans") {
		t.Error("limits or labels are missing")
	}
}

func TestAssetsAreCached(t *testing.T) {
	h := pages(t, web.Config{})
	const script = "/assets/hls.js-1.7.4/hls.light.min.js"
	plain := get(t, h, script)
	zipped := get(t, h, script, "Accept-Encoding", "br;q=1, gzip;q=0.8")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len()*2 > plain.Body.Len() {
		t.Errorf("gzip: %v, %d of %d bytes", zipped.Header(), zipped.Body.Len(), plain.Body.Len())
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(z); string(body) != plain.Body.String() {
		t.Error("the compressed script is another one")
	}
	for _, c := range []struct {
		want   string
		accept []string
	}{
		{"", []string{"gzip;q=0"}}, {"", []string{"gzip; Q=0.000"}}, {"", []string{"br, x-gzip"}},
		{"gzip", []string{"GZIP"}}, {"gzip", []string{"br", "deflate, gzip"}}, {"gzip", []string{"gzip;q=0.1"}},
	} {
		r, w := httptest.NewRequest("GET", script, nil), httptest.NewRecorder()
		r.Header["Accept-Encoding"] = c.accept
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); got != c.want {
			t.Errorf("%q got %q", c.accept, got)
		}
	}
	if got := plain.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("a versioned file: %q", got)
	}
	for _, path := range []string{"/", "/assets/style.css"} {
		first := get(t, h, path)
		if again := get(t, h, path, "If-None-Match", first.Header().Get("ETag")); again.Code != 304 {
			t.Errorf("%s asked for again: %d", path, again.Code)
		}
	}
}

func TestMediaElsewhere(t *testing.T) {
	policy := get(t, pages(t, web.Config{PublicURL: "https://cdn.example:8443/fm"}), "/").Header().Get("Content-Security-Policy")
	for _, want := range []string{"connect-src 'self' https://cdn.example:8443;", "media-src 'self' blob: https://cdn.example:8443;"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	for _, bad := range []string{"cdn", "https://a;b", "://"} {
		if _, err := web.New(web.Config{PublicURL: bad}); err == nil {
			t.Errorf("public URL %q: want an error", bad)
		}
	}
}
