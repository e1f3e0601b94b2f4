package aac

import (
	"fmt"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/transcode"
)

// Track describes what an encoder of this configuration makes. Its name is the
// codec and the rate, "aac48".
func (c Config) Track() media.Track {
	c.fill()
	return media.Track{
		Name:       fmt.Sprintf("aac%d", c.Bitrate/1000),
		Codec:      media.CodecAACLC,
		SampleRate: media.SampleRate,
		Channels:   c.Channels,
		Bitrate:    c.Bitrate,
		Config:     c.audioSpecific(),
	}
}

// audioSpecific is the AudioSpecificConfig (ISO 14496-3 §1.6.2.1): object type
// 2 (AAC-LC) in 5 bits, rate index 3 (48 kHz) in 4, the channels in 4, and 3 zero
// bits: frames of 1024, no core coder, no extension.
func (c Config) audioSpecific() []byte {
	const objectType, rateIndex = 2, 3
	bits := objectType<<11 | rateIndex<<7 | c.Channels<<3
	return []byte{byte(bits >> 8), byte(bits)}
}

// Rung makes one rendition of a ladder.
func Rung(config Config) transcode.Rung {
	return transcode.Rung{
		Track:      config.Track(),
		NewEncoder: func() (transcode.Encoder, error) { return NewEncoder(config) },
	}
}

// Ladder is the default: "aac48" and "aac32", both mono.
func Ladder() []transcode.Rung {
	return []transcode.Rung{Rung(Config{Bitrate: 48000}), Rung(Config{Bitrate: 32000})}
}
