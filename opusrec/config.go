package opusrec

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Config says how to record. The zero value is good for a WebRTC live.
type Config struct {
	// Tags describe the recording.
	Tags Tags

	// Channels is what a player is told to play, 1 or 2. Default 2: WebRTC
	// encoders change between mono and stereo as they like, and only a stereo
	// output keeps both.
	Channels int

	// PreSkip is how many samples at 48 kHz a player leaves out at the start,
	// up to 65535. Default 312 (6.5 ms): WebRTC does not tell the delay of the
	// encoder, but that is libopus's, which every browser uses (RFC 7845 §4.2).
	// Negative: none; some tools find this suspicious.
	PreSkip int

	// PageDuration is the most audio that one page holds, and so the most that
	// a kill loses: 120 ms to 1 s. Default 1 s; shorter pages cost more (at
	// 20 ms each a quarter of the file is framing).
	PageDuration time.Duration

	// SyncInterval is how much audio is written between two syncs to the disk.
	// Default 0: every page. Negative: only when [Recorder.Sync] or Close is called.
	SyncInterval time.Duration

	// MaxGap is the longest hole between two packets that is filled with lost
	// packets; a longer one is refused. Default 1 h.
	MaxGap time.Duration

	// Serial is the Ogg serial number. Default 0: random.
	Serial uint32

	// Logger is told about failures. Default: none.
	Logger *slog.Logger
}

const (
	defaultChannels = 2
	defaultPreSkip  = 312
)

func (c *Config) fill() error {
	c.Channels = cmp.Or(c.Channels, defaultChannels)
	c.PreSkip = max(cmp.Or(c.PreSkip, defaultPreSkip), 0)
	c.PageDuration = cmp.Or(c.PageDuration, time.Second)
	c.MaxGap = cmp.Or(c.MaxGap, time.Hour)
	for c.Serial == 0 {
		c.Serial = rand.Uint32()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Channels != 1 && c.Channels != 2:
		return fmt.Errorf("opusrec: Config.Channels is %d, want 1 or 2", c.Channels)
	case c.PreSkip > 65535:
		return fmt.Errorf("opusrec: Config.PreSkip is %d, the most is 65535", c.PreSkip)
	case c.PageDuration < 120*time.Millisecond || c.PageDuration > time.Second:
		return fmt.Errorf("opusrec: Config.PageDuration is %v, want 120ms to 1s", c.PageDuration)
	case c.MaxGap < 0:
		return fmt.Errorf("opusrec: Config.MaxGap is %v, want more than 0", c.MaxGap)
	}
	return nil
}
