package transcode

import (
	"errors"
	"fmt"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/opus"
)

var (
	// ErrClosed is what a [Transcoder] returns after Flush or Close.
	ErrClosed = errors.New("transcode: transcoder is closed")
	// ErrPacket means a packet whose Duration no Opus packet has.
	ErrPacket = errors.New("transcode: packet has an impossible duration")
)

// Config says what to make of the sound. At least one rung or tap is needed.
type Config struct {
	// Channels is 1 or 2, what is decoded and what taps get; 0 is as many as
	// the rungs need. Set 2 when a tap must hear stereo although all rungs are mono.
	Channels int
	// Rungs are the renditions to encode. Their order is the number that emit gets.
	Rungs []Rung
	// Taps get the PCM.
	Taps []Tap
}

// fill fills in the default and checks the rest.
func (c *Config) fill() error {
	if c.Channels == 0 {
		c.Channels = 1
		for _, r := range c.Rungs {
			c.Channels = max(c.Channels, r.Track.Channels)
		}
	}
	if c.Channels != 1 && c.Channels != 2 {
		return fmt.Errorf("transcode: %d channels: want 1 or 2", c.Channels)
	}
	if len(c.Rungs)+len(c.Taps) == 0 {
		return errors.New("transcode: nothing to do: give at least one rung or tap")
	}
	names := make(map[string]bool, len(c.Rungs))
	for _, r := range c.Rungs {
		switch {
		case r.Track.Channels < 1 || r.Track.Channels > c.Channels:
			return fmt.Errorf("transcode: rung %q has %d channels, decoded are %d", r.Track.Name, r.Track.Channels, c.Channels)
		case r.NewEncoder == nil:
			return fmt.Errorf("transcode: rung %q has no NewEncoder", r.Track.Name)
		case names[r.Track.Name]:
			return fmt.Errorf("transcode: two rungs are named %q", r.Track.Name)
		}
		names[r.Track.Name] = true
	}
	return nil
}

// Stats counts what became of the packets.
type Stats struct {
	Packets   int64 // taken
	Lost      int64 // marked lost; Recovered of them were made whole by FEC
	Recovered int64
	Bad       int64 // not decodable, concealed
	Late      int64 // before the time already played, dropped
	Holes     int64 // times that the timeline jumped ahead
	Restarts  int64 // of these, too long to fill
}

// A Transcoder makes the ladder of one live. It is for one goroutine. After an
// error it is of no use: Close it and, if the live is to go on, make another.
type Transcoder struct {
	config  Config
	decoder *opus.Decoder
	rungs   []*encoding
	stats   Stats

	begun bool
	next  int64 // PTS right after what was played
	held  int   // samples lost after next, waiting for a packet that may restore them

	pcm    []float32
	mono   []float32 // nil unless a mono rung needs a downmix
	emit   func(rung int, f media.Frame)
	failed error
}

// New makes a transcoder with its encoders, or says what is wrong with config.
func New(config Config) (*Transcoder, error) {
	if err := config.fill(); err != nil {
		return nil, err
	}
	decoder, err := opus.NewDecoder(config.Channels)
	if err != nil {
		return nil, err
	}
	t := &Transcoder{
		config:  config,
		decoder: decoder,
		pcm:     make([]float32, opus.MaxSamples*config.Channels),
	}
	for i, r := range config.Rungs {
		t.rungs = append(t.rungs, newEncoding(t, i, r))
		if r.Track.Channels < config.Channels {
			t.mono = make([]float32, opus.MaxSamples)
		}
	}
	if err := t.openEncoders(); err != nil {
		return nil, err
	}
	return t, nil
}

// Stats is for the goroutine that calls Transcode.
func (t *Transcoder) Stats() Stats { return t.stats }

// Transcode takes the next packet and calls emit with every frame that it
// completes. The frame may be kept; its Data must not be changed. A packet after a loss
// also completes the sound of that loss, which was held back for it. Without rungs
// there is nothing to emit, and emit may be nil.
func (t *Transcoder) Transcode(p media.Packet, emit func(rung int, f media.Frame)) error {
	if t.failed != nil {
		return t.failed
	}
	t.emit = emit
	t.failed = t.take(p)
	t.emit = nil
	return t.failed
}

func (t *Transcoder) take(p media.Packet) error {
	if p.Duration <= 0 || p.Duration > opus.MaxSamples {
		return fmt.Errorf("%w: %d samples at %d", ErrPacket, p.Duration, p.PTS)
	}
	t.stats.Packets++
	if !t.begun {
		t.begun, t.next = true, p.PTS
		t.start()
	}
	hole := p.PTS - t.next - int64(t.held)
	if hole < 0 {
		t.stats.Late++
		return nil
	}
	if hole > 0 {
		if err := t.fill(p.PTS, hole); err != nil {
			return err
		}
	}
	if p.Lost {
		t.stats.Lost++
		err := t.settle()
		t.held = p.Duration
		return err
	}
	if err := t.restore(p); err != nil {
		return err
	}
	return t.decode(p)
}

// decode plays exactly p.Duration, whatever the packet holds.
func (t *Transcoder) decode(p media.Packet) error {
	n, err := t.decoder.Decode(t.pcm, p)
	if errors.Is(err, opus.ErrPacket) {
		t.stats.Bad++
		n, err = 0, nil
	}
	if err != nil {
		return err
	}
	if n < p.Duration {
		if _, err = t.decoder.Conceal(t.pcm[n*t.config.Channels:], p.Duration-n); err != nil {
			return err
		}
	}
	return t.play(p.Duration)
}

// play hands n samples of t.pcm to all who listen.
func (t *Transcoder) play(n int) error {
	pcm := t.pcm[:n*t.config.Channels]
	for _, tap := range t.config.Taps {
		tap(t.next, pcm)
	}
	t.next += int64(n)
	mono := pcm
	if t.mono != nil {
		mono = downmix(t.mono[:n], pcm)
	}
	for _, r := range t.rungs {
		sound := pcm
		if r.Track.Channels == 1 {
			sound = mono
		}
		if err := r.encoder.Encode(sound, r.take); err != nil {
			return r.failed(err)
		}
	}
	return nil
}

// downmix averages left and right: the sum of two full-scale channels is full
// scale again, never more.
func downmix(mono, stereo []float32) []float32 {
	for i := range mono {
		mono[i] = (stereo[2*i] + stereo[2*i+1]) / 2
	}
	return mono
}

// Flush ends the live: it plays a loss still held and emits what the encoders
// still hold. The last frames reach past the end of the last packet; the sound there
// is silence. Like Transcode it takes a nil emit where there are no rungs.
func (t *Transcoder) Flush(emit func(rung int, f media.Frame)) error {
	if t.failed != nil {
		return t.failed
	}
	t.emit = emit
	err := t.settle()
	if err == nil && t.begun {
		err = t.flushEncoders()
	}
	t.emit = nil
	t.failed = err
	if err == nil {
		t.failed = ErrClosed
	}
	return err
}

// Close lets go of the encoders. It emits nothing, and taps get no more either: a
// loss at the very end is heard only if Flush comes before. It may be called twice.
func (t *Transcoder) Close() error {
	t.failed = ErrClosed
	t.rungs = nil
	return nil
}
