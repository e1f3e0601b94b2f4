package postgrestest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
)

// Start starts a server that ends with its test, or skips the test where
// PostgreSQL is not installed.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	s, remove, err := temporary(options)
	if errors.Is(err, ErrMissing) {
		mediatest.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// temporary starts a server in a folder of its own. It cannot be t.TempDir: only
// root could reach that where root runs the tests.
func temporary(options Options) (*Server, func() error, error) {
	folder, err := os.MkdirTemp("", "roadwave-postgres-")
	if err != nil {
		return nil, nil, err
	}
	s, err := New(folder, options)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, func() error { return errors.Join(s.Stop(), os.RemoveAll(folder)) }, nil
}

// shared is the server of all tests of a package.
var shared struct {
	once   sync.Once
	server *Server
	remove func() error
	err    error
}

// Shared gives the server that all tests of a package have in common, started by
// the first that asks. The package's TestMain must call [CloseShared]. Do not
// stop it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.remove, shared.err = temporary(Options{}) })
	if errors.Is(shared.err, ErrMissing) {
		mediatest.Missing(t, shared.err.Error())
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// CloseShared ends the server that [Shared] started, if it did.
func CloseShared() error {
	if shared.remove == nil {
		return nil
	}
	return shared.remove()
}

// Database makes an empty database that is gone after the test, and gives its
// URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.Copy(t, "")
}

// Copy is like Database with all that is in another one, given by its URL, to
// which nobody may be connected.
func (s *Server) Copy(t testing.TB, template string) string {
	t.Helper()
	databaseURL, err := s.Create(t.Context(), template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Drop(context.Background(), databaseURL); err != nil {
			t.Log(err) // the test may have stopped the server
		}
	})
	return databaseURL
}
