//go:build !linux || 386 || s390x

package whip

import "net"

func growReadBuffer(conn *net.UDPConn, size int) error { return conn.SetReadBuffer(size) }

// socketMemory is known on Linux only (and not where all socket calls share one number).
func socketMemory(*net.UDPConn) (size int, drops int64, ok bool) { return 0, 0, false }
