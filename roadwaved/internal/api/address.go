package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// maxHops bounds how many proxies a request may say it came through.
const maxHops = 16

// client is the network address of who sends a request: the peer's or, where
// that is a trusted proxy, the one it says it heard from, and so on for as long
// as that is a trusted proxy too. It is the zero Addr where nobody can tell.
func (a *API) client(r *http.Request) netip.Addr {
	addr := peerAddress(r)
	if !a.trusted(addr) {
		if len(r.Header["X-Forwarded-For"]) > 0 {
			a.doubt(addr)
		}
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

// doubt says, once an hour at the most, that somebody who is not trusted speaks
// for others: as a proxy, it makes them all one.
func (a *API) doubt(peer netip.Addr) {
	last, now := a.doubted.Load(), time.Now().UnixNano()
	if last != 0 && now-last < int64(time.Hour) || !a.doubted.CompareAndSwap(last, now) {
		return
	}
	a.config.Logger.Warn("a peer that is not trusted says for whom it asks (X-Forwarded-For); if it is your proxy, add it to --trusted-proxies, else all behind it count as one address",
		"peer", peer)
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

// standIn is what stands for the address of who sends a request outside of this
// process: a hash of it that nobody can undo without the key, so that no address
// is kept anywhere. IPv6 addresses of one /56, what a house is given at the most,
// are the same.
func (a *API) standIn(r *http.Request) string {
	addr := a.client(r)
	if addr.Is6() {
		addr = around(addr, 56).Addr()
	}
	b := addr.As16()
	return a.stamp(b[:])
}

// standInOf is the same for somebody who proved who they are: they are one,
// wherever they are.
func (a *API) standInOf(subject string) string {
	return a.stamp([]byte("subject " + subject)) // no zeros, which each /56 ends in
}

func (a *API) stamp(b []byte) string {
	text := make([]byte, 0, 64)
	// Of a hash that is cut nobody makes the next: that is all HMAC would add here.
	sum := sha256.Sum256(append(append(text, a.originKey[:]...), b...))
	return hex.EncodeToString(sum[:12])
}
