package loudness

import (
	"errors"
	"math"
)

// Config describes what a [Meter] measures. The zero value is a stereo programme.
type Config struct {
	// Channels is 1 or 2; 0 means 2. It must be what Write is given: mono sound
	// would be taken for stereo of half the length, which no error can tell. A
	// programme of one channel is measured as it is: played by two loudspeakers
	// it is 3 LU louder.
	Channels int
}

// stepFrames is how many sample frames a step of 100 ms has.
const stepFrames = SampleRate / StepsPerSecond

// A Meter measures one programme. It needs 55 KB whatever the length and a
// second or two of processor time per hour of stereo sound. It is not safe for
// concurrent use.
type Meter struct {
	channels   int
	weighting  *Weighting
	gate       Gate
	oversample *TruePeak
	samplePeak uint32 // magnitude
	truePeak   float32
	energy     float64 // of the step under way
	frames     int     // in the step under way
	clean      [2 * scratch]float32
}

// scratch is how many sample frames are worked on at once.
const scratch = 120

// New makes a meter.
func New(cfg Config) (*Meter, error) {
	if cfg.Channels == 0 {
		cfg.Channels = 2
	}
	if cfg.Channels < 1 || cfg.Channels > 2 {
		return nil, errors.New("loudness: Channels must be 1 or 2")
	}
	return &Meter{
		channels:   cfg.Channels,
		weighting:  NewWeighting(cfg.Channels),
		oversample: NewTruePeak(cfg.Channels),
	}, nil
}

// Write measures samples of Config.Channels channels, interleaved, 48 kHz, full
// scale ±1. An incomplete last frame is ignored; a sample that is not a finite
// number counts as silence.
func (m *Meter) Write(samples []float32) {
	samples = samples[:len(samples)/m.channels*m.channels]
	for len(samples) > 0 {
		n := min(len(samples), min(scratch, stepFrames-m.frames)*m.channels)
		m.write(m.sanitize(samples[:n]))
		samples = samples[n:]
	}
}

func (m *Meter) write(samples []float32) {
	m.energy += m.weighting.Energy(samples)
	m.truePeak = m.oversample.Write(samples, m.truePeak)
	if m.frames += len(samples) / m.channels; m.frames == stepFrames {
		m.gate.Add(m.energy / stepFrames)
		m.energy, m.frames = 0, 0
	}
}

// sanitize copies samples without what is not finite and notes the peak.
func (m *Meter) sanitize(samples []float32) []float32 {
	clean := m.clean[:len(samples)]
	peak := m.samplePeak
	for i, s := range samples {
		level := magnitude(s)
		if level >= infinite {
			s, level = 0, 0
		}
		clean[i] = s
		peak = max(peak, level)
	}
	m.samplePeak = peak
	return clean
}

// infinite is the magnitude from which on a float32 is no number.
var infinite = math.Float32bits(float32(math.Inf(1)))

// Momentary is the loudness of the last 400 ms in LUFS, in steps of 100 ms.
func (m *Meter) Momentary() float64 { return m.gate.Momentary() }

// ShortTerm is the loudness of the last 3 s in LUFS, in steps of 100 ms.
func (m *Meter) ShortTerm() float64 { return m.gate.ShortTerm() }

// Integrated is the gated loudness of the programme so far in LUFS. It is −Inf
// when there is less than 400 ms or nothing is louder than −70 LUFS.
func (m *Meter) Integrated() float64 { return m.gate.Integrated() }

// Range is the loudness range (LRA) of the programme so far in LU; 0 when
// there is less than 3 s.
func (m *Meter) Range() float64 { return m.gate.Range() }

// TruePeak is the highest value between and on the samples so far, in dBTP.
func (m *Meter) TruePeak() float64 {
	rest := *m.oversample
	return Decibels(float64(max(rest.Flush(m.truePeak), math.Float32frombits(m.samplePeak))))
}

// SamplePeak is the highest sample so far, in dBFS.
func (m *Meter) SamplePeak() float64 { return Decibels(float64(math.Float32frombits(m.samplePeak))) }
