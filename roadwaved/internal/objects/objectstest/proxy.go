package objectstest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Proxy stands between a client and a server and spoils what passes.
type Proxy struct {
	Endpoint string // http://127.0.0.1:port

	t       testing.TB
	forward *httputil.ReverseProxy
	ended   chan struct{}

	mu    sync.Mutex
	fault Fault
	seen  func(r *http.Request, status int)
}

// A Fault may answer a request instead of the server; false lets it pass.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// NewProxy starts a proxy before a server. It ends with the test.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	p := &Proxy{t: t, ended: make(chan struct{})}
	p.forward = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host // it is part of the signature
		},
		ModifyResponse: func(r *http.Response) error {
			p.tell(r.Request, r.StatusCode)
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // a server that is gone does not answer
		},
	}
	server := httptest.NewServer(p)
	p.Endpoint = server.URL
	t.Cleanup(func() {
		close(p.ended)
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// Set makes requests meet a fault from now on; nil lets them pass.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Watch has f told what the server answered, before the client is.
func (p *Proxy) Watch(f func(r *http.Request, status int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = f
}

func (p *Proxy) tell(r *http.Request, status int) {
	p.mu.Lock()
	seen := p.seen
	p.mu.Unlock()
	if seen != nil {
		seen(r, status)
	}
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	p.Forward(w, r)
}

// Forward passes a request on, for a fault that spoils the answer.
func (p *Proxy) Forward(w http.ResponseWriter, r *http.Request) { p.forward.ServeHTTP(w, r) }

// SlowDown answers as a store that has too much to do.
func SlowDown(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
	return true
}

// Reset breaks the connection.
func Reset(w http.ResponseWriter, _ *http.Request) bool {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // RST rather than FIN
	}
	_ = c.Close()
	return true
}

// Hang takes the request and never answers.
func (p *Proxy) Hang(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body)
	p.wait(r, 0)
	return true
}

// Late passes requests on after a while.
func (p *Proxy) Late(d time.Duration) Fault {
	return func(_ http.ResponseWriter, r *http.Request) bool { return p.wait(r, d) }
}

// Trickle answers one byte a second.
func (p *Proxy) Trickle(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("Content-Length", "1000000")
	w.Header().Set("Etag", `"0123456789abcdef0123456789abcdef"`)
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	for range 1000 {
		if _, err := w.Write([]byte{'x'}); err != nil || http.NewResponseController(w).Flush() != nil || p.wait(r, time.Second) {
			break
		}
	}
	return true
}

// wait waits, for ever with 0; it reports that client or test have gone.
func (p *Proxy) wait(r *http.Request, d time.Duration) (gone bool) {
	var after <-chan time.Time
	if d > 0 {
		after = time.After(d)
	}
	select {
	case <-after:
		return false
	case <-r.Context().Done():
	case <-p.ended:
	}
	return true
}
