package media

// RTP is what the timeline needs of one RTP packet (RFC 3550 §5.1). The
// payload of Opus over RTP is one Opus packet (RFC 7587 §4.2).
type RTP struct {
	SSRC      uint32
	Sequence  uint16
	Timestamp uint32 // 48 kHz, wraps every 24.8 hours
	Payload   []byte
}
