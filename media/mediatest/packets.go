package mediatest

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/opus"
)

// frame is 20 ms, what creators send.
const frame = 960

// EncodeOpus encodes PCM in packets of 20 ms, from PTS 0 on; the last one ends in
// silence. PCM has the channels that config says. It panics on a config or PCM
// that cannot be encoded: both are written by the test's author.
func EncodeOpus(pcm []float32, config opus.EncoderConfig) []media.Packet {
	e, err := opus.NewEncoder(config)
	if err != nil {
		panic(fmt.Sprintf("mediatest: %v", err))
	}
	size := frame * e.Channels()
	packets := make([]media.Packet, 0, len(pcm)/size+1)
	for len(pcm) > 0 {
		piece := make([]float32, size)
		pcm = pcm[copy(piece, pcm):]
		data, err := e.Encode(nil, piece)
		if err != nil {
			panic(fmt.Sprintf("mediatest: %v", err))
		}
		packets = append(packets, media.Packet{PTS: int64(len(packets)) * frame, Duration: frame, Data: data[:len(data):len(data)]})
	}
	return packets
}

// DecodeOpus decodes packets the way a listener hears them, losses concealed.
// It panics on what is no Opus packet.
func DecodeOpus(packets []media.Packet, channels int) []float32 {
	d, err := opus.NewDecoder(channels)
	if err != nil {
		panic(fmt.Sprintf("mediatest: %v", err))
	}
	var pcm []float32
	buf := make([]float32, opus.MaxSamples*channels)
	for _, p := range packets {
		n, err := d.Decode(buf, p)
		if err != nil {
			panic(fmt.Sprintf("mediatest: packet at %d: %v", p.PTS, err))
		}
		pcm = append(pcm, buf[:n*channels]...)
	}
	return pcm
}

// Lose marks every packet for which lost says so as lost, with the filler that a
// jitter buffer would put there. The others are shared with packets.
func Lose(packets []media.Packet, lost func(i int) bool) []media.Packet {
	out := make([]media.Packet, 0, len(packets))
	for i, p := range packets {
		if !lost(i) {
			out = append(out, p)
			continue
		}
		for filler := range media.Gap(p.TOC(), p.PTS, int64(p.Duration)) {
			out = append(out, filler)
		}
	}
	return out
}

// Packets is a source that gives packets as fast as they are read.
func Packets(packets ...media.Packet) media.Source { return &packetSource{packets: packets} }

type packetSource struct {
	mu      sync.Mutex
	packets []media.Packet
	closed  bool
}

func (s *packetSource) ReadPacket() (media.Packet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return media.Packet{}, ErrClosed
	case len(s.packets) == 0:
		return media.Packet{}, io.EOF
	}
	p := s.packets[0]
	s.packets = s.packets[1:]
	return p, nil
}

func (s *packetSource) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// ErrClosed is what the sources and sinks of this package return after Close.
var ErrClosed = errors.New("mediatest: closed")

// A Recorder is a sink that keeps what it got. It may be read while it is
// written to; its zero value is ready.
type Recorder struct {
	// OnPacket, if set, is called with every packet before it is kept; its
	// error is WritePacket's. It may block, to play a slow sink.
	OnPacket func(media.Packet) error

	mu      sync.Mutex
	packets []media.Packet
	closed  bool
}

// WritePacket keeps p.
func (r *Recorder) WritePacket(p media.Packet) error {
	if r.Closed() {
		return ErrClosed
	}
	if r.OnPacket != nil {
		if err := r.OnPacket(p); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packets = append(r.packets, p)
	return nil
}

// Close ends the recording.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

// Packets is what was written so far.
func (r *Recorder) Packets() []media.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]media.Packet(nil), r.packets...)
}

// Closed says whether Close was called.
func (r *Recorder) Closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}
