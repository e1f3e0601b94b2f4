package auth

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An Identity is who sends a request.
type Identity struct {
	Subject  string // their id; empty for somebody who did not say
	Premium  bool   // a Premium creator
	Operator bool   // runs the service
	// Authenticated tells that they proved it. In open mode everybody did.
	Authenticated bool
	// Proven tells that Subject is that of a signed token: never in open mode.
	Proven bool
}

// Claimed begins the ids of people who only say who they are, where others prove
// it. No Subject begins with it.
const Claimed = "~"

// MayGoLive tells whether they may begin a live.
func (i Identity) MayGoLive() bool { return i.Authenticated }

// MayRun tells whether they may change, and hear the notices of, a live that
// this creator began.
func (i Identity) MayRun(creatorID string) bool {
	return i.Operator || i.Authenticated && cmp.Or(i.Subject, station.AnonymousCreator) == creatorID
}

// An Authenticator tells who sends a request. Its methods may be called at the
// same time.
type Authenticator interface {
	// Identify reads the request's token. A request without one is nobody's:
	// the zero Identity, and no error. A token that is not good is an [*Error];
	// where it cannot be checked now, the error wraps [station.ErrAway].
	Identify(r *http.Request) (Identity, error)
	// Close stops what runs in the background and waits for it.
	Close() error
}

// Config says more about an [Authenticator]. The zero Config is ready to use.
type Config struct {
	// Audience, where set, must be among the token's aud. Set it where the same
	// key signs tokens for other services.
	Audience string
	// Issuer, where set, must be the token's iss.
	Issuer string
	// Refresh is how often published keys are fetched, 1 s or more. Default
	// 15 min. A token signed with a key not seen before makes it sooner.
	Refresh time.Duration
	// Transport fetches published keys. Default: one of its own, with the
	// proxies of the environment.
	Transport http.RoundTripper
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger hears of keys that could not be fetched, and of a secret that
	// others can read. Default: nothing.
	Logger *slog.Logger
}

func (c *Config) fill() error {
	c.Refresh = cmp.Or(c.Refresh, 15*time.Minute)
	if c.Refresh < time.Second {
		return fmt.Errorf("auth: Refresh is %v, it must be 1 s or more", c.Refresh)
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: fetchTimeout}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// A Method is a setting that was understood.
type Method struct {
	Kind string   // [OpenMode], [HS256] or [JWKS]
	File string   // of the secret, with HS256
	URL  *url.URL // of the keys, with JWKS
}

// The ways to tell who somebody is.
const (
	OpenMode = "open"
	HS256    = "hs256"
	JWKS     = "jwks"
)

// Parse reads a setting: "open", "hs256:FILE" or "jwks:URL". It looks at
// neither file nor URL.
func Parse(setting string) (Method, error) {
	kind, where, _ := strings.Cut(setting, ":")
	switch {
	case setting == OpenMode:
		return Method{Kind: OpenMode}, nil
	case kind == HS256 && where != "":
		return Method{Kind: HS256, File: where}, nil
	case kind == JWKS && where != "":
		u, err := parseKeysURL(where)
		return Method{Kind: JWKS, URL: u}, err
	}
	return Method{}, errors.New("auth: want open, hs256:FILE or jwks:URL")
}

// Open makes what a setting stands for. With published keys it does not wait
// for them: until they could be fetched, tokens cannot be checked
// ([station.ErrAway]).
func Open(setting string, cfg Config) (Authenticator, error) {
	method, err := Parse(setting)
	if err != nil {
		return nil, err
	}
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	switch method.Kind {
	case HS256:
		return newSecret(method.File, cfg)
	case JWKS:
		return newPublished(method.URL, cfg), nil
	}
	return open{}, nil
}

// open believes everybody.
type open struct{}

func (open) Identify(r *http.Request) (Identity, error) {
	token, err := bearer(r)
	if err != nil {
		return Identity{}, err
	}
	if token != "" && !isSubject(token) {
		return Identity{}, ErrBadToken
	}
	return Identity{Subject: token, Authenticated: true}, nil
}

func (open) Close() error { return nil }
