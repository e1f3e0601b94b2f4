package replay

import (
	"math"
	"sync"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/loudness"
)

const (
	channels = 2
	// blockFrames is the grain of everything here, 2.5 ms: cuts fall on it, the
	// limiter's gain bends at it.
	blockFrames  = 120
	blockSamples = blockFrames * channels
	// stepBlocks is how many blocks make a step of [loudness.Gate].
	stepBlocks = media.SampleRate / loudness.StepsPerSecond / blockFrames
)

// An envelope is what is remembered of a sound so that silences can be found
// and any gain and limiting tried without decoding again: K-weighted power and
// peak of every block, 5.8 MB per hour.
type envelope struct {
	power []level
	peak  []level // the true peak where it is above exact, else of the samples at least
	exact float32
}

// A level is a power on a logarithmic scale from −160 dB in steps of 1/256 dB;
// 0 is nothing.
type level uint16

const (
	levelFloor = -160.0
	levelSteps = 256
)

func powerLevel(power float64) level {
	db := 10 * math.Log10(power)
	if !(db > levelFloor) {
		return 0
	}
	return level(min(math.Round((db-levelFloor)*levelSteps), math.MaxUint16))
}

func peakLevel(amplitude float32) level { return powerLevel(float64(amplitude) * float64(amplitude)) }

// powers holds the power of every level.
var powers = sync.OnceValue(func() *[1 << 16]float32 {
	var t [1 << 16]float32
	for i := 1; i < len(t); i++ {
		t[i] = float32(math.Pow(10, (float64(i)/levelSteps+levelFloor)/10))
	}
	return &t
})

// newEnvelope makes room for about as many blocks as are expected, so that eight
// hours do not grow by copying.
func newEnvelope(expected int) *envelope {
	room := min(expected+expected/64, blocksIn(12*time.Hour))
	return &envelope{power: make([]level, 0, room), peak: make([]level, 0, room)}
}

func (e *envelope) add(power float64, peak float32) {
	e.power = append(e.power, powerLevel(power))
	e.peak = append(e.peak, peakLevel(peak))
}

// blocks is the length.
func (e *envelope) blocks() int { return len(e.power) }

// loudness measures the integrated loudness of the blocks of some spans.
func (e *envelope) loudness(spans []span) float64 {
	return e.tryMaster(spans, 1, float32(math.Inf(1)))
}

// span is a stretch of blocks, end excluded.
type span struct{ begin, end int }

func (s span) blocks() int { return s.end - s.begin }

func total(spans []span) (blocks int) {
	for _, s := range spans {
		blocks += s.blocks()
	}
	return blocks
}

// blockTime is the time that n blocks last.
func blockTime(n int) time.Duration { return media.Duration(int64(n) * blockFrames) }

// blocksIn is the number of whole blocks in d.
func blocksIn(d time.Duration) int { return int(media.Samples(d) / blockFrames) }

// peaks gives the peaks of the blocks of some spans one after the other, then 0.
func (e *envelope) peaks(spans []span) func() float32 {
	at := 0
	return func() float32 {
		for len(spans) > 0 && at == spans[0].blocks() {
			spans, at = spans[1:], 0
		}
		if len(spans) == 0 {
			return 0
		}
		p := e.peak[spans[0].begin+at]
		at++
		return float32(math.Sqrt(float64(powers()[p])))
	}
}

// peakOf is the highest magnitude of samples.
func peakOf(samples []float32) float32 {
	var highest uint32 // the bits of a magnitude order as its value does, and compare faster
	for _, s := range samples {
		highest = max(highest, math.Float32bits(s)&^(1<<31))
	}
	return math.Float32frombits(highest)
}
