package whip

import (
	"context"
	"fmt"
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
	local := s.pc.LocalDescription()
	ufrag, err = localUfrag(local)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.etag = `"` + ufrag + `"`
	s.mu.Unlock()
	return local.SDP, nil
}

// localUfrag is read from the answer: the transport, which could be asked too,
// may be starting already, and answers without a lock.
func localUfrag(answer *webrtc.SessionDescription) (string, error) {
	parsed, err := answer.Unmarshal()
	if err != nil {
		return "", fmt.Errorf("whip: Pion's answer: %w", err)
	}
	for _, m := range parsed.MediaDescriptions {
		if ufrag, ok := m.Attribute("ice-ufrag"); ok {
			return ufrag, nil
		}
	}
	return "", unprocessable("offer-refused", "the offer cannot be answered: it leaves no section to receive")
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
