package transcode

import "github.com/roadwave/roadwave/media"

// An Encoder turns PCM into frames of one codec. PCM is []float32, interleaved,
// full scale ±1, 48 kHz (see package media/opus).
type Encoder interface {
	// Encode takes any number of samples and calls emit with each frame that
	// they complete. The frame is only lent.
	Encode(pcm []float32, emit func(frame []byte)) error
	// Flush emits what is still inside. Nothing is encoded after it.
	Flush(emit func(frame []byte)) error
	// FrameSize is the number of samples per channel in each frame.
	FrameSize() int
	// Delay is the number of samples of decoded sound that come before the
	// first sample encoded.
	Delay() int
}

// A Rung is one rendition of the ladder.
type Rung struct {
	// Track describes the frames; its Channels are what NewEncoder's encoder takes.
	Track media.Track
	// NewEncoder makes the encoder at the start, and again after a hole in the
	// timeline too long to fill.
	NewEncoder func() (Encoder, error)
}

// Tracks describes what rungs make, in their order.
func Tracks(rungs []Rung) []media.Track {
	tracks := make([]media.Track, len(rungs))
	for i, r := range rungs {
		tracks[i] = r.Track
	}
	return tracks
}

// A Tap is given the PCM of the live, in order and without holes: n samples of
// every channel that start at pts. The slice is only lent. A tap runs in the
// goroutine that calls Transcode and must be quick.
type Tap func(pts int64, pcm []float32)
