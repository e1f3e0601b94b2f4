package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef0123456789abcdef"

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// secretFile writes a secret with a newline, as an editor does.
func secretFile(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, setting string, cfg auth.Config) auth.Authenticator {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return noon }
	}
	a, err := auth.Open(setting, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func with(values ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["Authorization"] = values
	return r
}

// good is what a token says that nobody objects to.
func good(edit func(jwt.MapClaims)) jwt.MapClaims {
	c := jwt.MapClaims{"sub": "elise", "exp": noon.Add(time.Hour).Unix()}
	if edit != nil {
		edit(c)
	}
	return c
}

func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.Claims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for i := 0; i+1 < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	for setting, kind := range map[string]string{
		"open": auth.OpenMode, "hs256:/etc/roadwave/secret": auth.HS256, "jwks:https://id.example/keys?x=1": auth.JWKS,
		"jwks:http://127.0.0.1:8080/keys": auth.JWKS, "jwks:http://[::1]/": auth.JWKS, "jwks:http://localhost/": auth.JWKS,
		"": "", "opened": "", "open:": "", "hs256": "", "hs256:": "", "HS256:x": "", "jwks:": "", "jwks:id.example": "",
		"jwks:http://id.example/keys": "", "jwks:http://id.localhost/keys": "", "jwks:ftp://id.example": "", "jwks:https://me:pw@id.example/": "", "jwks:https://": "", "none:": "",
	} {
		m, err := auth.Parse(setting)
		if (err == nil) != (kind != "") || err == nil && m.Kind != kind {
			t.Errorf("%q: %+v, %v", setting, m, err)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: the error tells the password: %v", setting, err)
		}
	}
}

func TestOpenMode(t *testing.T) {
	a := open(t, "open", auth.Config{})
	for header, want := range map[string]string{
		"": "", "Bearer elise": "elise", "bearer  elise ": "elise", "Bearer Élise Roux": "Élise Roux",
		"Basic ZWxpc2U6": "", "Bearer": "", "Bearer ": "",
	} {
		r := with(header)
		if header == "" {
			r = with()
		}
		got, err := a.Identify(r)
		if err != nil || got != (auth.Identity{Subject: want, Authenticated: true}) {
			t.Errorf("%q: %+v, %v", header, got, err)
		}
	}
	for _, header := range []string{"Bearer a\tb", "Bearer \xff", "Bearer " + strings.Repeat("é", 201), "Bearer a\u202eb", "Bearer ~elise"} {
		if got, err := a.Identify(with(header)); !errors.Is(err, auth.ErrBadToken) || got != (auth.Identity{}) {
			t.Errorf("%q: %+v, %v", header, got, err)
		}
	}
}

func TestSecret(t *testing.T) {
	a := open(t, "hs256:"+secretFile(t, secret+"\r\n", 0o600), auth.Config{})
	key := []byte(secret)
	hs := func(edit func(jwt.MapClaims)) string { return sign(t, jwt.SigningMethodHS256, key, good(edit)) }
	set := func(name string, value any) string { return hs(func(c jwt.MapClaims) { c[name] = value }) }
	elise := auth.Identity{Subject: "elise", Authenticated: true, Proven: true}
	premium, operator := elise, elise
	premium.Premium, operator.Operator = true, true
	for name, tt := range map[string]struct {
		token string
		want  auth.Identity
		err   error
	}{
		"good":                     {hs(nil), elise, nil},
		"premium":                  {set("premium", true), premium, nil},
		"operator":                 {set("role", "operator"), operator, nil},
		"operator among others":    {set("role", []string{"listener", "operator"}), operator, nil},
		"another role":             {set("role", "operators"), elise, nil},
		"expired a moment ago":     {set("exp", noon.Add(-29*time.Second).Unix()), elise, nil},
		"expired":                  {set("exp", noon.Add(-31*time.Second).Unix()), auth.Identity{}, auth.ErrExpired},
		"good in a moment":         {set("nbf", noon.Add(29*time.Second).Unix()), elise, nil},
		"good later":               {set("nbf", noon.Add(time.Minute).Unix()), auth.Identity{}, auth.ErrEarly},
		"never expires":            {hs(func(c jwt.MapClaims) { delete(c, "exp") }), auth.Identity{}, auth.ErrBadToken},
		"expires some day":         {set("exp", "tomorrow"), auth.Identity{}, auth.ErrBadToken},
		"nobody":                   {hs(func(c jwt.MapClaims) { delete(c, "sub") }), auth.Identity{}, auth.ErrBadToken},
		"a long name":              {set("sub", strings.Repeat("é", 200)), auth.Identity{Subject: strings.Repeat("é", 200), Authenticated: true, Proven: true}, nil},
		"too long a name":          {set("sub", strings.Repeat("é", 201)), auth.Identity{}, auth.ErrBadToken},
		"space around the name":    {set("sub", "elise "), auth.Identity{}, auth.ErrBadToken},
		"a line break in the name": {set("sub", "elise\nroot"), auth.Identity{}, auth.ErrBadToken},
		"a name turned round":      {set("sub", "a\u202eb"), auth.Identity{}, auth.ErrBadToken},
		"a name only claimed":      {set("sub", "~elise"), auth.Identity{}, auth.ErrBadToken},
		"premium as text":          {set("premium", "yes"), auth.Identity{}, auth.ErrBadToken},
		"another secret":           {sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), good(nil)), auth.Identity{}, auth.ErrBadToken},
		"another hash":             {sign(t, jwt.SigningMethodHS512, key, good(nil)), auth.Identity{}, auth.ErrBadToken},
		"no signature":             {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good(nil)), auth.Identity{}, auth.ErrBadToken},
		"expired and forged":       {sign(t, jwt.SigningMethodHS256, []byte("x"), good(func(c jwt.MapClaims) { c["exp"] = 1 })), auth.Identity{}, auth.ErrBadToken},
		"something critical":       {sign(t, jwt.SigningMethodHS256, key, good(nil), "crit", "b64"), auth.Identity{}, auth.ErrBadToken},
		"no token at all":          {"elise", auth.Identity{}, auth.ErrBadToken},
		"far too long":             {hs(nil) + strings.Repeat("A", 8<<10), auth.Identity{}, auth.ErrBadToken},
	} {
		got, err := a.Identify(with("Bearer " + tt.token))
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error holds the token: %v", name, err)
		}
	}
	if got, err := a.Identify(with()); err != nil || got != (auth.Identity{}) {
		t.Errorf("no token: %+v, %v", got, err)
	}
	if _, err := a.Identify(with("Bearer "+hs(nil), "Bearer "+hs(nil))); !errors.Is(err, auth.ErrBadToken) {
		t.Errorf("two tokens: %v", err)
	}
}

func TestAudienceAndIssuer(t *testing.T) {
	a := open(t, "hs256:"+secretFile(t, secret, 0o600), auth.Config{Audience: "roadwave", Issuer: "https://id.example"})
	for name, tt := range map[string]struct {
		aud, iss any
		ok       bool
	}{
		"both":            {[]string{"shop", "roadwave"}, "https://id.example", true},
		"one audience":    {"roadwave", "https://id.example", true},
		"for others":      {"shop", "https://id.example", false},
		"from others":     {"roadwave", "https://evil.example", false},
		"from nobody":     {"roadwave", nil, false},
		"for nobody":      {nil, "https://id.example", false},
		"says too little": {nil, nil, false},
	} {
		token := sign(t, jwt.SigningMethodHS256, []byte(secret), good(func(c jwt.MapClaims) {
			if tt.aud != nil {
				c["aud"] = tt.aud
			}
			if tt.iss != nil {
				c["iss"] = tt.iss
			}
		}))
		if _, err := a.Identify(with("Bearer " + token)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The secret given in place of its file is in no error.
func TestSecretInPlaceOfItsFile(t *testing.T) {
	if _, err := auth.Open("hs256:"+secret, auth.Config{}); err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "give its path") {
		t.Errorf("got %v", err)
	}
}

func TestSecretFile(t *testing.T) {
	for name, path := range map[string]string{
		"short": secretFile(t, "too short\n", 0o600), "only newlines": secretFile(t, strings.Repeat("\n", 100), 0o600),
		"huge": secretFile(t, strings.Repeat("x", 65<<10), 0o600), "missing": filepath.Join(t.TempDir(), "none"), "a folder": t.TempDir(),
	} {
		if a, err := auth.Open("hs256:"+path, auth.Config{}); err == nil {
			t.Errorf("%s: %v", name, a)
		}
	}
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true} {
		var log bytes.Buffer
		open(t, "hs256:"+secretFile(t, secret, mode), auth.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if strings.Contains(log.String(), "chmod") != warned || strings.Contains(log.String(), secret) {
			t.Errorf("%o: log %q", mode, log.String())
		}
	}
}

func TestChallenge(t *testing.T) {
	for err, want := range map[*auth.Error]string{
		auth.ErrNoToken:  `Bearer`,
		auth.ErrExpired:  `Bearer error="invalid_token", error_description="the token has expired"`,
		auth.ErrBadToken: `Bearer error="invalid_token", error_description="the token is not valid"`,
	} {
		if got := err.Challenge(); got != want {
			t.Errorf("%s: %s", err.Code, got)
		}
	}
}

func TestRights(t *testing.T) {
	for _, tt := range []struct {
		who              auth.Identity
		goLive, own, any bool
	}{
		{auth.Identity{}, false, false, false},
		{auth.Identity{Subject: "elise"}, false, false, false}, // nobody proved it
		{auth.Identity{Subject: "elise", Authenticated: true}, true, true, false},
		{auth.Identity{Subject: "root", Operator: true, Authenticated: true}, true, true, true},
	} {
		if tt.who.MayGoLive() != tt.goLive || tt.who.MayRun("elise") != tt.own || tt.who.MayRun("mallory") != tt.any {
			t.Errorf("%+v", tt.who)
		}
	}
	if !(auth.Identity{Authenticated: true}).MayRun("anonyme") {
		t.Error("in open mode, who did not say who they are may end what they began")
	}
}

func ExampleOpen() {
	a, err := auth.Open("open", auth.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	r := httptest.NewRequest("POST", "/whip", nil)
	r.Header.Set("Authorization", "Bearer elise")
	who, err := a.Identify(r)
	fmt.Println(who.Subject, who.MayGoLive(), err)
	// Output: elise true <nil>
}

// FuzzIdentify sends any token, signed and not: who is let in has a name that
// can stand anywhere, who is not is nobody.
func FuzzIdentify(f *testing.F) {
	header := `{"alg":"HS256","typ":"JWT"}`
	for _, payload := range []string{
		`{"sub":"elise","exp":1777640400,"premium":true,"role":["operator"]}`, `{"sub":"","exp":1e300}`, `{"exp":-1}`,
		`{"sub":["a"],"exp":{}}`, `{"sub":"a","exp":9223372036854775807,"nbf":null,"aud":[1]}`, `null`, `[]`, `{`,
	} {
		f.Add(header, payload, true)
		f.Add(`{"alg":"none"}`, payload, false)
	}
	f.Add(`{"alg":"HS256","crit":["exp"]}`, `{"sub":"a","exp":1777640400}`, true)
	a := open(f, "hs256:"+secretFile(f, secret, 0o600), auth.Config{})
	believer := open(f, "open", auth.Config{})
	f.Fuzz(func(t *testing.T, header, payload string, signed bool) {
		text := encode(header) + "." + encode(payload)
		signature := []byte("none of ours")
		if signed {
			var err error
			if signature, err = jwt.SigningMethodHS256.Sign(text, []byte(secret)); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			a     auth.Authenticator
			token string
		}{{a, text + "." + encode(string(signature))}, {a, header + payload}, {believer, payload}} {
			who, err := tt.a.Identify(with("Bearer " + tt.token))
			var known *auth.Error
			switch {
			case err != nil && (who != (auth.Identity{}) || !errors.As(err, &known)):
				t.Fatalf("%q: %+v, %v", tt.token, who, err)
			case tt.a == a && who.Authenticated && (!signed || who.Subject == ""):
				t.Fatalf("%q is let in: %+v", tt.token, who)
			case len([]rune(who.Subject)) > 200 || strings.ContainsFunc(who.Subject, func(r rune) bool { return !unicode.IsPrint(r) }):
				t.Fatalf("%q: subject %q", tt.token, who.Subject)
			}
		}
	})
}
