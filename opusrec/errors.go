package opusrec

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrNotOpus is returned for a file that is no Ogg Opus recording.
	ErrNotOpus = errors.New("opusrec: not an Ogg Opus recording")

	// ErrEmpty is returned for a file in which nothing can be found because
	// the recorder was killed before its header reached the disk.
	ErrEmpty = errors.New("opusrec: the file holds no recording")

	// ErrOrder is returned by [Recorder.WritePacket] for a packet that begins
	// before the previous one ended. It is not written.
	ErrOrder = errors.New("opusrec: packet out of order")

	// ErrInUse is returned by [Recover] for a file that is being recorded.
	ErrInUse = errors.New("opusrec: the file is being recorded")

	// ErrClosed is returned by a [Recorder] or [Reader] after Close.
	ErrClosed = fmt.Errorf("opusrec: %w", fs.ErrClosed)
)
