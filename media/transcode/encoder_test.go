package transcode_test

import (
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/transcode"
)

// A plain encoder has frames of 1024 and a delay like AAC, keeps the sound it was given
// and writes the number of the frame. It can be made to fail.
type plain struct {
	channels int
	pcm      []float32
	frames   int
	flushed  bool
	fail     error
}

func (e *plain) Encode(pcm []float32, emit func([]byte)) error {
	if e.fail != nil {
		return e.fail
	}
	e.pcm = append(e.pcm, pcm...)
	for (e.frames+1)*1024 <= len(e.pcm)/e.channels {
		e.emit(emit)
	}
	return nil
}

func (e *plain) Flush(emit func([]byte)) error {
	for e.frames*1024 < len(e.pcm)/e.channels+1024 {
		e.emit(emit)
	}
	e.flushed = true
	return e.fail
}

func (e *plain) emit(emit func([]byte)) {
	emit([]byte{byte(e.frames), byte(e.frames >> 8)})
	e.frames++
}

func (e *plain) FrameSize() int { return 1024 }
func (e *plain) Delay() int     { return 1024 }

// rung gives a rung of plain encoders and a list that each new one is added to.
func rung(name string, channels int) (transcode.Rung, *[]*plain) {
	made := new([]*plain)
	return transcode.Rung{
		Track: media.Track{Name: name, Channels: channels},
		NewEncoder: func() (transcode.Encoder, error) {
			e := &plain{channels: channels}
			*made = append(*made, e)
			return e, nil
		},
	}, made
}

// counter is an encoder that only counts.
type counter struct{ samples int }

func (c *counter) Encode(pcm []float32, emit func([]byte)) error {
	for c.samples += len(pcm); c.samples >= 1024; c.samples -= 1024 {
		emit([]byte{1})
	}
	return nil
}
func (c *counter) Flush(func([]byte)) error { return nil }
func (c *counter) FrameSize() int           { return 1024 }
func (c *counter) Delay() int               { return 1024 }
