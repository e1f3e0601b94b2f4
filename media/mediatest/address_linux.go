package mediatest

import (
	"net"
	"strconv"
	"syscall"
)

// FreeAddress is a loopback address (127.0.0.1:port) for a program that cannot
// choose a port itself. A socket that is bound and does not listen keeps the port
// until this process ends: others get it only by asking for it (with SO_REUSEADDR,
// as servers do), also after the program that has it was stopped for a while.
func FreeAddress() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	address, err := bind(fd)
	if err != nil {
		_ = syscall.Close(fd)
	}
	return address, err
}

func bind(fd int) (string, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.(*syscall.SockaddrInet4).Port)), nil
}
