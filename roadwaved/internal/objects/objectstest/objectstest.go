package objectstest

import (
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
)

// Start starts a server that ends with the test, or skips the test where its
// program is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := Run(mediatest.Tool(t, Program), t.TempDir())
	if err != nil {
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
