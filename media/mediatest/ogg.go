package mediatest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/roadwave/roadwave/media"
)

// OggPackets takes the packets out of a whole Ogg Opus file (RFC 7845), from PTS
// 0 on, pre-skip included. It is the plain reader to test others against: it trusts
// the file's order and lengths, reads one stream and checks no checksum.
func OggPackets(file []byte) ([]media.Packet, error) {
	var packets []media.Packet
	var data []byte
	headers, pts := 2, int64(0)
	for len(file) > 0 {
		if len(file) < 27 || string(file[:4]) != "OggS" || len(file) < 27+int(file[26]) {
			return nil, errors.New("mediatest: Ogg page is cut off or missing")
		}
		lacing := file[27 : 27+int(file[26])]
		file = file[27+len(lacing):]
		for _, n := range lacing { // RFC 3533 §5: less than 255 ends a packet
			if int(n) > len(file) {
				return nil, errors.New("mediatest: Ogg packet is cut off")
			}
			data, file = append(data, file[:n]...), file[n:]
			if n == 255 {
				continue
			}
			if headers > 0 {
				headers--
			} else {
				duration, err := media.PacketDuration(data)
				if err != nil {
					return nil, fmt.Errorf("mediatest: packet %d: %w", len(packets), err)
				}
				packets = append(packets, media.Packet{PTS: pts, Duration: duration, Data: slices.Clip(data)})
				pts += int64(duration)
			}
			data = nil
		}
	}
	return packets, nil
}
