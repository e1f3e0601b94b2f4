package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/roadwave/roadwave/media/loudness"
)

var (
	// ErrEmpty is returned for a recording with less than 0.4 s of sound, which
	// is too little to measure.
	ErrEmpty = errors.New("replay: the recording is empty")

	// ErrSilent is returned for a recording in which there is nothing to hear:
	// it never exceeds −70 LUFS. There is no gain that would make sense.
	ErrSilent = errors.New("replay: the recording is silent")
)

// shortest is how many blocks are measured at least, 400 ms.
const shortest = 4 * stepBlocks

// Loudness describes a programme.
type Loudness struct {
	Integrated float64 // LUFS
	Range      float64 // LU (LRA)
	TruePeak   float64 // dBTP
	// Momentary is the loudness in LUFS of the 400 ms that end with each 100 ms;
	// −Inf for silence.
	Momentary []float32 `json:"-"`
}

// String leaves Momentary out: ten numbers a second would fill a log.
func (l Loudness) String() string {
	return fmt.Sprintf("%.1f LUFS, %.1f LU, %.1f dBTP", l.Integrated, l.Range, l.TruePeak)
}

// A gauge measures a sound block by block. It is a [loudness.Meter] taken
// apart: the envelope needs its inside, and filtering twice would cost.
type gauge struct {
	weighting *loudness.Weighting
	peaks     *loudness.TruePeak
	gate      loudness.Gate
	momentary []float32
	truePeak  float32
	matters   float32 // true peaks above this are exact
	follow    bool    // matters follows the loudness
	exact     float32 // the highest that matters was
	energy    float64
	blocks    int
}

// newGauge makes a gauge that gives exactly the true peaks above an amplitude; 0
// for all that may need a limiter, as far as can be known while measuring.
func newGauge(matters float32) *gauge {
	return &gauge{weighting: loudness.NewWeighting(channels), peaks: loudness.NewTruePeak(channels),
		matters: matters, follow: matters == 0}
}

// limited is how far above its loudness, in LU, the peaks of a programme begin to
// need a limiter (the ceiling less the target), with 3 dB to spare.
const limited = 9.0

// write gives the K-weighted power of the block and its peak: the true one where
// it is the highest so far or high enough to be limited later, else at least
// that of the samples.
func (g *gauge) write(block []float32) (power float64, peak float32) {
	energy := g.weighting.Energy(block)
	peak = peakOf(block)
	floor := max(peak, min(g.truePeak, g.matters))
	if between := g.peaks.Write(block, floor); between > floor {
		peak = between
	}
	g.truePeak = max(g.truePeak, peak)
	g.energy += energy
	if g.blocks++; g.blocks%stepBlocks == 0 {
		g.gate.Add(g.energy / (stepBlocks * blockFrames))
		g.energy = 0
		g.momentary = append(g.momentary, float32(g.gate.Momentary()))
		if g.follow && len(g.momentary)%loudness.StepsPerSecond == 0 {
			g.matters = float32(loudness.Amplitude(g.gate.Integrated() + limited))
			g.exact = max(g.exact, g.matters)
		}
	}
	return energy / blockFrames, peak
}

func (g *gauge) result() Loudness {
	return Loudness{
		Integrated: g.gate.Integrated(),
		Range:      g.gate.Range(),
		TruePeak:   loudness.Decibels(float64(g.peaks.Flush(g.truePeak))),
		Momentary:  g.momentary,
	}
}

// An Analysis is what there is to know of a recording before its replay is made.
type Analysis struct {
	// Duration of the recording.
	Duration time.Duration
	// Loudness of the recording as it is.
	Loudness Loudness
	// Silences that are longer than [Config.SilenceMin], from the end of one sound
	// to the beginning of the next.
	Silences []Interval
	// Removed is what a replay leaves out of them.
	Removed []Interval
	// Kept is how long the replay will be.
	Kept time.Duration

	env  *envelope
	kept []span
}

// Analyze decodes a recording and finds out how loud it is and where nothing
// is to be heard, as [Maker.Make] does first. Any sound file that FFmpeg reads
// will do; in damaged Ogg Opus, what is missing keeps its time. Errors: [ErrEmpty],
// [ErrSilent], [ErrUnreadable], fs.ErrNotExist, that of ctx.
func (m *Maker) Analyze(ctx context.Context, recording string) (a *Analysis, err error) {
	err = m.inFolder(func(folder string) error {
		src, err := m.prepare(ctx, recording, folder)
		if err == nil {
			a, err = m.analyze(ctx, src, m.report())
		}
		return err
	})
	return a, err
}

func (m *Maker) analyze(ctx context.Context, src source, r *reporter) (*Analysis, error) {
	r.at(Analyzing, 0, src.blocks)
	env, g := newEnvelope(src.blocks), newGauge(0)
	err := m.ffmpeg.decode(ctx, src, func(block []float32) error {
		env.add(g.write(block))
		if env.blocks()%1024 == 0 {
			r.at(Analyzing, env.blocks(), src.blocks)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	env.exact = g.exact
	a := &Analysis{Duration: blockTime(env.blocks()), Loudness: g.result(), env: env}
	switch {
	case env.blocks() < shortest:
		return nil, fmt.Errorf("%w: %v of sound", ErrEmpty, a.Duration)
	case math.IsInf(a.Loudness.Integrated, -1):
		return nil, fmt.Errorf("%w: its highest peak is %.0f dBTP", ErrSilent, a.Loudness.TruePeak)
	}
	if src.mono {
		// FFmpeg gives half the power to each side. That keeps the loudness of
		// the one channel; its peak was higher.
		a.Loudness.TruePeak += 10 * math.Log10(2)
	}
	m.findSilences(a)
	r.at(Analyzing, 1, 1)
	m.cfg.Logger.Debug("recording analyzed", "duration", a.Duration, "lufs", round(a.Loudness.Integrated),
		"dbtp", round(a.Loudness.TruePeak), "lra", round(a.Loudness.Range), "silences", len(a.Silences), "kept", a.Kept)
	return a, nil
}

func (m *Maker) findSilences(a *Analysis) {
	blocks := a.env.blocks()
	a.kept = []span{{0, blocks}}
	if m.cfg.SilenceMin > 0 {
		d := newDetector(a.env, m.cfg.SilenceThreshold, a.Loudness.Integrated, m.cfg.SilenceMin)
		silences := d.find()
		kept := keep(silences, blocks, blocksIn(m.cfg.SilenceKeep))
		// A single click between silences can be too short to be measured.
		if !math.IsInf(a.env.loudness(kept), -1) {
			a.kept = kept
			for _, s := range silences {
				a.Silences = append(a.Silences, s.interval())
			}
		}
	}
	a.Kept = blockTime(total(a.kept))
	at := 0
	for _, s := range append(a.kept[:len(a.kept):len(a.kept)], span{blocks, blocks}) {
		if s.begin > at {
			a.Removed = append(a.Removed, span{at, s.begin}.interval())
		}
		at = s.end
	}
}

func (s span) interval() Interval { return Interval{blockTime(s.begin), blockTime(s.end)} }

func round(v float64) float64 { return math.Round(v*100) / 100 }
