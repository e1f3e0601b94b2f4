package opus

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	codec "github.com/tphakala/go-opus/opus"

	"github.com/roadwave/roadwave/media"
)

// DefaultBitrate is what a creator sends, in bits per second.
const DefaultBitrate = 48000

// maxEncoded is the room one frame needs: a TOC byte and the largest frame.
const maxEncoded = 1276

// EncoderConfig says how to encode. The zero value is mono at 48 kbit/s.
type EncoderConfig struct {
	// Channels is 1 (the default) or 2.
	Channels int
	// Bitrate is the mean rate in bits per second, 6000 to 510000; 0 is
	// [DefaultBitrate]. Single packets may be up to twice as large (constrained VBR).
	Bitrate int
	// Complexity is 1 (fast) to 10 (best); 0 is 10.
	Complexity int
}

// fill fills in the defaults and checks the rest.
func (c *EncoderConfig) fill() error {
	c.Channels = cmp.Or(c.Channels, 1)
	c.Bitrate = cmp.Or(c.Bitrate, DefaultBitrate)
	c.Complexity = cmp.Or(c.Complexity, 10)
	switch {
	case c.Channels != 1 && c.Channels != 2:
		return fmt.Errorf("opus: %d channels: an encoder takes 1 or 2", c.Channels)
	case c.Bitrate < 6000 || c.Bitrate > 510000:
		return fmt.Errorf("opus: bitrate %d is not within 6000 to 510000 bit/s", c.Bitrate)
	case c.Complexity < 1 || c.Complexity > 10:
		return fmt.Errorf("opus: complexity %d is not within 1 to 10", c.Complexity)
	}
	return nil
}

// An Encoder turns PCM into packets, always in CELT mode. The module uses it for
// test sounds and for what it says itself; creators bring their own. It is for one
// goroutine and allocates nothing per packet when the caller's buffer is large enough.
type Encoder struct {
	config EncoderConfig
	codec  *codec.Encoder
	pcm    [2 * step]int16
}

// NewEncoder makes an encoder, or says which field is out of its range.
func NewEncoder(config EncoderConfig) (*Encoder, error) {
	if err := config.fill(); err != nil {
		return nil, err
	}
	e := &Encoder{config: config}
	if err := e.restart(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Encoder) restart() error {
	c, err := codec.NewEncoder(codec.EncoderConfig{
		SampleRate: media.SampleRate, Channels: e.config.Channels, Bitrate: e.config.Bitrate,
		ConstrainedVBR: true, Complexity: e.config.Complexity,
	})
	if err != nil {
		return fmt.Errorf("opus: new encoder: %w", err)
	}
	e.codec = c
	return nil
}

// Channels is the number of interleaved channels that Encode takes.
func (e *Encoder) Channels() int { return e.config.Channels }

// PreSkip is the number of samples at the start of the decoded sound that come
// before the first encoded sample (RFC 7845 §4.2).
func (e *Encoder) PreSkip() int { return e.codec.PreSkip() }

// Encode appends the packet of one frame to dst. pcm holds 2.5, 5, 10 or 20 ms
// (120, 240, 480 or 960 samples per channel); what is beyond full scale is clipped. A dst
// with 1276 bytes of room is never grown.
func (e *Encoder) Encode(dst []byte, pcm []float32) ([]byte, error) {
	n := len(pcm) / e.config.Channels
	if len(pcm)%e.config.Channels != 0 || n != 120 && n != 240 && n != 480 && n != 960 {
		return dst, fmt.Errorf("opus: %d values of %d channels are no frame: want 120, 240, 480 or 960 samples per channel", len(pcm), e.config.Channels)
	}
	if err := e.read(pcm); err != nil {
		return dst, err
	}
	start := len(dst)
	if cap(dst)-start < maxEncoded {
		dst = append(make([]byte, 0, start+maxEncoded), dst...)
	}
	size, err := e.run(len(pcm), dst[start:start+maxEncoded])
	if err != nil {
		return dst, err
	}
	return dst[:start+size], nil
}

// read converts PCM to the codec's 16 bits. One bit in 65536 is far below what any
// bitrate here keeps, so it is rounded without dither.
func (e *Encoder) read(pcm []float32) error {
	for i, v := range pcm {
		scaled := float64(v) * 32768
		if math.IsNaN(scaled) || math.IsInf(scaled, 0) {
			return fmt.Errorf("%w at value %d", ErrSound, i)
		}
		e.pcm[i] = int16(math.RoundToEven(max(-32768, min(32767, scaled))))
	}
	return nil
}

func (e *Encoder) run(values int, buf []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, errors.Join(fmt.Errorf("%w: %v", ErrPanic, r), e.restart())
		}
	}()
	if n, err = e.codec.Encode(e.pcm[:values], buf); err != nil {
		return 0, fmt.Errorf("opus: encode: %w", err)
	}
	return n, nil
}
