package hls

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/roadwave/roadwave/media"
)

const (
	tsPacket = 188
	pidAudio = 256

	// maxPES is the payload of one PES packet, in bytes: what fits in the
	// 3584-byte audio buffer of the reference decoder (ISO 13818-1 §2.4.2.7),
	// and what other packagers use. One AAC frame per PES would make 32 kbit/s
	// cost what 48 should.
	maxPES = 2930

	// ptsBase keeps the clock positive where an encoder's priming comes before
	// time zero, and leaves room for the PCR before the PTS. 90 kHz units.
	ptsBase = 10 * 90000
	ptsMask = 1<<33 - 1
)

// tsContainer writes AAC-LC or MP3 in MPEG-TS (ISO 13818-1). Every segment
// begins with its tables; continuity counters go on from one to the next.
type tsContainer struct {
	aac     *codecs.MPEG4Audio // nil for MP3
	buf     bytes.Buffer
	counter map[uint16]byte // next continuity counter of each PID
}

func newTSContainer(t media.Track) (*tsContainer, error) {
	c := &tsContainer{counter: map[uint16]byte{}}
	if t.Codec == media.CodecMP3 {
		return c, nil
	}
	c.aac = &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type:          mpeg4audio.ObjectTypeAACLC,
		SampleRate:    t.SampleRate,
		ChannelConfig: uint8(t.Channels),
	}}
	if t.Config != nil {
		if err := c.aac.Unmarshal(t.Config); err != nil {
			return nil, fmt.Errorf("hls: AudioSpecificConfig of track %s: %w", t.Name, err)
		}
	}
	if c.aac.Type != mpeg4audio.ObjectTypeAACLC || c.aac.ExtensionType != 0 {
		return nil, fmt.Errorf("hls: track %s is not plain AAC-LC (audio object type %d, extension %d): nothing else plays everywhere",
			t.Name, c.aac.Type, c.aac.ExtensionType)
	}
	return c, nil
}

func (*tsContainer) extension() string       { return ".ts" }
func (*tsContainer) header() ([]byte, error) { return nil, nil }

func (c *tsContainer) segment(_ int64, frames []media.Frame) ([]byte, error) {
	size := 0
	for _, f := range frames {
		size += len(f.Data)
		if c.aac != nil {
			size += adtsHeader
		}
	}
	c.buf.Reset()
	groups := (size + maxPES - 1) / maxPES
	for i := range groups { // of even size: a short last one would be mostly stuffing
		group := frames[i*len(frames)/groups : (i+1)*len(frames)/groups]
		if len(group) == 0 {
			continue
		}
		if err := c.writePES(group); err != nil {
			return nil, fmt.Errorf("hls: MPEG-TS segment: %w", err)
		}
	}
	return c.renumber(groups), nil
}

const adtsHeader = 7

// writePES appends one PES packet. A writer per PES packet puts a clock
// reference into each; the tables it repeats are dropped by renumber.
func (c *tsContainer) writePES(frames []media.Frame) error {
	track := &mpegts.Track{PID: pidAudio, Codec: &codecs.MPEG1Audio{}}
	if c.aac != nil {
		track.Codec = c.aac
	}
	w := &mpegts.Writer{W: &c.buf, Tracks: []*mpegts.Track{track}}
	if err := w.Initialize(); err != nil {
		return err
	}
	data := make([][]byte, len(frames))
	for i, f := range frames {
		if len(f.Data) == 0 {
			return errors.New("a frame is empty")
		}
		data[i] = f.Data
	}
	pts := (frames[0].PTS*15/8 + ptsBase) & ptsMask // 48 kHz to 90 kHz
	if c.aac != nil {
		return w.WriteMPEG4Audio(track, pts, data)
	}
	return w.WriteMPEG1Audio(track, pts, data)
}

// renumber copies the packets written, keeping the tables only once, at the
// start, and gives each its continuity counter (§2.4.3.3).
func (c *tsContainer) renumber(groups int) []byte {
	written := c.buf.Bytes()
	out := make([]byte, 0, len(written)-(groups-1)*2*tsPacket)
	for ; len(written) >= tsPacket; written = written[tsPacket:] {
		pid := uint16(written[1]&0x1f)<<8 | uint16(written[2])
		if pid != pidAudio && len(out) >= 2*tsPacket {
			continue
		}
		out = append(out, written[:tsPacket]...)
		control := &out[len(out)-tsPacket+3]
		*control = *control&0xf0 | c.counter[pid]&0x0f
		if *control&0x10 != 0 { // it carries payload
			c.counter[pid]++
		}
	}
	return out
}
