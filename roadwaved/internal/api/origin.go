package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// parsePublicURL accepts an http or https URL without query; nil for "".
func parsePublicURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("api: public URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("api: public URL %q: want http(s)://host[:port][/path]", s)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// An origin is what stands before the paths in URLs given to listeners.
type origin struct {
	url.URL
	// fixed tells that it does not depend on the request, so that a shared
	// cache may keep what contains it.
	fixed bool
}

// origin is the configured public URL, or else where the request says it went.
func (a *API) origin(r *http.Request) origin {
	if a.public != nil {
		return origin{URL: *a.public, fixed: true}
	}
	return a.requestOrigin(r)
}

// requestOrigin is where a request says it went, before any proxy that is
// trusted.
func (a *API) requestOrigin(r *http.Request) origin {
	o := origin{URL: url.URL{Scheme: "http"}}
	if r.TLS != nil {
		o.Scheme = "https"
	}
	if isHost(r.Host) { // else HTTP/1.0, or nonsense
		o.Host = r.Host
	}
	if !a.trusted(peerAddress(r)) {
		return o
	}
	if proto := r.Header.Get("X-Forwarded-Proto"); proto == "http" || proto == "https" {
		o.Scheme = proto
	}
	if host := r.Header.Get("X-Forwarded-Host"); isHost(host) {
		o.Host = host
	}
	return o
}

// isHost tells whether s, as a client sent it, can stand in a URL as its host.
func isHost(s string) bool {
	u, err := url.Parse("http://" + s)
	return err == nil && s != "" && u.Host == s
}

// to is the URL of a path under the origin, or the path where nobody knows the
// host.
func (o origin) to(elem ...string) string {
	if o.Host == "" {
		o.URL = url.URL{Path: "/"}
	}
	return o.JoinPath(elem...).String()
}

// cacheControl lets caches keep an answer for the second that a playlist is
// kept, unless a forged Host header could then reach other people.
func (o origin) cacheControl() string {
	if o.fixed {
		return "public, max-age=1"
	}
	return "private, no-store"
}
