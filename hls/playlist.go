package hls

import (
	"strconv"
	"time"

	"github.com/roadwave/roadwave/media"
)

// version is the protocol version of all playlists. 9 is what lets a live say
// HOLD-BACK without low-latency parts (RFC 8216bis §8).
const version = 9

// mediaPlaylist is one media playlist (RFC 8216bis §4). There is no
// EXT-X-DISCONTINUITY: all segments of a rendition share one clock and one
// encoding; where a stretch of time is missing, what came before leaves the list.
type mediaPlaylist struct {
	target   int           // seconds, upper bound of every rounded EXTINF
	holdBack time.Duration // 0 = none
	sequence int64
	vod      bool
	header   string // URI of EXT-X-MAP, "" = none
	entries  []entry
	ended    bool
}

// entry is one segment in a playlist.
type entry struct {
	uri      string
	duration int64     // samples at 48 kHz
	at       time.Time // EXT-X-PROGRAM-DATE-TIME, zero = none
	gap      bool      // it could not be stored: EXT-X-GAP
}

func (p *mediaPlaylist) append(b []byte) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, version, 10)
	b = append(b, "\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(p.target), 10)
	if p.holdBack > 0 {
		b = append(b, "\n#EXT-X-SERVER-CONTROL:HOLD-BACK="...)
		b = strconv.AppendFloat(b, p.holdBack.Seconds(), 'f', 1, 64)
	}
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendInt(b, p.sequence, 10)
	if p.vod {
		b = append(b, "\n#EXT-X-PLAYLIST-TYPE:VOD"...)
	}
	if p.header != "" {
		b = append(b, "\n#EXT-X-MAP:URI=\""...)
		b = append(b, p.header...)
		b = append(b, '"')
	}
	b = append(b, '\n')
	for i := range p.entries {
		b = p.entries[i].append(b)
	}
	if p.ended {
		b = append(b, "#EXT-X-ENDLIST\n"...)
	}
	return b
}

func (e *entry) append(b []byte) []byte {
	if e.gap {
		b = append(b, "#EXT-X-GAP\n"...)
	}
	if !e.at.IsZero() {
		b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
		b = e.at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
		b = append(b, '\n')
	}
	b = append(b, "#EXTINF:"...)
	b = appendSeconds(b, e.duration)
	b = append(b, ",\n"...)
	b = append(b, e.uri...)
	return append(b, '\n')
}

// appendSeconds writes samples as seconds, to the microsecond.
func appendSeconds(b []byte, samples int64) []byte {
	micros := (samples*1000 + 24) / 48
	b = strconv.AppendInt(b, micros/1e6, 10)
	b = append(b, '.')
	fraction := strconv.Itoa(int(micros%1e6) + 1e6)
	return append(b, fraction[1:]...)
}

// variant is one rendition in a multivariant playlist.
type variant struct {
	uri     string
	codecs  string
	peak    int // bits per second of the fullest segment, container included
	average int // bits per second over all segments, container included
}

func appendMultivariant(b []byte, variants []variant) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, version, 10)
	b = append(b, "\n#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	for _, v := range variants {
		b = append(b, "#EXT-X-STREAM-INF:BANDWIDTH="...)
		b = strconv.AppendInt(b, int64(v.peak), 10)
		b = append(b, ",AVERAGE-BANDWIDTH="...)
		b = strconv.AppendInt(b, int64(v.average), 10)
		b = append(b, ",CODECS=\""...)
		b = append(b, v.codecs...)
		b = append(b, "\"\n"...)
		b = append(b, v.uri...)
		b = append(b, '\n')
	}
	return b
}

// A meter measures what a rendition costs on the wire.
type meter struct {
	peak    int   // bits per second
	bytes   int64 // of all segments
	samples int64
}

// add counts one segment. A short one (the last of a live) says nothing about the peak:
// its tables alone would double it.
func (m *meter) add(size int, samples, length int64) {
	m.bytes += int64(size)
	m.samples += samples
	if samples*2 >= length || m.peak == 0 {
		m.peak = max(m.peak, int(int64(size)*8*media.SampleRate/samples))
	}
}

// variant describes the rendition with what was measured or, before its first
// segment, with what its nominal rate will cost (an eighth more for the container).
func (m *meter) variant(t media.Track, uri string) variant {
	v := variant{uri: uri, codecs: codecsAttribute(t.Codec), peak: t.Bitrate * 5 / 4, average: t.Bitrate * 9 / 8}
	if m.samples > 0 {
		v.peak, v.average = m.peak, int(m.bytes*8*media.SampleRate/m.samples)
	}
	v.average = min(v.average, v.peak)
	return v
}
