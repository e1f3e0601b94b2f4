package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec"
)

// A player is a listener: gohlslib's client, and a recorder for what it gets.
type player struct {
	file  string
	rec   *opusrec.Recorder
	heard [][]byte
	pts   int64
	first time.Duration // from the start to the first packet
	err   error
}

func newPlayer(file string) (*player, error) {
	rec, err := opusrec.Create(file, opusrec.Config{Tags: opusrec.Tags{Title: "Heard on the road", Date: time.Now()}})
	if err != nil {
		return nil, err
	}
	return &player{file: file, rec: rec}, nil
}

func (p *player) close() { _ = p.rec.Close() }

// startSegments is how far behind the live edge the client begins; it gives up
// when the next segment is not there yet, so it needs some in hand.
const startSegments = 5

// listen plays a rendition of a live to its end.
func (p *player) listen(ctx context.Context, url string, begin time.Time) error {
	if err := waitForSegments(ctx, url, startSegments); err != nil {
		return err
	}
	client := &gohlslib.Client{
		URI: url, StartDistance: startSegments, MaxDistance: 100,
		OnDownloadPrimaryPlaylist: func(string) {}, OnDownloadStreamPlaylist: func(string) {}, OnDownloadSegment: func(string) {},
	}
	client.OnTracks = func(tracks []*gohlslib.Track) error {
		if _, ok := tracks[0].Codec.(*codecs.Opus); !ok {
			return fmt.Errorf("expected Opus, got %T", tracks[0].Codec)
		}
		client.OnDataOpus(tracks[0], func(_ int64, packets [][]byte) {
			if p.first == 0 {
				p.first = time.Since(begin)
			}
			for _, packet := range packets {
				p.err = errors.Join(p.err, p.keep(packet))
			}
		})
		return nil
	}
	if err := client.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()
	err := client.Wait2()
	client.Close()
	if errors.Is(err, gohlslib.ErrClientEOS) || ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, p.err)
}

func (p *player) keep(packet []byte) error {
	packet = bytes.Clone(packet)
	duration, err := media.PacketDuration(packet)
	if err != nil {
		return err
	}
	p.heard = append(p.heard, packet)
	err = p.rec.WritePacket(media.Packet{PTS: p.pts, Duration: duration, Data: packet})
	p.pts += int64(duration)
	return err
}

// report compares what was heard with what was sent.
func (p *player) report(sent [][]byte) error {
	if err := p.rec.Close(); err != nil {
		return err
	}
	same := 0
	for same < len(sent) && same < len(p.heard) && bytes.Equal(sent[same], p.heard[same]) {
		same++
	}
	fmt.Printf("Heard       %d packets, %v of sound, the first %v after the start\n", len(p.heard), media.Duration(p.pts), p.first.Round(10*time.Millisecond))
	fmt.Printf("Identical   %d of %d packets, byte for byte\n", same, len(sent))
	fmt.Printf("\nlisten: open %s in a browser, or run  ffplay -autoexit %[1]s\n", p.file)
	return nil
}

// waitForSegments polls a playlist as a player does while a live begins.
func waitForSegments(ctx context.Context, url string, n int) error {
	for {
		text, err := get(ctx, url)
		if err != nil || bytes.Count(text, []byte("#EXTINF:")) >= n || bytes.Contains(text, []byte("#EXT-X-ENDLIST")) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}
