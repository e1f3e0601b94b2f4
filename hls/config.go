package hls

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/roadwave/roadwave/media"
)

// A Ladder says when the AAC renditions of a live are made.
type Ladder int

const (
	// OnDemand makes them while somebody listens: from the first request for
	// them (or [Live.Wake]) until LadderIdle after the last.
	OnDemand Ladder = iota
	// Always makes them for the whole live.
	Always
)

// A Transcoder turns the Opus packets of a live into the frames of every rung
// of the ladder; package media/transcode has one. It is used by one goroutine.
//
// Frames are on the clock of the packets, the encoder's delay already taken
// off, in order within a rung; the first may begin a little before the first
// packet. A frame's Data may be reused after emit returns.
type Transcoder interface {
	// Transcode decodes p (concealment for one marked Lost) and emits the frames
	// that are ready; rung indexes [Config].Rungs.
	Transcode(p media.Packet, emit func(rung int, f media.Frame)) error
	// Flush emits what is left, at the end of the live.
	Flush(emit func(rung int, f media.Frame)) error
	Close() error
}

// Config configures a [Live]. The zero value serves Opus from memory.
type Config struct {
	// Store receives segments and playlists as they appear. Nil: memory only.
	Store Store
	// SegmentsOnly writes no playlists to Store: it is then a place for segments
	// that left memory, which the live itself serves, and not an origin.
	SegmentsOnly bool
	// Prefix begins every key in Store. It must be of this live alone.
	// Default: "live/" and ID.
	Prefix string
	// ID is part of every segment's name and must never be used again with
	// the same address: a-z, 0-9 and dash, up to 32. Default: random.
	ID string

	// SegmentDuration is 1 to 10 s, a multiple of 20 ms. Default 2 s.
	SegmentDuration time.Duration
	// Window is how much the playlists list: at least 6 segments, 30 s, and
	// HoldBack plus three segments. Default 40 s.
	Window time.Duration
	// HoldBack is how far behind the live edge players are told to play, at
	// least three segments. Default 15 s.
	HoldBack time.Duration
	// MaxBytes bounds the segments of one rendition in memory; beyond it the
	// oldest leave early. Default 8 MiB.
	MaxBytes int

	// StartedAt is the wall time of PTS 0. Default: such that the first packet
	// is written right when it ends.
	StartedAt time.Time
	// Channels of the Opus packets, 1 or 2. Default 2, which also plays mono.
	Channels int
	// OpusBitrate is nominal, in bits per second, for as long as nothing is
	// measured. Default 48000.
	OpusBitrate int

	// NewTranscoder makes the transcoder each time the ladder starts. Nil: no
	// ladder, and Rungs must be empty.
	NewTranscoder func() (Transcoder, error)
	// Rungs are the tracks that the transcoder emits, best first, AAC-LC.
	Rungs []media.Track
	// Ladder says when they are made. Default OnDemand.
	Ladder Ladder
	// LadderIdle is how long the ladder goes on after the last request for
	// it. Default 1 min.
	LadderIdle time.Duration
	// Backfill is how much of the past the ladder begins with: more is a longer
	// list for the first listener, and a longer wait. At most Window less two
	// segments. Default 30 s or that.
	Backfill time.Duration

	// PutTimeout bounds one attempt to write to Store. Default 10 s.
	PutTimeout time.Duration
	// CloseTimeout bounds how long Close waits for the ladder and Store. Default 10 s.
	CloseTimeout time.Duration

	// OnSegment is told of each finished segment, OnError of what went wrong
	// without ending the live ([StoreError], [LadderError], [SegmentError],
	// [ErrOrder]). They are called from several goroutines, must return soon and
	// not call the Live. Default nil.
	OnSegment func(SegmentEvent)
	OnError   func(error)
	// Logger is for engineers. Default: discard.
	Logger *slog.Logger
}

// A SegmentEvent describes a finished segment.
type SegmentEvent struct {
	Rendition string
	Number    int64
	PTS       int64         // samples at 48 kHz
	Duration  time.Duration // exact
	Bytes     int
}

const (
	opusName     = "opus"
	playlistName = "media.m3u8"
	indexName    = "index.m3u8"
	opusIndex    = "opus.m3u8"
)

// fill fills in the defaults and checks the rest.
func (c *Config) fill() error {
	c.ID = cmp.Or(c.ID, strings.ToLower(rand.Text()[:10]))
	c.Prefix = cmp.Or(c.Prefix, "live/"+c.ID)
	c.SegmentDuration = cmp.Or(c.SegmentDuration, 2*time.Second)
	c.HoldBack = cmp.Or(c.HoldBack, 15*time.Second)
	c.MaxBytes = cmp.Or(c.MaxBytes, 8<<20)
	c.Channels = cmp.Or(c.Channels, 2)
	c.OpusBitrate = cmp.Or(c.OpusBitrate, 48000)
	c.LadderIdle = cmp.Or(c.LadderIdle, time.Minute)
	c.PutTimeout = cmp.Or(c.PutTimeout, 10*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 10*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if !trackName.MatchString(c.ID) {
		return fmt.Errorf("hls: ID %q: use 1 to 32 of a-z, 0-9 and dash", clip(c.ID))
	}
	return errors.Join(checkPrefix(c.Prefix), c.fillTimes(), c.checkRungs())
}

// prefixRoom is what renditions and segment names need of a key.
const prefixRoom = 128

func checkPrefix(prefix string) error {
	if CheckKey(prefix) != nil || len(prefix) > maxKey-prefixRoom {
		return fmt.Errorf("hls: Prefix %q: give the beginning of a key, like live/7, of at most %d bytes", clip(prefix), maxKey-prefixRoom)
	}
	return nil
}

func (c *Config) fillTimes() error {
	d := c.SegmentDuration
	if d < time.Second || d > 10*time.Second || d%(20*time.Millisecond) != 0 {
		return fmt.Errorf("hls: SegmentDuration %v: give 1 s to 10 s, a multiple of 20 ms", d)
	}
	target := time.Duration(c.target()) * time.Second
	if c.HoldBack < 3*target {
		return fmt.Errorf("hls: HoldBack %v is less than three target durations, %v", c.HoldBack, 3*target)
	}
	least := max(6*d, 30*time.Second, c.HoldBack+3*d)
	c.Window = cmp.Or(c.Window, max(40*time.Second, least))
	if c.Window < least || c.Window > 10*time.Minute {
		return fmt.Errorf("hls: Window %v: give %v to 10m0s", c.Window, least)
	}
	c.Backfill = cmp.Or(c.Backfill, min(30*time.Second, c.Window-2*d))
	if c.Backfill < 0 || c.Backfill > c.Window-2*d {
		return fmt.Errorf("hls: Backfill %v: give at most %v", c.Backfill, c.Window-2*d)
	}
	if c.LadderIdle < 0 || c.PutTimeout < 0 || c.CloseTimeout < 0 || c.MaxBytes < 0 {
		return errors.New("hls: LadderIdle, PutTimeout, CloseTimeout and MaxBytes cannot be negative")
	}
	return nil
}

// target is EXT-X-TARGETDURATION: an EXTINF, rounded, may not exceed it, and a
// segment may be longer than its grid by less than one frame.
func (c *Config) target() int {
	return int((c.SegmentDuration + time.Second - 1) / time.Second)
}

func (c *Config) checkRungs() error {
	if (c.NewTranscoder == nil) != (len(c.Rungs) == 0) {
		return errors.New("hls: NewTranscoder and Rungs come together: a ladder needs both")
	}
	seen := map[string]bool{opusName: true}
	for _, t := range c.Rungs {
		if t.Codec != media.CodecAACLC {
			return fmt.Errorf("hls: rung %s is %q: a ladder has one codec, AAC-LC", t.Name, t.Codec)
		}
		if seen[t.Name] {
			return fmt.Errorf("hls: two renditions are named %s", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}
