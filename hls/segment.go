package hls

import "github.com/roadwave/roadwave/media"

// segmentInfo is what playlists say about a segment.
type segmentInfo struct {
	number   int64
	pts      int64
	duration int64
	name     string
}

// segment is a finished one, ready to be served.
type segment struct {
	segmentInfo
	*resource
	spans []span // of the packets at the end of the body, where someone reads them again
}

// span is one packet inside a segment.
type span struct {
	offset   uint32 // PTS relative to the segment's
	duration uint16
	size     uint16
	lost     bool
}

// snapshot is what the handler reads, without a lock. It is never changed.
type snapshot struct {
	segments []*segment // consecutive numbers
	listed   int        // how many of the last ones the playlist lists
	playlist *resource  // nil while nothing is listed
	ended    bool
}

// last is the number of the newest segment listed, -1 without any.
func (s *snapshot) last() int64 {
	if s.playlist == nil {
		return -1
	}
	return s.segments[len(s.segments)-1].number
}

// find returns the segment with that number, nil if it is not in memory.
func (s *snapshot) find(number int64) *segment {
	if len(s.segments) == 0 {
		return nil
	}
	i := number - s.segments[0].number
	if i < 0 || i >= int64(len(s.segments)) {
		return nil
	}
	return s.segments[i]
}

func spans(pts int64, packets []media.Packet) []span {
	list := make([]span, len(packets))
	for i, p := range packets {
		list[i] = span{uint32(p.PTS - pts), uint16(p.Duration), uint16(len(p.Data)), p.Lost}
	}
	return list
}

// read appends to dst, up to its capacity, the packets that begin at from or
// later. Their Data is shared and must not be changed.
func (r *rendition) read(from int64, dst []media.Packet) []media.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.segments {
		if s.pts+s.duration <= from {
			continue
		}
		data := s.packetData()
		for _, span := range s.spans {
			n := int(span.size)
			p := media.Packet{PTS: s.pts + int64(span.offset), Duration: int(span.duration), Data: data[:n:n], Lost: span.lost}
			data = data[n:]
			if p.PTS < from {
				continue
			}
			if len(dst) == cap(dst) {
				return dst
			}
			dst = append(dst, p)
		}
	}
	for _, p := range r.pending {
		if p.PTS >= from && len(dst) < cap(dst) {
			dst = append(dst, p)
		}
	}
	return dst
}

// packetData is the tail of the body that holds the packets: a container whose
// packets are read again ends with them.
func (s *segment) packetData() []byte {
	size := 0
	for _, span := range s.spans {
		size += int(span.size)
	}
	return s.body[len(s.body)-size:]
}
