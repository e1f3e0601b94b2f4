package mediatest

import (
	"strconv"
	"strings"
)

// Offer takes a peer's own candidates out of its offer, so that the other peer
// learns of no way around the link.
func (l *Link) Offer(sdp string) string {
	return eachLine(sdp, func(line string) string {
		if strings.HasPrefix(line, "a=candidate:") {
			return ""
		}
		return line
	})
}

// Answer puts the link in the place of all of the server's candidates.
func (l *Link) Answer(sdp string) string {
	replaced := false
	return eachLine(sdp, func(line string) string {
		if !strings.HasPrefix(line, "a=candidate:") {
			return line
		}
		if replaced {
			return ""
		}
		replaced = true
		return "a=candidate:1 1 udp 2130706431 127.0.0.1 " + strconv.Itoa(l.Addr().Port) + " typ host\r\n"
	})
}

func eachLine(sdp string, change func(line string) string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		b.WriteString(change(line))
	}
	return b.String()
}
