package whip

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
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
	remote    string
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

// RemoteAddr is the address that request came from.
func (s *Session) RemoteAddr() string { return s.remote }

// Created is when the offer was admitted.
func (s *Session) Created() time.Time { return s.created }

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

// connect makes the peer connection of an admitted offer. It is quick: nothing
// is gathered or sent yet.
func (s *Session) connect() error {
	settings := s.server.settings
	settings.BufferFactory = s.receiver.buffer
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(s.server.codecs),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(s.server.peers)
	if err != nil {
		return err
	}
	s.pc = pc
	s.receiver.onRTP = s.received
	s.receiver.send = func(p rtcp.Packet) { _ = pc.WriteRTCP([]rtcp.Packet{p}) }
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
			s.end(EndClosed)
		}
	})
	return nil
}

// negotiate answers the offer, or the same offer with other ICE credentials,
// and returns Pion's answer with all its candidates.
func (s *Session) negotiate(ctx context.Context, ufrag, pwd string) (string, error) {
	s.version++
	text, err := s.offer.forPion(ufrag, pwd, s.version)
	if err != nil {
		return "", err
	}
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: text}); err != nil {
		return "", unprocessable("offer-refused", "the offer cannot be used: %v", err)
	}
	s.remoteUfrag, s.candidates = ufrag, 0
	answer, err := s.pc.CreateAnswer(nil)
	if err != nil {
		return "", unprocessable("offer-refused", "the offer cannot be answered: %v", err)
	}
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(answer); err != nil {
		return "", unprocessable("offer-refused", "the offer cannot be answered: %v", err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	parameters, err := s.pc.SCTP().Transport().ICETransport().GetLocalParameters()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.etag = `"` + parameters.UsernameFragment + `"`
	s.mu.Unlock()
	return s.pc.LocalDescription().SDP, nil
}

// entityTag names the present ICE session (RFC 9725 §4.3.1).
func (s *Session) entityTag() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.etag
}

// trickle adds candidates that came later.
func (s *Session) trickle(candidates []string) error {
	for _, c := range candidates {
		if s.candidates++; s.candidates > maxCandidates {
			return nil
		}
		if err := s.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: c}); err != nil {
			return refuse(http.StatusBadRequest, "fragment-malformed", "a candidate cannot be read: %v", err)
		}
	}
	return nil
}

// received runs after every packet: the first one begins the live, and the one
// after a pause ends the pause.
func (s *Session) received() {
	s.mu.Lock()
	switch s.state {
	case Connecting:
		s.running = true
		s.turn(Live)
		s.server.connected()
		go s.publish()
	case Stalled:
		s.turn(Live)
	default:
		s.mu.Unlock()
		return
	}
	s.watch.Reset(min(s.server.cfg.NoticeAfter, watchEvery))
	s.mu.Unlock()
	s.tell()
}

func (s *Session) publish() {
	defer close(s.published)
	s.measure() // a loss in the first second waits for the right time already
	err := s.server.cfg.OnPublish(s.server.context, s)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.end(EndPublished)
}

// turn changes the state; the caller holds mu and calls tell after it let go.
func (s *Session) turn(state State) {
	s.state = state
	s.turns = append(s.turns, state)
}

// tell reports changes of state, in order, from one goroutine at a time.
func (s *Session) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.telling {
		return
	}
	s.telling = true
	for len(s.turns) > 0 {
		state := s.turns[0]
		s.turns = s.turns[1:]
		s.mu.Unlock()
		s.server.cfg.Logger.Info("session "+state.String(), "session", s.id, "reason", string(s.Reason()))
		s.server.cfg.OnState(s, state)
		s.mu.Lock()
	}
	s.telling = false
}

// watchEvery is how often the round trip is looked at.
const watchEvery = 2 * time.Second

// check is called by the watch timer: it looks how long the creator has been
// silent and sets the timer to when that matters next.
func (s *Session) check() {
	cfg := &s.server.cfg
	silence := s.receiver.silence(time.Now())
	s.measure()
	s.mu.Lock()
	switch {
	case s.state == Ended:
		s.mu.Unlock()
		return
	case s.state == Connecting:
		s.mu.Unlock()
		s.end(EndUnused)
		return
	case silence >= cfg.EndAfter:
		s.mu.Unlock()
		s.end(EndVanished)
		return
	case silence >= cfg.NoticeAfter:
		if s.state == Live {
			s.turn(Stalled)
		}
		s.watch.Reset(min(cfg.EndAfter-silence, watchEvery))
	default:
		s.watch.Reset(min(cfg.NoticeAfter-silence, watchEvery))
	}
	s.mu.Unlock()
	s.tell()
}

// measure takes the round trip from ICE's consent checks (RFC 7675), so that
// the jitter buffer waits long enough for a packet that is asked for again.
func (s *Session) measure() {
	stats, ok := s.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
	rtt := time.Duration(stats.CurrentRoundTripTime * float64(time.Second))
	if !ok || rtt <= 0 {
		return
	}
	s.mu.Lock()
	s.rtt = rtt
	s.mu.Unlock()
	s.receiver.mu.Lock()
	s.receiver.jitter.SetRoundTrip(rtt)
	s.receiver.mu.Unlock()
}

// end ends the session once; what follows happens in the background.
func (s *Session) end(reason EndReason) {
	s.mu.Lock()
	if s.state == Ended {
		s.mu.Unlock()
		return
	}
	if s.state == Connecting {
		s.server.connected()
	}
	s.reason = reason
	s.turn(Ended)
	running := s.running
	s.watch.Stop()
	s.mu.Unlock()
	s.server.remove(s)
	s.receiver.finish()
	go s.hangUp(running)
}

// hangUp closes the connection, waits for OnPublish and lets everything go.
func (s *Session) hangUp(running bool) {
	defer s.server.running.Done()
	if err := s.pc.GracefulClose(); err != nil {
		s.server.cfg.Logger.Debug("close peer connection", "session", s.id, "error", err)
	}
	if running {
		<-s.published
	}
	if err := s.Err(); err != nil && !errors.Is(err, context.Canceled) {
		s.server.cfg.Logger.Error("OnPublish failed", "session", s.id, "error", err)
	}
	if s.release != nil {
		s.release()
	}
	close(s.done)
	s.tell()
}
