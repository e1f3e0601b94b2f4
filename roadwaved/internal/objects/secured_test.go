package objects

import (
	"errors"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A store whose authority nobody knows is not one that is away: it is said at
// once what to do.
func TestUnknownAuthority(t *testing.T) {
	t.Parallel()
	server := objectstest.StartSecured(t, mediatest.NewAuthority(t).Issue(t, "server", "127.0.0.1"))
	s := openBucket(t, server, server.Bucket(t, "radio"), Config{})
	for _, err := range []error{s.Ping(t.Context()), s.Put(t.Context(), "raw/a.opus", strings.NewReader("a"))} {
		if err == nil || errors.Is(err, station.ErrAway) || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
			t.Errorf("%v", err)
		}
	}
}
