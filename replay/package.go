package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync/atomic"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
)

// pack puts the frames of an MP3, unchanged, into MPEG-TS segments under a
// prefix of a store, with the playlist <prefix>/index.m3u8 last.
func (m *Maker) pack(ctx context.Context, mp3 string, store hls.Store, prefix string, r *reporter) (_ hls.VOD, err error) {
	f, err := os.Open(mp3)
	if err != nil {
		return hls.VOD{}, fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return hls.VOD{}, fmt.Errorf("replay: %w", err)
	}
	track, err := describe(f)
	if err != nil {
		return hls.VOD{}, err
	}
	var read atomic.Int64 // WriteVOD reports from goroutines of its own
	return hls.WriteVOD(ctx, hls.VODConfig{
		Store: store, Prefix: prefix, Track: track, SegmentDuration: m.cfg.SegmentDuration,
		Progress: func(hls.VOD) { r.at(Packaging, int(read.Load()), int(info.Size())) },
	}, frames(f, &read))
}

// describe reads the track's parameters from its first frame and goes back to
// the start.
func describe(f io.ReadSeeker) (media.Track, error) {
	_, header, err := newMP3Reader(f).next()
	if err == io.EOF {
		err = fmt.Errorf("%w: it has no frame", errNotMP3)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return media.Track{Name: "mp3", Codec: media.CodecMP3, SampleRate: media.SampleRate,
		Channels: header.channels, Bitrate: header.bitrate}, err
}

// frames yields the frames of an MP3 and counts their bytes.
func frames(src io.Reader, read *atomic.Int64) iter.Seq2[media.Frame, error] {
	return func(yield func(media.Frame, error) bool) {
		for r := newMP3Reader(src); ; {
			f, _, err := r.next()
			if err == io.EOF {
				return
			}
			read.Add(int64(len(f.Data)))
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}
