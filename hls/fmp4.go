package hls

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"github.com/roadwave/roadwave/media"
)

// fmp4Container writes Opus in fragmented MP4: one moof and one mdat per
// segment, times in samples at 48 kHz, the packets as they came.
type fmp4Container struct {
	track media.Track
}

func (*fmp4Container) extension() string { return ".mp4" }

func (c *fmp4Container) header() ([]byte, error) {
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{{
		ID:         1,
		TimeScale:  media.SampleRate,
		AvgBitrate: uint32(c.track.Bitrate),
		MaxBitrate: uint32(c.track.Bitrate),
		Codec:      &codecs.Opus{ChannelCount: c.track.Channels},
	}}}
	var b seekablebuffer.Buffer
	if err := init.Marshal(&b); err != nil {
		return nil, fmt.Errorf("hls: fMP4 header: %w", err)
	}
	return b.Bytes(), nil
}

func (c *fmp4Container) segment(number int64, frames []media.Frame) ([]byte, error) {
	if frames[0].PTS < 0 {
		return nil, fmt.Errorf("hls: fMP4 has no negative times, the first frame is at %d", frames[0].PTS)
	}
	samples := make([]fmp4.Sample, len(frames))
	refs := make([]*fmp4.Sample, len(frames))
	size := 0
	for i, f := range frames {
		samples[i] = fmp4.Sample{Duration: uint32(f.Duration), Payload: f.Data}
		if i+1 < len(frames) { // a hole too short to be filled lengthens the frame before it
			samples[i].Duration = uint32(frames[i+1].PTS - f.PTS)
		}
		refs[i] = &samples[i]
		size += len(f.Data)
	}
	part := fmp4.Part{
		SequenceNumber: uint32(number + 1),
		Tracks:         []*fmp4.PartTrack{{ID: 1, BaseTime: uint64(frames[0].PTS), Samples: refs}},
	}
	var b seekablebuffer.Buffer
	b.Grow(128 + 8*len(frames) + size)
	if err := part.Marshal(&b); err != nil {
		return nil, fmt.Errorf("hls: fMP4 segment: %w", err)
	}
	return b.Bytes(), nil
}
