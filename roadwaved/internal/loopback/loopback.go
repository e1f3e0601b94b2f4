// Package loopback knows what of the network is this machine alone.
package loopback

import "net/netip"

// Is tells whether host, without a port, leads to this machine and nowhere else:
// it is localhost or an address like 127.0.0.1 or ::1 (no brackets). Names below
// localhost are not: browsers take them for this machine (RFC 6761 §6.3), but
// programs ask a server for them, which may answer anything. Neither are other
// spellings, with capitals or a final dot.
func Is(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
