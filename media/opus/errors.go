package opus

import "errors"

var (
	// ErrPacket means bytes that cannot be decoded. The decoder stays usable;
	// treat the packet as lost.
	ErrPacket = errors.New("opus: bad packet")
	// ErrPanic means that the codec library panicked. The codec was replaced by a
	// new one; end this live, or go on and accept a click.
	ErrPanic = errors.New("opus: codec panicked")
	// ErrSound means PCM that is no sound: NaN or infinite.
	ErrSound = errors.New("opus: PCM holds NaN or infinity")
)
