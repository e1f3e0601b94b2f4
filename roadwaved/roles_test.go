package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roadwave/roadwave/media/whip"
)

// With keys only who has a token goes live, and only they and operators end it.
func TestRoles(t *testing.T) {
	secret := []byte(strings.Repeat("sesame ", 6))
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	token := func(subject string, more jwt.MapClaims) string {
		claims := jwt.MapClaims{"sub": subject, "exp": time.Now().Add(time.Hour).Unix()}
		for name, value := range more {
			claims[name] = value
		}
		signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	d := startDaemon(t, t.TempDir(), "--auth", "hs256:"+file, "--workers", "0")
	for name, bad := range map[string]string{
		"nothing":      "",
		"a name":       "ada",
		"an old token": token("ada", jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}),
	} {
		_, err := whip.Publish(t.Context(), d.url+"/whip", programme(time.Second), whip.PublishConfig{Token: bad})
		var refusal *whip.Refusal
		if !errors.As(err, &refusal) || refusal.Status != http.StatusUnauthorized {
			t.Errorf("going live with %s: %v", name, err)
		}
	}
	as := func(token string) func(*whip.PublishConfig) {
		return func(c *whip.PublishConfig) { c.Token = token }
	}
	creator := d.publish(programme(30*time.Second), "", as(token("ada", jwt.MapClaims{"premium": true})))
	if l := d.live(creator.id); l.CreatorID != "ada" {
		t.Errorf("the live is %q's", l.CreatorID)
	}
	for _, tt := range []struct {
		who, method, path, token string
		want                     int
	}{
		{"nobody", http.MethodDelete, "/whip/", "", http.StatusUnauthorized},
		{"another creator", http.MethodDelete, "/whip/", token("bob", nil), http.StatusForbidden},
		{"another creator", http.MethodGet, "/whip/{}/events", token("bob", nil), http.StatusForbidden},
		{"an operator", http.MethodDelete, "/whip/", token("eve", jwt.MapClaims{"role": "operator"}), http.StatusOK},
	} {
		path := strings.Replace(tt.path, "{}", creator.id, 1)
		if path == tt.path {
			path += creator.id
		}
		if got := d.request(tt.method, path, tt.token, nil); got != tt.want {
			t.Errorf("%s: %s %s: %d, want %d", tt.who, tt.method, tt.path, got, tt.want)
		}
	}
	d.eventually("the live is over", 10*time.Second, func() bool { return d.live(creator.id).State == "ended" })
}
