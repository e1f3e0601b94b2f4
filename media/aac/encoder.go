package aac

import (
	"cmp"
	"errors"
	"fmt"

	codec "github.com/tphakala/go-aac"

	"github.com/roadwave/roadwave/media"
)

const (
	// FrameSize is the number of samples per channel in each frame.
	FrameSize = codec.FrameSize
	// DefaultBitrate is in bits per second, fit for one channel of speech and music.
	DefaultBitrate = 48000
)

// A Coder is a way to look for the best quantisation.
type Coder int

const (
	// Quality minimises what a listener could notice: the default.
	Quality Coder = iota
	// Fast takes about half the time and, at 32 kbit/s mono, cuts the sound off at
	// 9.5 instead of 14 kHz.
	Fast
)

// Config says how to encode. The zero value is mono at 48 kbit/s.
type Config struct {
	// Channels is 1 (the default) or 2.
	Channels int
	// Bitrate is the mean rate of all channels together, in bits per second,
	// 8000 to 288000 per channel; 0 is [DefaultBitrate] per channel.
	Bitrate int
	// Coder is [Quality] (the default) or [Fast].
	Coder Coder
}

func (c *Config) fill() {
	c.Channels = cmp.Or(c.Channels, 1)
	c.Bitrate = cmp.Or(c.Bitrate, DefaultBitrate*c.Channels)
}

func (c Config) check() error {
	switch {
	case c.Channels != 1 && c.Channels != 2:
		return fmt.Errorf("aac: %d channels: an encoder takes 1 or 2", c.Channels)
	case c.Bitrate < 8000*c.Channels || c.Bitrate > 288000*c.Channels:
		return fmt.Errorf("aac: bitrate %d is not within 8000 to 288000 bit/s per channel", c.Bitrate)
	case c.Coder != Quality && c.Coder != Fast:
		return fmt.Errorf("aac: unknown coder %d: want aac.Quality or aac.Fast", c.Coder)
	}
	return nil
}

var (
	// ErrPanic means that the codec library panicked; the encoder is of no use any more.
	ErrPanic = errors.New("aac: codec panicked")
	// ErrSound means PCM that is no sound: NaN or infinite.
	ErrSound = errors.New("aac: PCM holds NaN or infinity")
	// ErrFlushed is what Encode returns after Flush.
	ErrFlushed = errors.New("aac: encoder was flushed")
)

// An Encoder turns PCM into raw AAC-LC frames (access units without ADTS
// header). It holds about 650 kB and is for one goroutine.
type Encoder struct {
	config Config
	codec  *codec.Encoder
	planes [][]float32 // the frame being filled, one slice per channel
	filled int         // samples in it
	used   bool        // the codec was given sound
	frame  []byte
	failed error
}

// NewEncoder makes an encoder, or says which field is out of its range.
func NewEncoder(config Config) (*Encoder, error) {
	config.fill()
	if err := config.check(); err != nil {
		return nil, err
	}
	e := &Encoder{config: config}
	coder := codec.CoderNMR
	if config.Coder == Fast {
		coder = codec.CoderFast
	}
	var err error
	if e.codec, err = codec.NewEncoder(codec.EncoderConfig{
		SampleRate: media.SampleRate, Channels: config.Channels, Bitrate: config.Bitrate, Coder: coder,
	}); err != nil {
		return nil, fmt.Errorf("aac: new encoder: %w", err)
	}
	for range config.Channels {
		e.planes = append(e.planes, make([]float32, FrameSize))
	}
	return e, nil
}

// Channels is the number of interleaved channels that Encode takes.
func (e *Encoder) Channels() int { return e.config.Channels }

// FrameSize is the number of samples per channel in each frame, [FrameSize].
func (e *Encoder) FrameSize() int { return FrameSize }

// Delay is how many samples at the start of the decoded sound come before the
// first encoded sample: frame k holds the time from k×FrameSize − Delay on.
func (e *Encoder) Delay() int { return e.codec.Delay() }

// Encode takes any length of PCM and calls emit with each frame that it
// completes. The frame is only lent: copy what is to be kept. An error ends the
// encoder; it is [ErrSound], [ErrPanic] or [ErrFlushed].
func (e *Encoder) Encode(pcm []float32, emit func(frame []byte)) error {
	if e.failed != nil {
		return e.failed
	}
	channels := len(e.planes)
	if len(pcm)%channels != 0 {
		return fmt.Errorf("aac: %d values are no whole number of samples of %d channels", len(pcm), channels)
	}
	for len(pcm) > 0 {
		n := min(len(pcm)/channels, FrameSize-e.filled)
		e.fill(pcm[:n*channels])
		pcm = pcm[n*channels:]
		if e.filled < FrameSize {
			break
		}
		e.filled = 0
		if err := e.encode(e.planes, emit); err != nil {
			return err
		}
	}
	return nil
}

// fill sorts interleaved samples into the planes.
func (e *Encoder) fill(pcm []float32) {
	if len(e.planes) == 1 {
		e.filled += copy(e.planes[0][e.filled:], pcm)
		return
	}
	left, right := e.planes[0][e.filled:], e.planes[1][e.filled:]
	for i := range len(pcm) / 2 {
		left[i], right[i] = pcm[2*i], pcm[2*i+1]
	}
	e.filled += len(pcm) / 2
}

// Flush encodes what Encode has not completed, with silence up to a whole frame,
// and the frame after it that a decoder needs to give that sound back. The
// encoder is done then: a second Flush does nothing.
func (e *Encoder) Flush(emit func(frame []byte)) error {
	if e.failed != nil {
		if errors.Is(e.failed, ErrFlushed) {
			return nil
		}
		return e.failed
	}
	if e.filled > 0 {
		for _, plane := range e.planes {
			clear(plane[e.filled:])
		}
		e.filled = 0
		if err := e.encode(e.planes, emit); err != nil {
			return err
		}
	}
	for e.used && !e.codec.Drained() {
		if err := e.encode(nil, emit); err != nil {
			return err
		}
	}
	e.failed = ErrFlushed
	return nil
}

// encode gives one frame of sound to the codec, or none at the end. The codec
// answers with the frame before it.
func (e *Encoder) encode(planes [][]float32, emit func(frame []byte)) error {
	e.used = true
	if err := e.run(planes); err != nil {
		e.failed = err
		return err
	}
	if len(e.frame) > 0 {
		emit(e.frame)
	}
	return nil
}

func (e *Encoder) run(planes [][]float32) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrPanic, r)
		}
	}()
	e.frame, err = e.codec.EncodeFrame(e.frame[:0], planes)
	switch {
	case errors.Is(err, codec.ErrInvalidAudio):
		return ErrSound
	case err != nil:
		return fmt.Errorf("aac: encode: %w", err)
	}
	return nil
}
