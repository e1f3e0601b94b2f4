package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

//go:embed assets pages
var files embed.FS

// Config adapts the pages. The zero Config is what a single daemon needs.
type Config struct {
	// PublicURL is where lives and replays are fetched from when that is not
	// where the pages come from, such as a CDN. The content security policy
	// then allows its origin. Default: only the pages' own origin.
	PublicURL string
}

// New makes the handler of the pages: /, /studio, /listen/{id}, /assets/…
func New(c Config) (http.Handler, error) {
	elsewhere, err := originOf(c.PublicURL)
	if err != nil {
		return nil, err
	}
	s := &site{policy: contentPolicy(elsewhere), assets: map[string]*resource{}}
	if err := s.loadPages(); err != nil {
		return nil, err
	}
	if err := s.loadAssets(); err != nil {
		return nil, err
	}
	return s.routes(), nil
}

func originOf(publicURL string) (string, error) {
	if publicURL == "" {
		return "", nil
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Host, "; ,'\"") {
		return "", fmt.Errorf("web: public URL %q: want http(s)://host[:port]", publicURL)
	}
	return u.Scheme + "://" + u.Host, nil
}

// contentPolicy lets the pages load nothing but themselves; blob: is how
// Media Source Extensions hand sound to the audio element.
func contentPolicy(elsewhere string) string {
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "manifest-src 'self'",
		strings.TrimSpace("connect-src 'self' " + elsewhere), strings.TrimSpace("media-src 'self' blob: " + elsewhere),
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; ")
}

// A site is everything there is to serve, ready as bytes.
type site struct {
	policy                       string
	home, studio, listen, absent *resource
	assets                       map[string]*resource // by path under assets/
}

// A resource is one file, compressed once.
type resource struct {
	body, gzipped []byte
	contentType   string
	cacheControl  string
	etag          string
}

func newResource(name string, body []byte, cacheControl string) (*resource, error) {
	contentType, ok := contentTypes[path.Ext(name)]
	if !ok {
		return nil, fmt.Errorf("web: %s: no content type for it", name)
	}
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	sum := sha256.Sum256(body)
	r := &resource{body: body, contentType: contentType, cacheControl: cacheControl, etag: hex.EncodeToString(sum[:8])}
	if zipped.Len() < len(body)*9/10 {
		r.gzipped = zipped.Bytes()
	}
	return r, nil
}

// contentTypes are spelled out: what the mime package knows depends on the machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".md":   "text/plain; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
	"":      "text/plain; charset=utf-8",
}

// The pages and our own assets have names that stay: caches ask each time and
// are told 304. What carries its version in its name never changes.
const (
	revalidate = "no-cache"
	immutable  = "public, max-age=31536000, immutable"
)

func (s *site) loadPages() error {
	pages, err := template.ParseFS(files, "pages/*.html")
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	for name, to := range map[string]**resource{"home.html": &s.home, "studio.html": &s.studio, "listen.html": &s.listen, "absent.html": &s.absent} {
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, name, house); err != nil {
			return fmt.Errorf("web: %w", err)
		}
		if *to, err = newResource(name, b.Bytes(), revalidate); err != nil {
			return err
		}
	}
	return nil
}

// house is what the pages must know of the rules of the house.
var house = struct {
	MaxCreatorID, MaxTitle, MaxZoneGeo, MaxTags, MaxTag int
	AgeClasses, Reports                                 []choice
}{station.MaxCreatorID, station.MaxTitle, station.MaxZoneGeo, station.MaxTags, station.MaxTag, ageClasses(), reports()}

// A choice is one of those that a form gives.
type choice struct{ Value, Label string }

func ageClasses() []choice {
	var classes []choice
	for _, c := range station.AgeClasses {
		label := strings.ToUpper(c[:1]) + c[1:]
		if years, ok := strings.CutPrefix(c, "-"); ok {
			label = "Déconseillé aux moins de " + years + " ans"
		}
		classes = append(classes, choice{c, label})
	}
	return classes
}

// reportLabels say to listeners what the reasons to report a live mean.
var reportLabels = map[string]string{
	"hate":      "Haine ou discrimination",
	"violence":  "Violence ou menaces",
	"sexual":    "Contenu sexuel",
	"spam":      "Publicité ou arnaque",
	"copyright": "Musique ou contenu sans droits",
	"danger":    "Danger sur la route",
	"other":     "Autre chose",
}

func reports() []choice {
	var reasons []choice
	for _, c := range station.ReportCategories {
		reasons = append(reasons, choice{c, cmp.Or(reportLabels[c], c)})
	}
	return reasons
}

func (s *site) loadAssets() error {
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return err
	}
	return fs.WalkDir(assets, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(assets, name)
		if err != nil {
			return err
		}
		keep := revalidate
		if strings.Contains(name, "/") { // only vendored files are in folders, named after their version
			keep = immutable
		}
		s.assets[name], err = newResource(name, body, keep)
		return err
	})
}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, p *resource) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.page(w, r, p, http.StatusOK) })
	}
	page("GET /{$}", s.home)
	page("GET /studio", s.studio)
	page("GET /listen/{id}", s.listen)
	mux.HandleFunc("GET /assets/{name...}", func(w http.ResponseWriter, r *http.Request) {
		if asset := s.assets[r.PathValue("name")]; asset != nil {
			asset.serve(w, r, http.StatusOK)
			return
		}
		s.page(w, r, s.absent, http.StatusNotFound)
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		s.assets["icon.svg"].serve(w, r, http.StatusOK)
	})
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, r *http.Request) {
		s.assets["robots.txt"].serve(w, r, http.StatusOK)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.page(w, r, s.absent, http.StatusNotFound) })
	return mux
}

// page serves HTML with the headers that keep it from being framed, from
// running foreign code, and from using more of the device than a microphone
// and, where the listener says so, its position.
func (s *site) page(w http.ResponseWriter, r *http.Request, p *resource, status int) {
	h := w.Header()
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=(self)")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	p.serve(w, r, status)
}

func (f *resource) serve(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.cacheControl)
	body, etag := f.body, f.etag
	if f.gzipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header["Accept-Encoding"]) {
			h.Set("Content-Encoding", "gzip")
			body, etag = f.gzipped, f.etag+"-gz"
		}
	}
	if status != http.StatusOK {
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = w.Write(body)
		}
		return
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip looks for gzip among the codings of Accept-Encoding, on however many
// lines, unless its weight is zero (RFC 9110 §12.5.3).
func acceptsGzip(fields []string) bool {
	for _, field := range fields {
		for coding := range strings.SplitSeq(field, ",") {
			name, parameter, _ := strings.Cut(coding, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				q, weight, weighted := strings.Cut(strings.TrimSpace(parameter), "=")
				return !weighted || !strings.EqualFold(q, "q") || strings.Trim(weight, "0.") != ""
			}
		}
	}
	return false
}
