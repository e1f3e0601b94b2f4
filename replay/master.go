package replay

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/roadwave/roadwave/media/loudness"
)

const (
	// headroom in dB is left between the limiter's ceiling and the allowed peak:
	// coding to MP3 moves peaks, and two meters may differ a little.
	headroom = 1.0
	// doubt in dB is how far below the allowed peak our meter must read, so that
	// another one agrees.
	doubt = 0.05
	// mostRepairs bounds how often the peaks of one encoding are softened.
	mostRepairs = 3
	// mostTries bounds how often a replay is encoded.
	mostTries = 4
	// mostPush in dB bounds the gain that makes up for what the limiter takes.
	mostPush = 40.0
)

// mastered describes a finished MP3, as [Result] does.
type mastered struct {
	Duration        time.Duration
	Loudness        Loudness
	Gain, Reduction float64
	Bytes           int64
	Softened        int // peaks that the coding had raised and that were lowered in the MP3
	Tries           int
	OnTarget        bool
}

// settings of one try, in dB.
type settings struct{ gain, ceiling float64 }

// master makes an MP3 of a recording that was analyzed and measures it.
func (m *Maker) master(ctx context.Context, src source, a *Analysis, tags Tags, mp3 string, r *reporter) (out mastered, err error) {
	var (
		aim     = aim{target: m.cfg.Target}
		ceiling = m.cfg.TruePeak - headroom
	)
	for out.Tries < mostTries && !out.OnTarget {
		aimed := aim.next()
		s := settings{a.gainFor(aimed, ceiling), ceiling}
		tries := out.Tries + 1
		if out, err = m.try(ctx, src, a, tags, mp3, s, r); err != nil {
			return out, err
		}
		out.Tries = tries
		m.cfg.Logger.Debug("replay mastered", "try", tries, "gain", round(s.gain), "reduction", round(out.Reduction),
			"lufs", round(out.Loudness.Integrated), "dbtp", round(out.Loudness.TruePeak),
			"softened", out.Softened, "ok", out.OnTarget)
		aim.shots = append(aim.shots, shot{aimed, out.Loudness.Integrated})
		if over := out.Loudness.TruePeak - (m.cfg.TruePeak - doubt); over > 0 {
			ceiling -= over + doubt
		}
	}
	if !out.OnTarget {
		m.cfg.Logger.Warn("the loudness of a replay is not on target: it is kept as near as it came", "lufs", round(out.Loudness.Integrated), "dbtp", round(out.Loudness.TruePeak))
	}
	return out, nil
}

// An aim is where to aim to hit a target, given where earlier shots went.
type aim struct {
	target float64
	shots  []shot
}

type shot struct{ aimed, hit float64 }

func (a *aim) next() float64 {
	n := len(a.shots)
	if n == 0 {
		return a.target
	}
	last, slope := a.shots[n-1], 1.0
	if n > 1 {
		// Where the limiter takes most of what is added, aiming higher by what
		// is missing is not enough.
		before := a.shots[n-2]
		if moved := last.aimed - before.aimed; math.Abs(moved) > 0.05 {
			slope = max(0.25, min((last.hit-before.hit)/moved, 1))
		}
	}
	return last.aimed + (a.target-last.hit)/slope
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
func (m *Maker) try(ctx context.Context, src source, a *Analysis, tags Tags, mp3 string, s settings, r *reporter) (out mastered, err error) {
	out.Gain = s.gain
	if out.Reduction, err = m.encode(ctx, src, a, tags, mp3, s, r); err != nil {
		return out, err
	}
	info, err := os.Stat(mp3)
	if err != nil {
		return out, fmt.Errorf("replay: %w", err)
	}
	out.Bytes = info.Size()
	few := max(8, total(a.kept)/500)
	for repairs := 0; ; repairs++ {
		var over []span
		if out.Duration, out.Loudness, over, err = m.verify(ctx, mp3, a, few, r); err != nil {
			return out, err
		}
		if len(over) == 0 || total(over) > few || repairs == mostRepairs {
			break
		}
		if err := soften(mp3, over); err != nil {
			return out, err
		}
		out.Softened += len(over)
	}
	out.OnTarget = math.Abs(out.Loudness.Integrated-m.cfg.Target) <= m.cfg.Tolerance-doubt &&
		out.Loudness.TruePeak <= m.cfg.TruePeak-doubt
	return out, nil
}

// encode decodes, cuts, amplifies, limits and encodes, all at once.
func (m *Maker) encode(ctx context.Context, src source, a *Analysis, tags Tags, mp3 string, s settings, r *reporter) (reduction float64, err error) {
	e, err := m.ffmpeg.encode(ctx, mp3, m.cfg.Bitrate, tags)
	if err != nil {
		return 0, err
	}
	gain, ceiling := float32(loudness.Amplitude(s.gain)), float32(loudness.Amplitude(s.ceiling))
	l := newLimiter(gain, ceiling, a.peaks(ceiling/gain), e.write)
	edit := newEditor(a.kept, a.env.blocks(), l.write)
	err = m.ffmpeg.decode(ctx, src, func(block []float32) error {
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

// peaks gives the true peaks of what is kept: those of the envelope where they
// are exact above a floor, else measured again.
func (a *Analysis) peaks(floor float32) func(block []float32) float32 {
	if floor < a.env.exact {
		t := loudness.NewTruePeak(channels)
		return func(block []float32) float32 { return t.Write(block, floor) }
	}
	next := a.env.peaks(a.kept)
	return func([]float32) float32 { return next() }
}

// verify measures a finished MP3 and finds the blocks that peak too high, not
// many more than few of them.
func (m *Maker) verify(ctx context.Context, mp3 string, a *Analysis, few int, r *reporter) (d time.Duration, l Loudness, over []span, err error) {
	limit := float32(loudness.Amplitude(m.cfg.TruePeak - doubt))
	g := newGauge(limit)
	err = m.ffmpeg.decode(ctx, source{path: mp3}, func(block []float32) error {
		if g.blocks%1024 == 0 {
			r.at(Verifying, g.blocks, total(a.kept))
		}
		if _, peak := g.write(block); peak > limit && len(over) <= few {
			over = extend(over, g.blocks-1)
		}
		return nil
	})
	return blockTime(g.blocks), g.result(), over, err
}
