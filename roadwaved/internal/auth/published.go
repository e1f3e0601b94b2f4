package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/loopback"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	fetchTimeout = 5 * time.Second
	// maxKeys bounds the document that holds the keys, in bytes.
	maxKeys = 1 << 20
	// sparing is the least time between two fetches that strangers cause with
	// keys nobody has heard of.
	sparing = 30 * time.Second
	// retry is how soon a fetch that failed is tried again, at first and at last.
	firstRetry, lastRetry = time.Second, 30 * time.Second
)

var errKeysAway = fmt.Errorf("auth: the keys that tokens are checked with cannot be fetched: %w", station.ErrAway)

// parseKeysURL wants what nobody between us and the keys can change.
func parseKeysURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("auth: jwks wants a URL like https://id.example/.well-known/jwks.json, without a password")
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback.Is(u.Hostname()) {
		return u, nil
	}
	return nil, fmt.Errorf("auth: the keys at %s://%s could be replaced on the way: use https (http only on a loopback address)", u.Scheme, u.Host)
}

// published believes tokens that were signed with one of the keys that a URL
// publishes.
type published struct {
	checker
	cfg    Config
	url    *url.URL
	client *http.Client
	keys   atomic.Pointer[keyfunc.Keyfunc] // nil until the first fetch that worked

	mu     sync.Mutex
	flight *flight   // the fetch in progress
	tried  time.Time // when the last one began
	last   error     // what came of it

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// A flight is a fetch that several wait for.
type flight struct {
	done chan struct{}
	err  error
}

func newPublished(u *url.URL, cfg Config) *published {
	ctx, stop := context.WithCancel(context.Background())
	p := &published{
		checker: newChecker(cfg, jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg()),
		cfg:     cfg, url: u, stop: stop,
		client: &http.Client{
			Transport:     cfg.Transport,
			Timeout:       fetchTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	p.stopped.Go(func() { p.keepFresh(ctx) })
	return p
}

// Close implements [Authenticator].
func (p *published) Close() error {
	p.stop()
	p.stopped.Wait()
	return nil
}

// keepFresh fetches the keys now and then, until ctx ends.
func (p *published) keepFresh(ctx context.Context) {
	backoff := firstRetry
	for {
		pause := p.cfg.Refresh
		if err := p.refresh(ctx, 0); err != nil {
			if ctx.Err() != nil {
				return
			}
			p.cfg.Logger.Warn("keys that tokens are checked with not fetched, trying again", "host", p.url.Host, "in", backoff, "known", p.keys.Load() != nil, "err", err)
			pause, backoff = backoff, min(2*backoff, lastRetry)
		} else {
			backoff = firstRetry
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// refresh fetches the keys, unless that was tried less than pause ago: then it
// gives what came of it. Who calls while a fetch is in progress waits for that.
func (p *published) refresh(ctx context.Context, pause time.Duration) error {
	p.mu.Lock()
	f := p.flight
	if f == nil && !p.tried.IsZero() && p.cfg.Now().Sub(p.tried) < pause {
		defer p.mu.Unlock()
		return p.last
	}
	if f != nil {
		p.mu.Unlock()
		select {
		case <-f.done:
			return f.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f = &flight{done: make(chan struct{})}
	p.flight, p.tried = f, p.cfg.Now()
	p.mu.Unlock()

	f.err = p.fetch(ctx)
	p.mu.Lock()
	p.flight, p.last = nil, f.err
	p.mu.Unlock()
	close(f.done)
	return f.err
}

func (p *published) fetch(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := p.client.Do(r)
	if err != nil {
		var withURL *url.Error // whose query may be a secret
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s", res.Status)
	}
	document, err := io.ReadAll(io.LimitReader(res.Body, maxKeys+1))
	if err != nil {
		return err
	}
	if len(document) > maxKeys {
		return fmt.Errorf("the document is longer than %d bytes", maxKeys)
	}
	keys, err := readKeys(document)
	if err != nil {
		return err
	}
	p.keys.Store(&keys)
	return nil
}

// readKeys gives the keys of a document that are there to check signatures.
// Those of a kind we do not know are left out.
func readKeys(document []byte) (keyfunc.Keyfunc, error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, fmt.Errorf("the document is no set of keys (RFC 7517): %w", err)
	}
	storage := jwkset.NewMemoryStorage()
	n := 0
	for _, k := range set.Keys {
		key, err := jwkset.NewJWKFromMarshal(k, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		if err := storage.KeyWrite(context.Background(), key); err != nil {
			return nil, err
		}
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("the document holds %d keys, none that can be used", len(set.Keys))
	}
	return keyfunc.New(keyfunc.Options{Storage: storage, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
}

// Identify implements [Authenticator].
func (p *published) Identify(r *http.Request) (Identity, error) {
	return p.identify(r, func(t *jwt.Token) (any, error) { return p.key(r.Context(), t) })
}

// key finds the key that a token says it was signed with. One that is not
// known may be new.
func (p *published) key(ctx context.Context, t *jwt.Token) (any, error) {
	known := p.keys.Load()
	if known == nil {
		return nil, errKeysAway
	}
	key, err := (*known).KeyfuncCtx(ctx)(t)
	if !errors.Is(err, jwkset.ErrKeyNotFound) {
		return key, err
	}
	if p.refresh(context.WithoutCancel(ctx), sparing) != nil {
		return nil, errKeysAway
	}
	return (*p.keys.Load()).KeyfuncCtx(ctx)(t)
}
