// Package deploytest starts the shipped parts for tests.
package deploytest

import (
	"errors"
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/deploy"
)

// Nginx starts an NGINX with the shipped configuration, which ends with the
// test. The folder is the test's own if c has none. Where nginx is not installed
// the test is skipped.
func Nginx(t testing.TB, c deploy.NginxConfig) *deploy.Nginx {
	t.Helper()
	if c.Folder == "" {
		c.Folder = t.TempDir()
	}
	n, err := deploy.StartNginx(t.Context(), c)
	if errors.Is(err, deploy.ErrNoNginx) {
		mediatest.Missing(t, "nginx is not installed; `make tools` installs it")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() && n.Log() != "" {
			t.Log(n.Log())
		}
	})
	return n
}
