package hls

import (
	"fmt"
	"regexp"

	"github.com/roadwave/roadwave/media"
)

// A container wraps the frames of one segment. It is used by one goroutine.
type container interface {
	// extension of segment names, with its dot.
	extension() string
	// header is what a player loads before the first segment (EXT-X-MAP), nil
	// where there is no such thing.
	header() ([]byte, error)
	// segment wraps the frames of segment number.
	segment(number int64, frames []media.Frame) ([]byte, error)
}

// newContainer picks the container in which the target players take a codec:
// Opus plays in fragmented MP4 only, AAC and MP3 everywhere in MPEG-TS.
func newContainer(t media.Track) (container, error) {
	if !trackName.MatchString(t.Name) {
		return nil, fmt.Errorf("hls: track name %q: use 1 to 32 of a-z, 0-9 and dash", clip(t.Name))
	}
	if t.Channels < 1 || t.Channels > 2 {
		return nil, fmt.Errorf("hls: track %s has %d channels: 1 or 2 can be packaged", t.Name, t.Channels)
	}
	switch t.Codec {
	case media.CodecOpus:
		return &fmp4Container{track: t}, nil
	case media.CodecAACLC, media.CodecMP3:
		return newTSContainer(t)
	}
	return nil, fmt.Errorf("hls: track %s: codec %q cannot be packaged", t.Name, t.Codec)
}

var trackName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// codecsAttribute is the CODECS attribute (RFC 6381; Opus as Apple spells it).
func codecsAttribute(c media.Codec) string {
	switch c {
	case media.CodecOpus:
		return "Opus"
	case media.CodecMP3:
		return "mp4a.40.34"
	default:
		return "mp4a.40.2"
	}
}
