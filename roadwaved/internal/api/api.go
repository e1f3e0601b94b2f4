package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Lives is what the API reads about lives.
type Lives interface {
	Live(ctx context.Context, id string) (station.Live, error)
	ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error)
}

// Replays is what the API reads about replays and those still being made.
type Replays interface {
	Replay(ctx context.Context, id string) (station.Replay, error)
	ReplayOf(ctx context.Context, liveID string) (station.Replay, error)
	ListReplays(ctx context.Context, q station.ReplayQuery) ([]station.Replay, error)
	Job(ctx context.Context, liveID string) (station.Job, error)
}

// Config is what an [API] is made of. Lives and Replays are required; a
// handler left nil is not mounted.
type Config struct {
	Lives   Lives
	Replays Replays
	// Events tells what happens to a live while it runs. nil: streams carry
	// nothing but the end that was already in the catalog when they opened.
	Events Events

	WHIP  http.Handler // at /whip and /whip/{live_id}
	Media http.Handler // at /live/ and /replay/
	Pages http.Handler // the web pages, and what a browser is told where there is nothing

	// Creator tells who sends a request, as the WHIP handler does. It guards
	// the creator's event stream. nil lets everybody read it.
	Creator func(*http.Request) (creatorID string, err error)

	// PublicURL is what listeners put before /live and /replay, such as
	// "https://radio.example". Empty: the scheme and host of each request.
	PublicURL string
	// TrustProxy believes X-Forwarded-Proto and X-Forwarded-Host. Turn it on
	// only behind a proxy that sets both; anybody can send them.
	TrustProxy bool

	// MaxStreams bounds the event streams open at once. Default 20000.
	MaxStreams int
	// KeepAlive is how often a quiet event stream sends a comment, so that
	// proxies keep it and vanished readers are noticed. Default 15 s.
	KeepAlive time.Duration

	// Version is the daemon's, for the OpenAPI document. Default "dev".
	Version string
	// Logger gets what fails inside. nil discards.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Events == nil {
		c.Events = silence{}
	}
	if c.MaxStreams <= 0 {
		c.MaxStreams = 20000
	}
	if c.KeepAlive <= 0 {
		c.KeepAlive = 15 * time.Second
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// maxBody bounds what any request may send; the longest offer a browser
// makes is some kilobytes.
const maxBody = 1 << 20

// An API is the handler of the public listener.
type API struct {
	config  Config
	public  *url.URL // nil: from the request
	mux     *http.ServeMux
	routes  []string // patterns in the order of registration
	doc     *huma.OpenAPI
	streams streams
}

// New makes the handler. The error says which part of the configuration is
// missing or makes no sense.
func New(c Config) (*API, error) {
	if c.Lives == nil || c.Replays == nil {
		return nil, errors.New("api: Lives and Replays are required")
	}
	public, err := parsePublicURL(c.PublicURL)
	if err != nil {
		return nil, err
	}
	a := &API{config: c.withDefaults(), public: public, mux: http.NewServeMux()}
	a.streams.init(a.config.MaxStreams)
	if err := a.mount(); err != nil {
		return nil, err
	}
	return a, nil
}

// Close ends the event streams and refuses new ones, so that the server can
// shut down. Other requests are still answered. It may be called more than once.
func (a *API) Close() error {
	a.streams.close()
	return nil
}

// ServeHTTP routes the request; what no route takes becomes a problem too.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.ContentLength != 0 {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	if _, pattern := a.mux.Handler(r); pattern == "" {
		a.refuse(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// refuse answers where the mux has no route: it decides between 404 and 405
// (with Allow), and the plain text it would write becomes a problem.
func (a *API) refuse(w http.ResponseWriter, r *http.Request) {
	verdict := verdictWriter{header: http.Header{}}
	a.mux.ServeHTTP(&verdict, r)
	if allow := verdict.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		writeProblem(w, newProblem(http.StatusMethodNotAllowed, "method-not-allowed", "Cette action n'est pas possible ici."))
		return
	}
	if a.config.Pages != nil && strings.Contains(r.Header.Get("Accept"), "text/html") {
		a.config.Pages.ServeHTTP(w, r) // a person followed a wrong link
		return
	}
	writeProblem(w, newProblem(http.StatusNotFound, "not-found", "Cette page n'existe pas."))
}

// verdictWriter takes an answer of the mux without sending it.
type verdictWriter struct{ header http.Header }

func (v *verdictWriter) Header() http.Header         { return v.header }
func (v *verdictWriter) Write(p []byte) (int, error) { return len(p), nil }
func (v *verdictWriter) WriteHeader(int)             {}

// HandleFunc registers a route and remembers it, so that a test can hold the
// routes and the OpenAPI document together.
func (a *API) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	a.routes = append(a.routes, pattern)
	a.mux.HandleFunc(pattern, h)
}

func (a *API) mount() error {
	a.describe()
	a.HandleFunc("GET /v1/lives/{live_id}/events", a.listenerEvents)
	a.HandleFunc("GET /whip/{live_id}/events", a.creatorEvents)
	if h := a.config.WHIP; h != nil {
		a.HandleFunc("/whip", h.ServeHTTP)
		a.HandleFunc("/whip/{live_id}", h.ServeHTTP)
	}
	if h := a.config.Media; h != nil {
		a.HandleFunc("/live/", h.ServeHTTP)
		a.HandleFunc("/replay/", h.ServeHTTP)
	}
	if h := a.config.Pages; h != nil {
		for _, path := range pages {
			a.HandleFunc("GET "+path, h.ServeHTTP)
		}
	}
	spec, err := a.doc.MarshalJSON()
	if err != nil {
		return err
	}
	a.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(spec)
	})
	return nil
}

// pages are the paths that belong to people, not to programs: they are not in
// the OpenAPI document.
var pages = []string{"/{$}", "/studio", "/listen/{id}", "/assets/{file...}", "/favicon.ico", "/robots.txt"}
