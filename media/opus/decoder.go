package opus

import (
	"errors"
	"fmt"

	codec "github.com/tphakala/go-opus/opus"

	"github.com/roadwave/roadwave/media"
)

const (
	// MaxSamples is the longest packet, in samples per channel (120 ms).
	MaxSamples = 5760
	// MaxPacketSize is the largest packet that is decoded, in bytes: six frames
	// of 20 ms at 1275 bytes each, with their lengths. That is 510 kbit/s, the
	// highest rate Opus is meant for (RFC 6716 §2.1.1).
	MaxPacketSize = 2 + 6*(2+1275)
)

// A Decoder turns the packets of one live into PCM. It is for one goroutine and
// allocates nothing per packet.
//
// The sound always has the channels that the Decoder was made with: a sender may
// switch between mono and stereo at any packet, mono is then put on both
// channels and stereo is averaged into one.
type Decoder struct {
	channels int
	codec    *codec.Decoder
	pcm      [2 * MaxSamples]int16

	last   media.TOC // of the last packet that decoded, for its coding mode
	lost   int       // samples concealed since then
	primed bool      // a packet has decoded since the start or the last reset
}

// NewDecoder makes a decoder that gives 1 or 2 channels.
func NewDecoder(channels int) (*Decoder, error) {
	if channels != 1 && channels != 2 {
		return nil, fmt.Errorf("opus: %d channels: a decoder gives 1 or 2", channels)
	}
	d := &Decoder{channels: channels}
	if err := d.restart(); err != nil {
		return nil, err
	}
	return d, nil
}

// Channels is the number of interleaved channels in what Decode gives.
func (d *Decoder) Channels() int { return d.channels }

// Decode writes the sound of p to dst and gives its length in samples per
// channel. A packet marked Lost is concealed for its Duration; any other is as
// long as its own bytes say, at most [MaxSamples]. dst must hold that many
// samples for each channel.
//
// The error is [ErrPacket] (nothing was written: conceal the packet),
// [ErrPanic] (the codec failed and was reset) or says that dst is too short.
func (d *Decoder) Decode(dst []float32, p media.Packet) (int, error) {
	if p.Lost {
		return d.Conceal(dst, p.Duration)
	}
	n, err := d.check(dst, p.Data)
	if err != nil {
		return 0, err
	}
	return d.play(dst, n, p, (*codec.Decoder).Decode)
}

// Recover writes the sound of a lost packet of the given length in samples. It
// takes it from the FEC copy in next, the packet right after the loss, and
// conceals it where next holds none. Decode next afterwards as usual.
func (d *Decoder) Recover(dst []float32, samples int, next media.Packet) (int, error) {
	if !d.CanRecover(samples, next) {
		return d.Conceal(dst, samples)
	}
	if err := d.room(dst, samples); err != nil {
		return 0, err
	}
	return d.play(dst, samples, next, (*codec.Decoder).DecodeFEC)
}

// CanRecover says whether Recover would do more than conceal.
func (d *Decoder) CanRecover(samples int, next media.Packet) bool {
	return d.primed && isSILK(d.last) && !next.Lost && len(next.Data) <= MaxPacketSize && HasFEC(next.Data) &&
		samples%quantum == 0 && samples <= MaxSamples && samples >= next.TOC().FrameDuration()
}

// play decodes samples out of p to dst and ends a loss. After silence it forgets
// what was before: measured on every coding mode, the first 100 ms are then
// closer to the true sound.
func (d *Decoder) play(dst []float32, samples int, p media.Packet, decode call) (int, error) {
	silent := d.lost >= silentAfter
	if silent {
		d.codec.Reset()
	}
	n, err := d.run(p.Data, samples, decode)
	if err != nil {
		return 0, err
	}
	d.write(dst, n)
	if silent {
		fade(dst[:min(n, fadeIn)*d.channels], d.channels, 0, fadeIn, 0, 1)
	}
	d.lost, d.primed, d.last = 0, true, p.TOC()
	return n, nil
}

// Reset forgets the sound so far, as before another stream.
func (d *Decoder) Reset() {
	d.codec.Reset()
	d.lost, d.primed, d.last = 0, false, 0
}

// check refuses what the codec should not see, and gives the packet's duration.
func (d *Decoder) check(dst []float32, data []byte) (int, error) {
	if len(data) > MaxPacketSize {
		return 0, fmt.Errorf("%w: %d bytes, the limit is %d", ErrPacket, len(data), MaxPacketSize)
	}
	n, err := media.PacketDuration(data)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	return n, d.room(dst, n)
}

func (d *Decoder) room(dst []float32, samples int) error {
	if need := samples * d.channels; len(dst) < need {
		return fmt.Errorf("opus: dst holds %d values, %d samples of %d channels need %d", len(dst), samples, d.channels, need)
	}
	return nil
}

// call is one of the codec's ways to decode.
type call func(d *codec.Decoder, packet []byte, pcm []int16) (int, error)

// run has the codec decode data to d.pcm, which it gives room for samples.
func (d *Decoder) run(data []byte, samples int, decode call) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, errors.Join(fmt.Errorf("%w: %v", ErrPanic, r), d.restart())
		}
	}()
	n, err = decode(d.codec, data, d.pcm[:samples*d.channels])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	return n, nil
}

// restart makes a codec, at the start and in place of one that panicked: the
// state that one left may make its Reset panic too.
func (d *Decoder) restart() error {
	c, err := codec.NewDecoder(media.SampleRate, d.channels)
	if err != nil {
		return fmt.Errorf("opus: new decoder: %w", err)
	}
	d.codec = c
	d.lost, d.primed, d.last = 0, false, 0
	return nil
}

// write copies n samples of the codec's output to dst.
func (d *Decoder) write(dst []float32, n int) {
	const scale = 1.0 / 32768
	pcm := d.pcm[:n*d.channels]
	dst = dst[:len(pcm)]
	for i, v := range pcm {
		dst[i] = float32(v) * scale
	}
}
