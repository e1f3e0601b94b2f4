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
	toFirstSound time.Duration // from asking for the playlist
	segments     int
	gaps         int // places where the sound does not go on where it stopped
	duration     time.Duration
	bytes        int
}

// listen plays index.m3u8 as a player would, from its beginning to the end of
// the live, and keeps what it hears in a file.
func listen(ctx context.Context, url, file string) (h heard, err error) {
	out, err := os.Create(file)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()

	begin := time.Now()
	var writeErr error
	var client *gohlslib.Client
	client = &gohlslib.Client{
		URI:           url,
		StartDistance: 100, // from the oldest segment, so that all is heard
		MaxDistance:   100,
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

// writeADTS frames AAC so that any player opens the file.
func writeADTS(out *os.File, config mpeg4audio.AudioSpecificConfig, aus [][]byte) (int, error) {
	packets := make(mpeg4audio.ADTSPackets, len(aus))
	for i, au := range aus {
		packets[i] = &mpeg4audio.ADTSPacket{Type: config.Type, SampleRate: config.SampleRate, ChannelCount: config.ChannelCount, AU: au}
	}
	b, err := packets.Marshal()
	if err != nil {
		return 0, err
	}
	return out.Write(b)
}
