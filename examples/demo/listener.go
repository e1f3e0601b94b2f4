package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// heard is what a listener got of a live.
type heard struct {
	firstListed  time.Duration // until there was a segment to load
	toFirstSound time.Duration // until the player played
	segments     int
	gaps         int // places where the sound does not go on where it stopped
	duration     time.Duration
	bytes        int
}

// startSegments is how many segments the player wants before it begins. Three
// are the rule (RFC 8216 §6.3.3), but this one gives up when the next is not
// there at once, so it gets two in hand.
const startSegments = 5

// listen plays index.m3u8 as a player would, to the end of the live, and keeps
// what it hears in a file.
func listen(ctx context.Context, url, file string) (h heard, err error) {
	out, err := os.Create(file)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()

	e := &ear{begin: time.Now(), out: out, next: -1}
	for n := 0; n < startSegments; {
		if n, err = segments(ctx, url); err != nil {
			return h, err
		}
		if n > 0 && e.firstListed == 0 {
			e.firstListed = time.Since(e.begin)
		}
		time.Sleep(50 * time.Millisecond)
	}
	e.client = &gohlslib.Client{
		URI:                       url,
		StartDistance:             startSegments,
		MaxDistance:               100,
		OnDownloadPrimaryPlaylist: func(string) {}, // it would log
		OnDownloadStreamPlaylist:  func(string) {},
		OnDownloadSegment:         e.onSegment,
		OnTracks:                  e.onTracks,
	}
	err = e.play(ctx)
	return e.heard, errors.Join(err, e.err)
}

// An ear hears a live through a player.
type ear struct {
	heard
	client *gohlslib.Client
	begin  time.Time // of listening
	out    *os.File
	next   int64 // when the sound goes on, in ticks of the track; negative before it began
	err    error // from writing
}

// play runs the player to the end of the live.
func (e *ear) play(ctx context.Context) error {
	if err := e.client.Start(); err != nil {
		return err
	}
	defer e.client.Close()
	done := make(chan error, 1)
	go func() { done <- e.client.Wait2() }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		e.client.Close()
		err = errors.Join(ctx.Err(), <-done)
	}
	if errors.Is(err, gohlslib.ErrClientEOS) {
		return nil
	}
	return err
}

func (e *ear) onSegment(url string) {
	if strings.HasSuffix(url, ".ts") {
		e.segments++
		fmt.Printf("\rListening: %d segments, %v ", e.segments, time.Since(e.begin).Round(time.Second)) // the sound has a goroutine of its own
	}
}

func (e *ear) onTracks(tracks []*gohlslib.Track) error {
	track := tracks[0]
	codec, ok := track.Codec.(*codecs.MPEG4Audio)
	if !ok {
		return fmt.Errorf("expected AAC, got %T", track.Codec)
	}
	e.client.OnDataMPEG4Audio(track, func(pts int64, aus [][]byte) { e.onSound(pts, aus, track.ClockRate, codec.Config) })
	return nil
}

// onSound counts and keeps access units; pts is in ticks of the clock.
func (e *ear) onSound(pts int64, aus [][]byte, clock int, config mpeg4audio.AudioSpecificConfig) {
	if e.toFirstSound == 0 {
		e.toFirstSound = time.Since(e.begin)
	}
	// One tick of the 90 kHz clock may be lost in rounding.
	if e.next >= 0 && (pts < e.next-2 || pts > e.next+2) {
		e.gaps++
	}
	frame := int64(mpeg4audio.SamplesPerAccessUnit) * int64(clock) / int64(config.SampleRate)
	e.next = pts + frame*int64(len(aus))
	e.duration += time.Duration(len(aus)) * mpeg4audio.SamplesPerAccessUnit * time.Second / time.Duration(config.SampleRate)
	n, err := writeADTS(e.out, config, aus)
	e.bytes += n
	e.err = errors.Join(e.err, err)
}

// segments counts what the first media playlist of a multivariant one lists.
func segments(ctx context.Context, url string) (n int, err error) {
	index, err := lines(ctx, url)
	if err != nil {
		return 0, err
	}
	for _, line := range index {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		media, err := lines(ctx, url[:strings.LastIndex(url, "/")+1]+line)
		for _, line := range media {
			if strings.HasPrefix(line, "#EXTINF:") {
				n++
			}
		}
		return n, err
	}
	return 0, fmt.Errorf("%s lists no rendition", url)
}

// writeADTS frames AAC so that any player opens the file.
func writeADTS(out *os.File, config mpeg4audio.AudioSpecificConfig, aus [][]byte) (int, error) {
	packets := make(mpeg4audio.ADTSPackets, len(aus))
	for i, au := range aus {
		packets[i] = &mpeg4audio.ADTSPacket{Type: config.Type, SampleRate: config.SampleRate, ChannelConfig: config.ChannelConfig, AU: au}
	}
	b, err := packets.Marshal()
	if err != nil {
		return 0, err
	}
	return out.Write(b)
}
