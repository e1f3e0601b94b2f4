package api

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/roadwave/roadwave/roadwaved/internal/loopback"
)

// newSites tells pages of the site at the public URL, where there is one, from
// those of others.
func newSites(public *url.URL) (*http.CrossOriginProtection, error) {
	sites := http.NewCrossOriginProtection()
	if public == nil {
		return sites, nil
	}
	return sites, sites.AddTrustedOrigin(public.Scheme + "://" + public.Host)
}

// sameSite tells whether a request was made by a page of this site, or by no page
// at all: apps send neither Origin nor Sec-Fetch-Site.
func (a *API) sameSite(r *http.Request) bool {
	if a.sites.Check(r) == nil {
		return true
	}
	host := a.requestOrigin(r).Host
	if host == r.Host {
		return false
	}
	seen := r.WithContext(r.Context()) // as the proxy, which changed Host, saw it
	seen.Host = host
	return a.sites.Check(seen) == nil
}

func crossSite() *Problem {
	return newProblem(http.StatusForbidden, "cross-site", "Cette demande vient d'un autre site.")
}

// isLoopback tells whether a Host header is a name or address by which a machine
// calls itself, and that no other can have.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return strings.HasSuffix(host, ".localhost") || // in a browser, RFC 6761 §6.3
		loopback.Is(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// isMedia tells whether a path is one of media: those are for everybody, and
// NGINX asks for them by a host of its own.
func isMedia(path string) bool {
	return strings.HasPrefix(path, "/live/") || strings.HasPrefix(path, "/replay/")
}

func misdirected() *Problem {
	p := newProblem(http.StatusMisdirectedRequest, "misdirected", "Ce serveur ne répond qu'aux adresses de sa machine, comme http://localhost ou http://127.0.0.1.")
	p.Errors = []*ErrorDetail{{Message: "expected a loopback host: with --auth open nobody proves who they are, and a page of another site could pass for this one", Location: "header.Host"}}
	return p
}
