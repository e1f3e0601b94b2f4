package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// jwk writes a public key as RFC 7517 does.
func jwk(t testing.TB, kid string, key crypto.PublicKey) map[string]any {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := key.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kid": kid, "kty": "RSA", "use": "sig", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"kid": kid, "kty": "EC", "crv": "P-256", "alg": "ES256", "x": b64(point[1:33]), "y": b64(point[33:])}
	case ed25519.PublicKey:
		return map[string]any{"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	}
	t.Fatalf("no JWK for a %T", key)
	return nil
}

// A keyServer publishes keys in memory.
type keyServer struct {
	mu      sync.Mutex
	status  int
	body    string
	fetches int
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetches++
	if s.status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Header: http.Header{"Location": {"https://evil.example/"}},
		Body: io.NopCloser(strings.NewReader(s.body)), Request: r,
	}, nil
}

func (s *keyServer) publish(t testing.TB, keys ...map[string]any) {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	s.answer(http.StatusOK, string(b))
}

func (s *keyServer) answer(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func newEd25519(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

const keysURL = "jwks:https://id.example/keys?secret=hunter2"

func fresh() jwt.MapClaims {
	return jwt.MapClaims{"sub": "elise", "exp": time.Now().Add(24 * time.Hour).Unix()}
}

func TestPublishedKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey := newEd25519(t)
	for _, alone := range []bool{true, false} { // with no other key, and among some of no use
		synctest.Test(t, func(t *testing.T) {
			keys := []map[string]any{jwk(t, "r", rsaKey.Public()), jwk(t, "e", ecKey.Public()), jwk(t, "d", edPublic)}
			if !alone {
				encrypt := jwk(t, "enc", rsaKey.Public())
				encrypt["use"] = "enc"
				keys = append(keys, encrypt, map[string]any{"kty": "OKP", "crv": "Ed448", "x": "AAAA"}, map[string]any{"kty": "RSA"},
					map[string]any{"kid": "h", "kty": "oct", "k": encode(secret)})
			}
			server := &keyServer{}
			server.publish(t, keys...)
			a := open(t, keysURL, auth.Config{Transport: server, Now: time.Now})
			synctest.Wait()
			for name, tt := range map[string]struct {
				token string
				ok    bool
			}{
				"RS256":           {sign(t, jwt.SigningMethodRS256, rsaKey, fresh(), "kid", "r"), true},
				"ES256":           {sign(t, jwt.SigningMethodES256, ecKey, fresh(), "kid", "e"), true},
				"EdDSA":           {sign(t, jwt.SigningMethodEdDSA, edKey, fresh(), "kid", "d"), true},
				"without kid":     {sign(t, jwt.SigningMethodES256, ecKey, fresh()), true},
				"RS512":           {sign(t, jwt.SigningMethodRS512, rsaKey, fresh(), "kid", "r"), false},
				"PS256":           {sign(t, jwt.SigningMethodPS256, rsaKey, fresh(), "kid", "r"), false},
				"another's kid":   {sign(t, jwt.SigningMethodEdDSA, edKey, fresh(), "kid", "e"), false},
				"to encrypt":      {sign(t, jwt.SigningMethodRS256, rsaKey, fresh(), "kid", "enc"), false},
				"a public secret": {sign(t, jwt.SigningMethodHS256, []byte(secret), fresh(), "kid", "h"), false},
				"key as secret":   {sign(t, jwt.SigningMethodHS256, []byte(edPublic), fresh(), "kid", "d"), false},
				"none":            {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, fresh(), "kid", "d"), false},
			} {
				who, err := a.Identify(with("Bearer " + tt.token))
				if (err == nil) != tt.ok || (who.Subject == "elise") != tt.ok || who.Authenticated != tt.ok {
					t.Errorf("%s: %+v, %v", name, who, err)
				}
				if errors.Is(err, station.ErrAway) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// The daemon starts though the key server is away; nobody is let in nor sent
// away for good until it answers.
func TestKeyServerAwayAtStart(t *testing.T) {
	public, private := newEd25519(t)
	synctest.Test(t, func(t *testing.T) {
		server := &keyServer{}
		var log bytes.Buffer
		a := open(t, keysURL, auth.Config{Transport: server, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		r := with("Bearer " + sign(t, jwt.SigningMethodEdDSA, private, fresh(), "kid", "d"))
		if who, err := a.Identify(r); !errors.Is(err, station.ErrAway) || who != (auth.Identity{}) {
			t.Errorf("%+v, %v", who, err)
		}
		if who, err := a.Identify(with()); err != nil || who != (auth.Identity{}) {
			t.Errorf("listeners need no keys: %+v, %v", who, err)
		}
		for _, trouble := range []struct {
			status int
			body   string
		}{{500, "{}"}, {302, ""}, {200, "no JSON"}, {200, `{"keys":[]}`}, {200, strings.Repeat(" ", 1<<20+1)}} {
			server.answer(trouble.status, trouble.body)
			before := server.count()
			time.Sleep(31 * time.Second)
			synctest.Wait()
			if server.count() == before {
				t.Error("not tried again")
			}
			if _, err := a.Identify(r); !errors.Is(err, station.ErrAway) {
				t.Errorf("%d %.10q: %v", trouble.status, trouble.body, err)
			}
		}
		server.publish(t, jwk(t, "d", public))
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if _, err := a.Identify(r); err != nil {
			t.Error(err)
		}
		server.answer(0, "")
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		if _, err := a.Identify(r); err != nil {
			t.Errorf("keys are kept while the server is away: %v", err)
		}
		if log.Len() == 0 || strings.Contains(log.String(), "hunter2") {
			t.Errorf("log: %s", log.String())
		}
	})
}

// A new key is found at once; made up ones cost the key server one fetch in
// 30 s.
func TestUnknownKeys(t *testing.T) {
	oldPublic, _ := newEd25519(t)
	newPublic, newPrivate := newEd25519(t)
	synctest.Test(t, func(t *testing.T) {
		server := &keyServer{}
		server.publish(t, jwk(t, "old", oldPublic))
		a := open(t, keysURL, auth.Config{Transport: server, Now: time.Now})
		synctest.Wait()
		time.Sleep(time.Minute)
		server.publish(t, jwk(t, "new", newPublic))
		r := with("Bearer " + sign(t, jwt.SigningMethodEdDSA, newPrivate, fresh(), "kid", "new"))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := a.Identify(r); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for range 100 {
			if _, err := a.Identify(with("Bearer " + sign(t, jwt.SigningMethodEdDSA, newPrivate, fresh(), "kid", rand.Text()))); !errors.Is(err, auth.ErrBadToken) {
				t.Errorf("a made up key: %v", err)
			}
		}
		if n := server.count(); n != 2 {
			t.Errorf("%d fetches, want one at start and one for the new key", n)
		}
		time.Sleep(time.Minute)
		server.answer(0, "")
		for range 10 {
			if _, err := a.Identify(with("Bearer " + sign(t, jwt.SigningMethodEdDSA, newPrivate, fresh(), "kid", "newer"))); !errors.Is(err, station.ErrAway) {
				t.Errorf("perhaps a new key, perhaps not: %v", err)
			}
		}
	})
}

// The whole way, with sockets.
func TestKeysOverHTTP(t *testing.T) {
	public, private := newEd25519(t)
	server := &keyServer{}
	server.publish(t, jwk(t, "d", public))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, server.body) }))
	defer s.Close()
	a := open(t, "jwks:"+s.URL, auth.Config{Now: time.Now})
	r := with("Bearer " + sign(t, jwt.SigningMethodEdDSA, private, fresh(), "kid", "d"))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		_, err := a.Identify(r)
		if err == nil {
			return
		}
		if !errors.Is(err, station.ErrAway) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
