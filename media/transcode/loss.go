package transcode

import (
	"errors"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/opus"
)

// maxHole is the longest hole that is filled with silence, one minute.
const maxHole = 60 * media.SampleRate

// restore plays the held loss, from the copy that next carries if it does.
func (t *Transcoder) restore(next media.Packet) error {
	if t.held == 0 {
		return nil
	}
	if !t.decoder.CanRecover(t.held, next) {
		return t.settle()
	}
	n, err := t.decoder.Recover(t.pcm, t.held, next)
	if errors.Is(err, opus.ErrPacket) {
		return t.settle()
	}
	if err != nil {
		return err
	}
	t.stats.Recovered++
	t.held = 0
	return t.play(n)
}

// settle plays the held loss as concealment: nothing can restore it any more.
func (t *Transcoder) settle() error {
	n := t.held
	t.held = 0
	return t.conceal(int64(n))
}

func (t *Transcoder) conceal(samples int64) error {
	for samples > 0 {
		n := int(min(samples, opus.MaxSamples))
		if _, err := t.decoder.Conceal(t.pcm, n); err != nil {
			return err
		}
		if err := t.play(n); err != nil {
			return err
		}
		samples -= int64(n)
	}
	return nil
}

// fill closes a hole up to pts, or starts anew there if it is too long.
func (t *Transcoder) fill(pts, hole int64) error {
	t.stats.Holes++
	if err := t.settle(); err != nil {
		return err
	}
	if hole <= maxHole {
		return t.conceal(hole)
	}
	t.stats.Restarts++
	if err := t.flushEncoders(); err != nil {
		return err
	}
	t.decoder.Reset()
	t.next = pts
	if err := t.openEncoders(); err != nil {
		return err
	}
	t.start()
	return nil
}
