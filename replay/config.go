package replay

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"
)

// Config says how replays are made. The zero value is ready to use.
type Config struct {
	// FFmpeg is the program to run, version 5 or newer with libmp3lame; "" means
	// ffmpeg from PATH.
	FFmpeg string
	// Nice lowers FFmpeg's priority, 0 to 19, where the system knows such a
	// thing: beside work that cannot wait, 10 is good. 0 leaves it as it is.
	Nice int

	// Target is the integrated loudness in LUFS, −40 to −5; 0 means −14.
	Target float64
	// Tolerance is how far the finished MP3 may be off, 0.1 to 5 LU; 0 means 0.5.
	Tolerance float64
	// TruePeak is the highest peak of the finished MP3 in dBTP, −20 to −0.1;
	// 0 means −1.
	TruePeak float64

	// SilenceThreshold is the level in dBFS, −90 to −10, under which there is
	// silence (of the K-weighted mean over 40 ms, where a tone at full scale
	// has 0). 0 judges by the loudness of the recording: silence is what stays
	// 35 LU below it, and what stays 20 LU below it and does not vary, as the
	// noise of a road does not and soft music or a distant voice do.
	SilenceThreshold float64
	// SilenceMin is how long a silence must last to be cut, 200 ms or more; 0 means
	// 3 s, negative leaves all silences in.
	SilenceMin time.Duration
	// SilenceKeep is what is left of a silence on each side that has sound, at
	// most half of SilenceMin; 0 means 0.5 s, negative as little as a
	// join needs (5 ms).
	SilenceKeep time.Duration

	// Bitrate of the MP3 in kbit/s, one of those of MPEG-1 Layer III; 0 means 256.
	Bitrate int
	// SegmentDuration of the HLS segments, 1 s to 60 s; 0 means 10 s.
	SegmentDuration time.Duration

	// TempDir is where the work is done: one MP3, 115 MB per hour, and a copy
	// of the recording if that is damaged. "" is the system's. A process that
	// was killed leaves a folder replay-* there.
	TempDir string

	// Progress, if set, is told how far a replay is, about every percent: one
	// call at a time for each replay, not always from the goroutine that makes
	// it, which waits meanwhile.
	Progress func(Progress)
	// Logger; nil discards.
	Logger *slog.Logger
}

func (c *Config) fill() error {
	c.Target = cmp.Or(c.Target, -14)
	c.Tolerance = cmp.Or(c.Tolerance, 0.5)
	c.TruePeak = cmp.Or(c.TruePeak, -1)
	c.SilenceMin = cmp.Or(c.SilenceMin, 3*time.Second)
	c.SilenceKeep = max(cmp.Or(c.SilenceKeep, 500*time.Millisecond), 0)
	c.Bitrate = cmp.Or(c.Bitrate, 256)
	c.SegmentDuration = cmp.Or(c.SegmentDuration, 10*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c.check()
}

func (c *Config) check() error {
	within := func(name string, v, low, high float64) error {
		if !(v >= low && v <= high) {
			return fmt.Errorf("replay: %s is %v, it must be between %v and %v", name, v, low, high)
		}
		return nil
	}
	for _, err := range []error{
		within("Nice", float64(c.Nice), 0, 19),
		within("Target", c.Target, -40, -5),
		within("Tolerance", c.Tolerance, 0.1, 5),
		within("TruePeak", c.TruePeak, -20, -0.1),
		within("SegmentDuration in seconds", c.SegmentDuration.Seconds(), 1, 60),
	} {
		if err != nil {
			return err
		}
	}
	if c.SilenceThreshold != 0 {
		if err := within("SilenceThreshold", c.SilenceThreshold, -90, -10); err != nil {
			return err
		}
	}
	if c.SilenceMin > 0 {
		if err := within("SilenceMin in seconds", c.SilenceMin.Seconds(), 0.2, math.MaxInt32); err != nil {
			return err
		}
		if err := within("SilenceKeep in seconds", c.SilenceKeep.Seconds(), 0, c.SilenceMin.Seconds()/2); err != nil {
			return err
		}
	}
	if c.Bitrate <= 0 || !slices.Contains(mp3Bitrates[:], c.Bitrate) {
		return fmt.Errorf("replay: Bitrate is %d kbit/s, it must be one of %v", c.Bitrate, mp3Bitrates[1:15])
	}
	return nil
}

// A Maker makes replays. It is safe for concurrent use; each call runs at most
// two processes, which decode and encode with one thread each, and one goroutine
// that computes between them.
type Maker struct {
	cfg    Config
	ffmpeg ffmpeg
}

// New checks the configuration and FFmpeg. The error is [ErrFFmpeg] when that
// is missing, too old or incomplete, and says what to install.
func New(ctx context.Context, cfg Config) (*Maker, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	f, err := findFFmpeg(ctx, cfg.FFmpeg)
	if err != nil {
		return nil, err
	}
	f.nice = cfg.Nice
	return &Maker{cfg: cfg, ffmpeg: f}, nil
}
