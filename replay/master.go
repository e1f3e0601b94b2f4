package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/media/loudness"
)

const (
	// headroom in dB is left between the limiter's ceiling and the allowed peak:
	// coding to MP3 moves peaks, and two meters may differ a little.
	headroom = 0.5
	// doubt in dB is how far below the allowed peak our meter must read, so that
	// another one agrees.
	doubt = 0.05
	// mostTries bounds how often a replay is encoded.
	mostTries = 4
	// mostPush in dB bounds the gain that makes up for what the limiter takes.
	mostPush = 24.0
)

// Mastered describes a finished MP3.
type Mastered struct {
	Duration time.Duration
	// Loudness as measured on the finished MP3.
	Loudness Loudness
	// Gain in dB that was applied.
	Gain float64
	// Reduction in dB is the most that the limiter took back; 0 when it was not
	// needed.
	Reduction float64
	Bytes     int64
	// Tries is how often it was encoded.
	Tries int
	// OnTarget says that loudness and peaks are within [Config.Tolerance] and
	// [Config.TruePeak]. A sound of a few clicks cannot be.
	OnTarget bool
}

// settings of one try, in dB.
type settings struct{ gain, ceiling float64 }

// Master makes an MP3 of a recording that was analyzed and measures it. The file
// appears under its name only when it is finished; an existing one is
// replaced. Errors: [ErrUnreadable], those of the file system, that of ctx.
func (m *Maker) Master(ctx context.Context, recording string, a *Analysis, tags Tags, mp3 string) (Mastered, error) {
	return m.master(ctx, recording, a, tags, mp3, m.report(Mastering))
}

func (m *Maker) master(ctx context.Context, recording string, a *Analysis, tags Tags, mp3 string, r *reporter) (out Mastered, err error) {
	unfinished, err := os.CreateTemp(filepath.Dir(mp3), ".replay-*.mp3")
	if err != nil {
		return out, fmt.Errorf("replay: %w", err)
	}
	defer func() {
		err = errors.Join(err, removed(unfinished.Name()))
	}()
	if err := unfinished.Close(); err != nil {
		return out, fmt.Errorf("replay: %w", err)
	}
	target, ceiling := m.cfg.Target, m.cfg.TruePeak-headroom
	for out.Tries < mostTries && !out.OnTarget {
		s := settings{a.gainFor(target, ceiling), ceiling}
		tries := out.Tries + 1
		if out, err = m.try(ctx, recording, a, tags, unfinished.Name(), s, r); err != nil {
			return out, err
		}
		out.Tries = tries
		m.cfg.Logger.Info("replay mastered", "try", tries, "gain", round(s.gain), "reduction", round(out.Reduction),
			"lufs", round(out.Loudness.Integrated), "dbtp", round(out.Loudness.TruePeak), "ok", out.OnTarget)
		target += m.cfg.Target - out.Loudness.Integrated
		if over := out.Loudness.TruePeak - (m.cfg.TruePeak - doubt); over > 0 {
			ceiling -= over + doubt
		}
	}
	if !out.OnTarget {
		m.cfg.Logger.Warn("replay is not on target", "lufs", round(out.Loudness.Integrated), "dbtp", round(out.Loudness.TruePeak))
	}
	return out, m.finish(unfinished.Name(), mp3)
}

// removed removes a file that may be gone.
func removed(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// finish gives the file its name once its bytes are on the disk.
func (m *Maker) finish(unfinished, mp3 string) error {
	f, err := os.OpenFile(unfinished, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	err = errors.Join(f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(unfinished, mp3)
	}
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// gainFor finds the gain in dB with which the kept part reaches a loudness
// although a limiter holds its peaks.
func (a *Analysis) gainFor(target, ceiling float64) float64 {
	limit := float32(loudness.Amplitude(ceiling))
	miss := func(gain float64) float64 {
		return target - a.env.tryMaster(a.kept, float32(loudness.Amplitude(gain)), limit)
	}
	low := target - a.env.loudness(a.kept)
	const close = 0.01
	missing := miss(low)
	if missing < close {
		return low
	}
	// The limiter takes more the more is added: step up to beyond the target,
	// then halve the distance.
	high, most := low, low+mostPush
	for missing > 0 && high < most {
		low, high = high, min(most, high+max(0.2, 1.5*missing))
		missing = miss(high)
	}
	for range 20 {
		if math.Abs(missing) < close || high-low < close/10 {
			break
		}
		middle := (low + high) / 2
		if missing = miss(middle); missing > 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// try encodes with one setting and measures the result.
func (m *Maker) try(ctx context.Context, recording string, a *Analysis, tags Tags, mp3 string, s settings, r *reporter) (out Mastered, err error) {
	out.Gain = s.gain
	if out.Reduction, err = m.encode(ctx, recording, a, tags, mp3, s, r); err != nil {
		return out, err
	}
	info, err := os.Stat(mp3)
	if err != nil {
		return out, fmt.Errorf("replay: %w", err)
	}
	out.Bytes = info.Size()
	if out.Duration, out.Loudness, err = m.verify(ctx, mp3, total(a.kept), r); err != nil {
		return out, err
	}
	out.OnTarget = math.Abs(out.Loudness.Integrated-m.cfg.Target) <= m.cfg.Tolerance-doubt &&
		out.Loudness.TruePeak <= m.cfg.TruePeak-doubt
	return out, nil
}

// encode decodes, cuts, amplifies, limits and encodes, all at once.
func (m *Maker) encode(ctx context.Context, recording string, a *Analysis, tags Tags, mp3 string, s settings, r *reporter) (reduction float64, err error) {
	e, err := m.ffmpeg.encode(ctx, mp3, m.cfg.Bitrate, tags)
	if err != nil {
		return 0, err
	}
	l := newLimiter(float32(loudness.Amplitude(s.gain)), float32(loudness.Amplitude(s.ceiling)), e.write)
	edit := newEditor(a.kept, a.env.blocks(), l.write)
	err = m.ffmpeg.decode(ctx, recording, func(block []float32) error {
		if edit.at%1024 == 0 {
			r.at(Mastering, edit.at, a.env.blocks())
		}
		return edit.write(block)
	})
	if err == nil {
		err = l.flush()
	}
	if err = e.close(err); err != nil {
		return 0, err
	}
	return -loudness.Decibels(float64(l.lowest)), nil
}

// verify measures a finished MP3.
func (m *Maker) verify(ctx context.Context, mp3 string, expected int, r *reporter) (time.Duration, Loudness, error) {
	g := newGauge()
	err := m.ffmpeg.decode(ctx, mp3, func(block []float32) error {
		g.write(block)
		if g.blocks%1024 == 0 {
			r.at(Verifying, g.blocks, expected)
		}
		return nil
	})
	return blockTime(g.blocks), g.result(), err
}
