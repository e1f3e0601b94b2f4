package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// forwardedHeader marks what another daemon sent on: it is not sent on again.
// Strangers who send it only keep their own request here.
const forwardedHeader = "Roadwave-Forwarded"

// A forwarder sends requests on to the daemon that has their live.
type forwarder struct {
	transport *http.Transport
	proxy     httputil.ReverseProxy
}

type peerKey struct{}

// newForwarder makes what sends requests on.
func (a *API) newForwarder() *forwarder {
	f := &forwarder{transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		TLSHandshakeTimeout:   2 * time.Second,
		ResponseHeaderTimeout: 15 * time.Second,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       30 * time.Second,
	}}
	f.proxy = httputil.ReverseProxy{
		Transport:     f.transport,
		FlushInterval: -1,
		Rewrite:       a.rewrite,
		ModifyResponse: func(res *http.Response) error {
			res.Header.Del("X-Content-Type-Options") // we say so ourselves
			return nil
		},
		ErrorHandler: a.peerFailed,
		ErrorLog:     slog.NewLogLogger(a.config.Logger.Handler(), slog.LevelWarn),
	}
	return f
}

// rewrite tells the peer what we believe about the client, and nothing that the
// client made up.
func (a *API) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(r.In.Context().Value(peerKey{}).(*url.URL))
	r.Out.Host = r.In.Host
	o := a.requestOrigin(r.In)
	r.Out.Header.Set(forwardedHeader, "1")
	r.Out.Header.Set("X-Forwarded-Proto", o.Scheme)
	if o.Host != "" {
		r.Out.Header.Set("X-Forwarded-Host", o.Host)
	}
	if client := a.client(r.In); client != (netip.Addr{}) {
		r.Out.Header.Set("X-Forwarded-For", client.String())
	}
}

func (a *API) peerFailed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil || errors.Is(err, context.Canceled) {
		return // nobody waits for the answer any more
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		writeProblem(w, newProblem(http.StatusRequestEntityTooLarge, codeOf(413), detailOf(413)))
		return
	}
	peer := r.Context().Value(peerKey{}).(*url.URL)
	a.config.Logger.Warn("the daemon that has this live does not answer", "peer", peer.Host, "path", r.URL.Path, "err", err)
	writeProblem(w, unavailable())
}

// whereItIs serves requests about a live here, or where the live is.
func (a *API) whereItIs(here http.HandlerFunc) http.HandlerFunc {
	if a.config.Peer == nil || a.config.Here == nil {
		return here
	}
	return func(w http.ResponseWriter, r *http.Request) {
		peer, ok := a.peerOf(r)
		if !ok {
			here(w, r)
			return
		}
		if peer.Host == "" {
			writeProblem(w, unavailable())
			return
		}
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), peerKey{}, peer))
		defer cancel()
		if strings.HasSuffix(r.URL.Path, "/events") {
			from := a.client(r)
			if !a.streams.enter(from) {
				writeProblem(w, tooManyStreams())
				return
			}
			defer a.streams.leave(from)
			defer context.AfterFunc(a.streams.closed, cancel)()
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		}
		a.forwarder.proxy.ServeHTTP(newPatient(w), r.WithContext(ctx))
	}
}

// peerOf is the daemon that a request is for, unless that is this one. It has no
// host where the live is not here and cannot be reached now: to call it unknown
// would make players and proxies give up on it.
func (a *API) peerOf(r *http.Request) (*url.URL, bool) {
	id := r.PathValue("live_id")
	if r.Method == http.MethodOptions || r.Header.Get(forwardedHeader) != "" || len(id) > maxID || a.config.Here(id) {
		return nil, false
	}
	return a.config.Peer(r.Context(), id)
}
