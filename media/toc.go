package media

import "errors"

// ErrInvalidPacket is what [PacketDuration] returns, wrapped with the rule
// that was broken, for bytes that are no Opus packet.
var ErrInvalidPacket = errors.New("media: not an Opus packet")

// TOC is the first byte of an Opus packet (RFC 6716 §3.1): five bits of
// configuration, one for stereo, two for the number of frames.
type TOC byte

const (
	minFrame  = 120  // 2.5 ms, the shortest frame
	maxPacket = 5760 // 120 ms, the longest packet (RFC 6716 §3.2, R5)
	maxFrame  = 1275 // bytes in one frame (R2)
)

// Config is the configuration number, 0 to 31 (RFC 6716 table 2).
func (t TOC) Config() int { return int(t >> 3) }

// Channels is 1 or 2.
func (t TOC) Channels() int { return 1 + int(t>>2&1) }

// FrameDuration is the length of each frame in samples at 48 kHz.
func (t TOC) FrameDuration() int {
	config := t.Config()
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]int{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		return [2]int{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		return minFrame << (config & 3)
	}
}

// filler picks the longest one-byte packet of at most 20 ms that fits in
// samples, in the same coding mode where the mode has a frame that short.
func (t TOC) filler(samples int64) (packet byte, duration int) {
	config, size := t.Config(), 3 // size: 0 to 3 for 2.5, 5, 10, 20 ms
	for size > 0 && samples < int64(minFrame<<size) {
		size--
	}
	switch {
	case size < 2: // only CELT has frames under 10 ms
		config = 28 + size
	case config < 12:
		config = config&^3 + size - 2
	case config < 16:
		config = config&^1 + size - 2
	default:
		config = config&^3 + size
	}
	return byte(config)<<3 | byte(t)&4, minFrame << size
}

// PacketDuration checks the framing of an Opus packet against the rules R1 to
// R7 of RFC 6716 §3.4 and gives its duration in samples at 48 kHz.
func PacketDuration(packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, invalid("it is empty (R1)")
	}
	toc, body := TOC(packet[0]), packet[1:]
	frames := 1
	switch toc & 3 {
	case 0:
		if len(body) > maxFrame {
			return 0, invalid("a frame is longer than 1275 bytes (R2)")
		}
	case 1:
		frames = 2
		if len(body)%2 != 0 || len(body)/2 > maxFrame {
			return 0, invalid("two equal frames do not fit its length (R3)")
		}
	case 2:
		frames = 2
		first, rest, ok := frameLength(body)
		if !ok || first > len(rest) || len(rest)-first > maxFrame {
			return 0, invalid("the first of two frames is longer than the packet (R4)")
		}
	case 3:
		n, err := countFrames(body, toc.FrameDuration())
		if err != nil {
			return 0, err
		}
		frames = n
	}
	return frames * toc.FrameDuration(), nil
}

// countFrames checks a packet of code 3 (RFC 6716 §3.2.5): a count byte,
// padding, the lengths of all frames but the last where they differ.
func countFrames(body []byte, duration int) (int, error) {
	if len(body) == 0 {
		return 0, invalid("the frame count is missing (R6)")
	}
	count := body[0]
	frames := int(count & 0x3f)
	if frames == 0 || frames*duration > maxPacket {
		return 0, invalid("it lasts nothing or more than 120 ms (R5)")
	}
	body = body[1:]
	if count&0x40 != 0 {
		var ok bool
		if body, ok = dropPadding(body); !ok {
			return 0, invalid("its padding is longer than the packet (R6)")
		}
	}
	if count&0x80 == 0 {
		if len(body)%frames != 0 || len(body)/frames > maxFrame {
			return 0, invalid("equal frames do not fit its length (R6)")
		}
		return frames, nil
	}
	used := 0
	for range frames - 1 {
		n, rest, ok := frameLength(body)
		if !ok {
			return 0, invalid("a frame length is cut off (R7)")
		}
		used, body = used+n, rest
	}
	if used > len(body) || len(body)-used > maxFrame {
		return 0, invalid("its frames are longer than the packet (R7)")
	}
	return frames, nil
}

// frameLength reads a length of one or two bytes (RFC 6716 §3.2.1).
func frameLength(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) == 0:
		return 0, nil, false
	case b[0] < 252:
		return int(b[0]), b[1:], true
	case len(b) == 1:
		return 0, nil, false
	default:
		return int(b[0]) + 4*int(b[1]), b[2:], true
	}
}

// dropPadding removes the padding that a chain of length bytes announces; 255
// stands for 254 bytes and another length byte.
func dropPadding(b []byte) ([]byte, bool) {
	padding := 0
	for {
		if len(b) == 0 {
			return nil, false
		}
		n := int(b[0])
		b = b[1:]
		if n < 255 {
			padding += n
			break
		}
		padding += 254
	}
	if padding > len(b) {
		return nil, false
	}
	return b[:len(b)-padding], true
}

type packetError string

func invalid(rule string) error { return packetError(rule) }

func (e packetError) Error() string { return ErrInvalidPacket.Error() + ": " + string(e) }
func (e packetError) Unwrap() error { return ErrInvalidPacket }
