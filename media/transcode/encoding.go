package transcode

import (
	"fmt"

	"github.com/roadwave/roadwave/media"
)

// slabSize is how much memory frames share: one allocation for about a second
// of the default ladder.
const slabSize = 8192

// encoding is one rung at work: it puts the encoder's frames on the timeline.
type encoding struct {
	Rung
	encoder Encoder
	pts     int64             // of the next frame
	take    func(data []byte) // made once, so that a packet costs no closure
	slab    []byte
}

func newEncoding(t *Transcoder, index int, rung Rung) *encoding {
	e := &encoding{Rung: rung}
	e.take = func(data []byte) {
		size := e.encoder.FrameSize()
		t.emit(index, media.Frame{PTS: e.pts, Duration: size, Data: e.keep(data)})
		e.pts += int64(size)
	}
	return e
}

// keep copies a frame to where it may stay.
func (e *encoding) keep(data []byte) []byte {
	if cap(e.slab)-len(e.slab) < len(data) {
		e.slab = make([]byte, 0, max(slabSize, len(data)))
	}
	start := len(e.slab)
	e.slab = append(e.slab, data...)
	return e.slab[start:len(e.slab):len(e.slab)]
}

func (e *encoding) failed(err error) error {
	return fmt.Errorf("transcode: rung %q: %w", e.Track.Name, err)
}

// openEncoders gives every rung a new encoder.
func (t *Transcoder) openEncoders() error {
	for _, r := range t.rungs {
		encoder, err := r.NewEncoder()
		if err != nil {
			return r.failed(err)
		}
		r.encoder = encoder
	}
	return nil
}

// start puts the first frames so that the sound of t.next comes out at t.next.
func (t *Transcoder) start() {
	for _, r := range t.rungs {
		r.pts = t.next - int64(r.encoder.Delay())
	}
}

func (t *Transcoder) flushEncoders() error {
	for _, r := range t.rungs {
		if err := r.encoder.Flush(r.take); err != nil {
			return r.failed(err)
		}
	}
	return nil
}
