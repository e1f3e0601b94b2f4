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

	begin := time.Now()
	for n := 0; n < startSegments; {
		if n, err = segments(ctx, url); err != nil {
			return h, err
		}
		if n > 0 && h.firstListed == 0 {
			h.firstListed = time.Since(begin)
		}
		time.Sleep(50 * time.Millisecond)
	}
	var writeErr error
	var client *gohlslib.Client
	client = &gohlslib.Client{
		URI:                       url,
		StartDistance:             startSegments,
		MaxDistance:               100,
		OnDownloadPrimaryPlaylist: func(string) {}, // it would log
		OnDownloadStreamPlaylist:  func(string) {},
		OnDownloadSegment: func(url string) {
			if strings.HasSuffix(url, ".ts") {
				h.segments++
				fmt.Printf("\rListening: %d segments, %v ", h.segments, h.duration.Round(time.Second))
			}
		},
		OnTracks: func(tracks []*gohlslib.Track) error {
			codec, ok := tracks[0].Codec.(*codecs.MPEG4Audio)
			if !ok {
				return fmt.Errorf("expected AAC, got %T", tracks[0].Codec)
			}
			next := int64(-1)
			client.OnDataMPEG4Audio(tracks[0], func(pts int64, aus [][]byte) {
				if h.toFirstSound == 0 {
					h.toFirstSound = time.Since(begin)
				}
				// One tick of the 90 kHz clock may be lost in rounding.
				if next >= 0 && (pts < next-2 || pts > next+2) {
					h.gaps++
				}
				frame := int64(mpeg4audio.SamplesPerAccessUnit) * int64(tracks[0].ClockRate) / int64(codec.Config.SampleRate)
				next = pts + frame*int64(len(aus))
				h.duration += time.Duration(len(aus)) * mpeg4audio.SamplesPerAccessUnit * time.Second / time.Duration(codec.Config.SampleRate)
				n, err := writeADTS(out, codec.Config, aus)
				h.bytes += n
				writeErr = errors.Join(writeErr, err)
			})
			return nil
		},
	}
	if err := client.Start(); err != nil {
		return h, err
	}
	done := make(chan error, 1)
	go func() { done <- client.Wait2() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		client.Close()
		err = errors.Join(ctx.Err(), <-done)
	}
	if errors.Is(err, gohlslib.ErrClientEOS) {
		err = nil
	}
	client.Close()
	return h, errors.Join(err, writeErr)
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
