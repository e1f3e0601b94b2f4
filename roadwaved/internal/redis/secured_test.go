package redis

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestUser holds everything to the laws of station with the rights of the user
// that is shipped, and no more.
func TestUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := server.User(t, "../../deploy/redis/roadwave.acl", rand.Text())
	open := func(t *testing.T) *Redis {
		r, err := Dial(url, quick)
		return ready(t, r, err)
	}
	empty := func(t *testing.T, _ *Redis) {
		if err := server.Do(t.Context(), "FLUSHALL"); err != nil {
			t.Fatal(err)
		}
	}
	contracts(t, func(t *testing.T) *Redis {
		empty(t, nil)
		return open(t)
	}, empty)
	r := open(t)
	for _, command := range [][]any{{"GET", "theirs"}, {"FLUSHALL"}, {"KEYS", "*"}, {"CONFIG", "GET", "*"}, {"PUBLISH", "theirs", "x"}} {
		if err := r.client.Do(t.Context(), command...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%v: %v", command, err)
		}
	}
}

// Without a right, or with an authority that is not known, it is said what to do.
// None of it tells the password.
func TestRefusals(t *testing.T) {
	t.Parallel()
	plain := redistest.Start(t)
	secured := redistest.StartSecured(t, mediatest.NewAuthority(t).Issue(t, "server", "127.0.0.1"))
	if err := plain.Do(t.Context(), "ACL", "SETUSER", "guest", "on", ">secret", "+ping"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, url, want string }{
		{"no right", strings.Replace(plain.URL, "//", "//guest:secret@", 1), "roadwave.acl"},
		{"another authority", strings.Replace(secured.URL, "//", "//:secret@", 1), "SSL_CERT_FILE"},
	} {
		r, err := Dial(tt.url, quick)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		for _, err := range []error{r.Board().Acquire(t.Context(), "live", 1, time.Hour), r.Queue().Enqueue(t.Context(), "live", station.PriorityHigh)} {
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, station.ErrAway) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}
}
