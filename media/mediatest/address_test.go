package mediatest_test

import (
	"net"
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
)

// A server can listen on an address that was found, stop, and listen again.
func TestFreeAddress(t *testing.T) {
	address, err := mediatest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
