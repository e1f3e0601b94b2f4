package main

import (
	"errors"
	"io"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/opusrec"
)

// A loop repeats a sound for as long as the live lasts.
type loop struct {
	packets []media.Packet
	n       int
	pts     int64
	end     int64 // 0: never
}

// openSound reads a recording, or makes a few seconds of talk over a chord.
func openSound(path string, length time.Duration) (media.Source, error) {
	l := &loop{end: media.Samples(length)}
	if path == "" {
		talk := mediatest.Speech(mediatest.Voice{Pitch: 120}, -20, 6*time.Second)
		pcm := mediatest.Mix(talk, mediatest.Chord(-32, 6*time.Second, 220, 277, 330))
		l.packets = mediatest.EncodeOpus(pcm, opus.EncoderConfig{Bitrate: 48000})
		return l, nil
	}
	file, err := opusrec.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for {
		p, err := file.ReadPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		l.packets = append(l.packets, p)
	}
	if len(l.packets) == 0 {
		return nil, errors.New(path + " holds no sound")
	}
	return l, nil
}

func (l *loop) ReadPacket() (media.Packet, error) {
	if l.end > 0 && l.pts >= l.end {
		return media.Packet{}, io.EOF
	}
	p := l.packets[l.n%len(l.packets)]
	p.PTS = l.pts
	l.n++
	l.pts = p.End()
	return p, nil
}

func (l *loop) Close() error { return nil }
