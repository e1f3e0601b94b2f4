//go:build linux && !386 && !s390x

package whip

import (
	"net"
	"syscall"
	"unsafe"
)

const (
	soMemInfo    = 55 // SO_MEMINFO, since Linux 4.12
	memInfoRcv   = 1  // SK_MEMINFO_RCVBUF
	memInfoDrops = 8  // SK_MEMINFO_DROPS
	memInfoLen   = 9
)

// growReadBuffer asks for a receive buffer beyond the system's limit first,
// which only privileged processes get, then within it.
func growReadBuffer(conn *net.UDPConn, size int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var forced error
	err = raw.Control(func(fd uintptr) {
		forced = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, size)
	})
	if err == nil && forced == nil {
		return nil
	}
	return conn.SetReadBuffer(size)
}

// socketMemory reads what the kernel knows about a socket: the size of its
// receive buffer in bytes and how many datagrams did not fit in.
func socketMemory(conn *net.UDPConn) (size int, drops int64, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var info [memInfoLen]uint32
	length := uint32(unsafe.Sizeof(info))
	var failed syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, failed = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soMemInfo,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0)
	})
	if err != nil || failed != 0 || length < uint32(unsafe.Sizeof(info)) {
		return 0, 0, false
	}
	// The kernel doubles what was asked for, to pay for its bookkeeping.
	return int(info[memInfoRcv]) / 2, int64(info[memInfoDrops]), true
}
