package whip

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/roadwave/roadwave/media"
)

// A State is where a session stands.
type State int32

// The states of a session, in the order in which they first come.
const (
	Connecting State = iota // the offer was answered, no media yet
	Live                    // media arrives
	Stalled                 // no media for Config.NoticeAfter: a tunnel, perhaps
	Ended
)

func (s State) String() string {
	return [...]string{"connecting", "live", "stalled", "ended"}[s]
}

// An EndReason says why a session ended.
type EndReason string

// The reasons for which a session ends.
const (
	EndDeleted   EndReason = "deleted"   // the creator sent DELETE
	EndClosed    EndReason = "closed"    // the creator closed the connection
	EndVanished  EndReason = "vanished"  // no media for Config.EndAfter
	EndUnused    EndReason = "unused"    // no media ever came
	EndAbused    EndReason = "abused"    // the creator sent dozens of streams (SSRCs)
	EndServer    EndReason = "server"    // Server.Close
	EndPublished EndReason = "published" // OnPublish returned, or Close was called
)

// A Session is one creator's live. It is a [media.Source]: ReadPacket may be
// called from one goroutine, everything else from any.
type Session struct {
	id        string
	value     any
	query     url.Values
	header    http.Header
	created   time.Time
	server    *Server
	pc        *webrtc.PeerConnection
	receiver  *receiver
	release   func()
	published chan struct{} // closed when OnPublish returned
	done      chan struct{}

	negotiation sync.Mutex // one PATCH at a time
	offer       *offer
	version     uint64
	remoteUfrag string
	candidates  int

	mu      sync.Mutex
	state   State
	reason  EndReason
	err     error
	etag    string
	running bool // OnPublish was started
	watch   *time.Timer
	rtt     time.Duration
	turns   []State // changes that OnState was not told about yet
	telling bool
}

var _ media.Source = (*Session)(nil)

// ID names the session; it is the last part of its URL.
func (s *Session) ID() string { return s.id }

// Value is what [Admission].Value was.
func (s *Session) Value() any { return s.value }

// Query is the query of the URL that the offer was sent to.
func (s *Session) Query() url.Values { return s.query }

// Header is the header of the request that brought the offer. It must not be
// changed.
func (s *Session) Header() http.Header { return s.header }

// ReadPacket gives the next packet; see [media.Source]. While nothing arrives it
// gives fillers in real time, until the session ends; then what was held back,
// then [io.EOF]. A live whose creator vanished therefore ends with fillers for
// as long as Config.EndAfter.
func (s *Session) ReadPacket() (media.Packet, error) { return s.receiver.next() }

// Close ends the session. It does not wait; see [Session.Done].
func (s *Session) Close() error {
	s.end(EndPublished)
	return nil
}

// Done is closed when the session is over: the connection closed, OnPublish
// returned, everything released.
func (s *Session) Done() <-chan struct{} { return s.done }

// State tells where the session stands.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Reason says why the session ended, "" before it did.
func (s *Session) Reason() EndReason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Err is what OnPublish returned, after Done.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// SessionStats describe a session so far.
type SessionStats struct {
	media.JitterStats
	State     State
	SSRC      uint32
	Bytes     int64         // of Opus packets
	Empty     int64         // packets without a payload: padding, dropped
	Bitrate   int64         // of Opus packets over about the last second, bits per second
	RoundTrip time.Duration // 0 while unknown
	Silence   time.Duration // since the newest packet, or since the offer
}

// Stats gives the counts so far.
func (s *Session) Stats() SessionStats {
	s.mu.Lock()
	stats := SessionStats{State: s.state, RoundTrip: s.rtt}
	s.mu.Unlock()
	r := s.receiver
	stats.Silence = r.silence(time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	stats.JitterStats = r.jitter.Stats()
	stats.SSRC, stats.Bytes, stats.Empty, stats.Bitrate = r.ssrc, r.bytes, r.empty, r.rate
	return stats
}
