//go:build !linux

package mediatest

import "net"

// FreeAddress is a loopback address (127.0.0.1:port) that was free a moment ago,
// for programs that cannot choose a port themselves: try again where another
// process took it first.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
