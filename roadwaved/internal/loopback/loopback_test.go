package loopback_test

import (
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/loopback"
)

func TestIs(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.8.9.1": true, "::1": true, "0:0:0:0:0:0:0:1": true, "::ffff:127.0.0.1": true,
		"": false, "LOCALHOST": false, "localhost.": false, "radio.localhost": false, "localhost.evil.example": false, "evillocalhost": false,
		"localhost:80": false, "127.0.0.1:80": false, "[::1]": false, "127.0.0.1.": false, "127.1": false, "127.0.0.1.evil.example": false,
		"0177.0.0.1": false, "2130706433": false, "0.0.0.0": false, "::": false, "::ffff:10.0.0.1": false, "fe80::1": false, "192.168.1.7": false,
	} {
		if got := loopback.Is(host); got != want {
			t.Errorf("Is(%q) = %v", host, got)
		}
	}
}
