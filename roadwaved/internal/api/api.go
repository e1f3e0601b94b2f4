package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
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

	// Audience counts who listens and reacts. nil: nobody is counted.
	Audience Listeners

	// Identify tells who sends a request, as an [auth.Authenticator] does. It
	// guards the creator's event stream and the WHIP handler, and goes before
	// what listeners say about themselves. nil lets everybody do everything.
	Identify func(*http.Request) (auth.Identity, error)

	// Peer finds the daemon that has a live, and Here tells the lives this one
	// has: on air, or over so lately that they can still be heard. Requests to
	// creators' and media paths of a live that a peer has are sent on to it,
	// once. The peer must have this daemon's address among its TrustedProxies
	// to see whose request it is. nil: all is here. A URL without a host is a
	// live that cannot be reached now: 503.
	Peer func(ctx context.Context, liveID string) (*url.URL, bool)
	Here func(liveID string) bool

	// PublicURL is what listeners put before /live and /replay, such as
	// "https://radio.example". Empty: the scheme and host of each request.
	PublicURL string
	// TrustedProxies are the networks whose X-Forwarded-For, -Proto and -Host
	// are believed: those of proxies that set all three, and of other daemons.
	// Default: none.
	TrustedProxies []netip.Prefix
	// OriginKey is what the addresses of listeners are hashed with, so that
	// they are kept nowhere: 32 bytes that the daemons of one house share.
	// Default: random ones, for one daemon alone.
	OriginKey []byte
	// Limits bound what comes from one network address.
	Limits Limits

	// LoopbackOnly refuses requests, except for media, whose Host is not this
	// machine's own name or address (localhost, 127.0.0.1, ::1): set it where
	// Identify believes everybody, or pages of other sites could talk to a daemon
	// that only this machine reaches, under a name of theirs that leads here (DNS
	// rebinding).
	LoopbackOnly bool

	// MaxStreams bounds the event streams of listeners open at once. Default
	// 20000.
	MaxStreams int
	// MaxCreatorStreams bounds those of creators. Default 2000.
	MaxCreatorStreams int
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
	if c.MaxCreatorStreams <= 0 {
		c.MaxCreatorStreams = 2000
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
	c.Limits = c.Limits.withDefaults()
	return c
}

// maxBody bounds what any request may send; the longest offer a browser
// makes is some kilobytes.
const maxBody = 1 << 20

// An API is the handler of the public listener.
type API struct {
	gate
	config    Config
	public    *url.URL // nil: from the request
	originKey [32]byte

	mux     *http.ServeMux
	known   *http.ServeMux // the same routes, without the one that catches all
	routes  []string       // patterns in the order of registration
	doc     *huma.OpenAPI
	streams streams
	vigils  vigils

	limiters
	sites     *http.CrossOriginProtection
	departed  departed
	doubted   atomic.Int64 // when an untrusted proxy was warned of, ns since 1970
	forwarder *forwarder
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
	a := &API{config: c.withDefaults(), public: public, mux: http.NewServeMux(), known: http.NewServeMux()}
	a.gate = gate{a.config.Logger, a.config.Identify}
	if err := a.setOriginKey(c.OriginKey); err != nil {
		return nil, err
	}
	if a.sites, err = newSites(public); err != nil {
		return nil, err
	}
	if a.limiters, err = newLimiters(a.config.Limits); err != nil {
		return nil, err
	}
	if a.departed, err = newDeparted(); err != nil {
		return nil, err
	}
	a.forwarder = a.newForwarder()
	a.streams.init(a.config)
	if err := a.mount(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *API) setOriginKey(key []byte) error {
	switch len(key) {
	case 0:
		_, err := rand.Read(a.originKey[:])
		return err
	case len(a.originKey):
		copy(a.originKey[:], key)
		return nil
	}
	return fmt.Errorf("api: OriginKey has %d bytes, want %d", len(key), len(a.originKey))
}

// Close ends the event streams and refuses new ones, so that the server can
// shut down. Other requests are still answered. It may be called more than once.
func (a *API) Close() error {
	a.streams.close()
	a.forwarder.transport.CloseIdleConnections()
	return nil
}

// ServeHTTP routes the request; what no route takes becomes a problem too.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["X-Content-Type-Options"] = noSniff
	giveTime(http.NewResponseController(w), 0)
	if r.ContentLength != 0 {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	if a.config.LoopbackOnly && !isMedia(r.URL.Path) && !(isLoopback(r.Host) && isLoopback(a.requestOrigin(r).Host)) {
		writeProblem(w, misdirected())
		return
	}
	if !isText(r.URL.Path) {
		writeProblem(w, notFound())
		return
	}
	a.mux.ServeHTTP(w, r)
}

var noSniff = []string{"nosniff"}

// refuse answers where there is no route: it decides between 404 and 405 (with
// Allow).
func (a *API) refuse(w http.ResponseWriter, r *http.Request) {
	verdict := verdictWriter{header: http.Header{}}
	a.known.ServeHTTP(&verdict, r)
	if allow := verdict.header.Get("Allow"); allow != "" {
		p := newProblem(http.StatusMethodNotAllowed, "method-not-allowed", "Cette action n'est pas possible ici.")
		writeProblem(w, p.with("Allow", allow))
		return
	}
	if a.config.Pages != nil && strings.Contains(r.Header.Get("Accept"), "text/html") {
		a.config.Pages.ServeHTTP(w, r) // a person followed a wrong link
		return
	}
	writeProblem(w, notFound())
}

func notFound() *Problem {
	return newProblem(http.StatusNotFound, "not-found", "Cette page n'existe pas.")
}

// isText tells whether every database takes s.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

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
	a.known.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
}

func (a *API) mount() error {
	a.describe()
	a.HandleFunc("GET /v1/lives/{live_id}/events", a.listenerEvents)
	if a.config.Audience != nil {
		a.HandleFunc("PUT /v1/lives/{live_id}/listeners/{listener_id}", a.beat)
		a.HandleFunc("DELETE /v1/lives/{live_id}/listeners/{listener_id}", a.leave)
	}
	a.HandleFunc("GET /whip/{live_id}/events", a.whereItIs(a.creatorEvents))
	a.HandleFunc("OPTIONS /whip/{live_id}/events", creatorEventsOptions)
	if h := a.config.WHIP; h != nil {
		a.HandleFunc("/whip", a.atTheDoor(h.ServeHTTP))
		a.HandleFunc("/whip/{live_id}", a.whereItIs(a.atTheDoor(h.ServeHTTP)))
	}
	if h := a.config.Media; h != nil {
		a.HandleFunc("/live/{live_id}/", a.whereItIs(patiently(h.ServeHTTP)))
		a.HandleFunc("/live/", patiently(h.ServeHTTP))
		a.HandleFunc("/replay/", patiently(h.ServeHTTP))
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
	a.mux.HandleFunc("/", a.refuse)
	return nil
}

// pages are the paths that belong to people, not to programs: they are not in
// the OpenAPI document.
var pages = []string{"/{$}", "/studio", "/listen/{id}", "/assets/{file...}", "/favicon.ico", "/robots.txt"}
