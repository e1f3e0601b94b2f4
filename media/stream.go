package media

import (
	"errors"
	"io"
)

// A Source gives the packets of one live in PTS order, each exactly once,
// without holes: what is missing comes as packets marked Lost.
//
// ReadPacket blocks until a packet is there. It returns [io.EOF] after the
// last one and any other error when the live cannot go on. Close may be called
// at any time, from any goroutine, more than once; it unblocks ReadPacket.
type Source interface {
	ReadPacket() (Packet, error)
	Close() error
}

// A Sink takes the packets of one live in PTS order. WritePacket is called
// from one goroutine at a time and may keep the packet but not change its
// Data. Close finishes what was begun (the last page, the last segment) and is
// idempotent; WritePacket after Close returns an error. A sink takes one live
// and is closed with it: the next live gets a new one.
type Sink interface {
	WritePacket(Packet) error
	Close() error
}

// Copy moves packets from src to dst until src ends, then closes dst, because
// a recording without its last page or a playlist without its end is not done.
// It closes src only when dst failed, so that the creator is told. The error
// joins what src (other than [io.EOF]), dst and its Close returned.
func Copy(dst Sink, src Source) error {
	return errors.Join(copyPackets(dst, src), dst.Close())
}

func copyPackets(dst Sink, src Source) error {
	for {
		p, err := src.ReadPacket()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := dst.WritePacket(p); err != nil {
			return errors.Join(err, src.Close())
		}
	}
}
