package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how many proxies a request may say it came through.
const maxHops = 16

// client is the network address of who sends a request: the peer's or, where
// that is a trusted proxy, the one it says it heard from, and so on for as long
// as that is a trusted proxy too. It is the zero Addr where nobody can tell.
func (a *API) client(r *http.Request) netip.Addr {
	addr := peerAddress(r)
	if !a.trusted(addr) {
		return addr
	}
	said := strings.Join(r.Header["X-Forwarded-For"], ",")
	for range maxHops {
		if said == "" {
			break
		}
		rest, last := "", said
		if i := strings.LastIndexByte(said, ','); i >= 0 {
			rest, last = said[:i], said[i+1:]
		}
		hop, ok := parseHop(strings.TrimSpace(last))
		if !ok {
			break // nonsense: the last that made sense it is
		}
		if addr = hop; !a.trusted(addr) {
			break
		}
		said = rest
	}
	return addr
}

// trusted tells whether what an address says about others is believed.
func (a *API) trusted(addr netip.Addr) bool {
	for _, p := range a.config.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func peerAddress(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// parseHop reads an address as proxies write it, some of them with a port.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// household is what one customer of a network has: an IPv4 address, or the /64
// in which they take IPv6 addresses as they like.
func household(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return p.Addr()
}

// standIn is what stands for the address of who sends a request outside of this
// process: a hash of it that nobody can undo without the key, so that no address
// is kept anywhere.
func (a *API) standIn(r *http.Request) string {
	addr := household(a.client(r)).As16()
	// One fixed length after the key: that is all HMAC would add here.
	text := make([]byte, 0, 48)
	sum := sha256.Sum256(append(append(text, a.originKey[:]...), addr[:]...))
	return hex.EncodeToString(sum[:12])
}
