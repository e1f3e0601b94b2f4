package media

// A sequencer extends the 16-bit sequence numbers and 32-bit timestamps of one
// RTP stream so that they never wrap (RFC 3550 §A.1).
type sequencer struct {
	started bool
	ssrc    uint32
	highest int64  // extended sequence number of the newest packet
	nextTS  int64  // extended timestamp right after it
	recent  uint64 // which of the 64 numbers up to highest arrived, bit 0 = highest
	missing int64  // numbers that have not arrived
}

// order is where a packet stands in its stream.
type order int

const (
	orderNewest order = iota
	orderOld
	orderRestart
)

// misorderMax is how many packets old a packet may be; beyond that the sender
// has restarted its numbering (RFC 3550 §A.1, MAX_MISORDER).
const misorderMax = 100

// noSequence marks an arrival whose stream was replaced.
const noSequence = -1 << 62

func (s *sequencer) extend(p RTP) (seq, ts int64, o order) {
	if !s.started {
		s.ssrc = p.SSRC
		return int64(p.Sequence), int64(p.Timestamp), orderNewest
	}
	ahead := int64(int16(p.Sequence - uint16(s.highest)))
	seq = s.highest + ahead
	ts = s.nextTS + int64(int32(p.Timestamp-uint32(s.nextTS)))
	switch {
	case ahead > 0:
		return seq, ts, orderNewest
	case ahead > -misorderMax:
		return seq, ts, orderOld
	default:
		return seq, ts, orderRestart
	}
}

func (s *sequencer) begin(a arrival) {
	s.started = true
	s.highest = a.seq - 1
	s.nextTS = a.ts
	s.recent = ^uint64(0) // what came before the first packet is not waited for
}

// advance notes the newest packet.
func (s *sequencer) advance(seq, nextTS int64) {
	s.recent = s.recent<<min(seq-s.highest, 64) | 1
	s.highest, s.nextTS = seq, nextTS
}

func (s *sequencer) seen(seq int64) bool {
	age := s.highest - seq
	return age < 64 && s.recent>>age&1 == 1
}

func (s *sequencer) mark(seq int64) {
	if age := s.highest - seq; age < 64 {
		s.recent |= 1 << age
	}
}
