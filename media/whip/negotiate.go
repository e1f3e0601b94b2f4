package whip

import (
	"context"
	"net/http"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

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
	s.receiver.abuse = func() { s.end(EndAbused) }
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
