package objectstest

import (
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
)

// Start starts a server that ends with the test, or skips the test where its
// program is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartSecured(t, mediatest.Certificate{})
}

// StartSecured is Start for a server that speaks TLS only, by a certificate for
// 127.0.0.1.
func StartSecured(t testing.TB, c mediatest.Certificate) *Server {
	t.Helper()
	s := &Server{program: mediatest.Tool(t, Program), folder: t.TempDir(), certificate: c}
	if err := s.find(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Bucket makes a bucket and gives its address.
func (s *Server) Bucket(t testing.TB, name string) string {
	t.Helper()
	address, err := s.CreateBucket(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return address
}
