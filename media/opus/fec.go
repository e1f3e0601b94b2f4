package opus

import "github.com/roadwave/roadwave/media"

// HasFEC says whether a packet carries a copy of the frame before it (LBRR,
// RFC 6716 §4.2.4). Only packets of one frame are looked into, as WebRTC sends.
func HasFEC(packet []byte) bool {
	if len(packet) < 2 {
		return false
	}
	toc, first := media.TOC(packet[0]), packet[1]
	if !isSILK(toc) || toc&3 != 0 {
		return false
	}
	// The frame starts, for each channel, with one bit for every 20 ms that
	// says whether there is voice, then one that says whether there is a copy.
	// All are coded with even odds, which leaves them readable as they are.
	parts := max(1, toc.FrameDuration()/step)
	for c := range toc.Channels() {
		if first>>(7-parts-c*(parts+1))&1 == 1 {
			return true
		}
	}
	return false
}

// isSILK is true for SILK and hybrid, the modes that carry FEC.
func isSILK(t media.TOC) bool { return t.Config() < 16 }
