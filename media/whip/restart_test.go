package whip_test

import (
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/roadwave/roadwave/media/whip"
)

// A phone is a bare Pion peer that trickles and restarts ICE as a browser on
// the move does.
type phone struct {
	t       *testing.T
	pc      *webrtc.PeerConnection
	track   *webrtc.TrackLocalStaticRTP
	session string
	etag    string
	answer  string
	sent    uint16
}

func newPhone(t *testing.T) *phone {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.Equal(loopback) })
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.GracefulClose() })
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "phone")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(track); err != nil { // sendrecv, as the lazy do
		t.Fatal(err)
	}
	return &phone{t: t, pc: pc, track: track}
}

func (p *phone) offer(options *webrtc.OfferOptions) string {
	p.t.Helper()
	offer, err := p.pc.CreateOffer(options)
	if err != nil {
		p.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		p.t.Fatal(err)
	}
	wait(p.t, "gathering", gathered)
	return p.pc.LocalDescription().SDP
}

func (p *phone) accept(answer string) {
	p.t.Helper()
	p.answer = answer
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		p.t.Fatal(err)
	}
}

var iceLine = regexp.MustCompile(`(?m)^a=(ice-ufrag|ice-pwd|candidate|mid):.*\r\n`)

// fragmentOf is the ICE part of an offer.
func fragmentOf(offer string) string { return strings.Join(iceLine.FindAllString(offer, -1), "") }

func (p *phone) patch(ifMatch, body string) (*http.Response, string) {
	p.t.Helper()
	return do(p.t, "PATCH", p.session, body, fragment, "If-Match: "+ifMatch)
}

// talk sends until the session has n more packets than it had.
func (p *phone) talk(s *whip.Session, n int64) {
	p.t.Helper()
	have := s.Stats().Received
	for deadline := time.Now().Add(patience); s.Stats().Received < have+n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no media: %+v", s.Stats())
		}
		p.say()
	}
}

func (p *phone) say() {
	p.sent++
	_ = p.track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: p.sent, Timestamp: uint32(p.sent) * 960}, Payload: numbered(1)[0].Data})
}

func TestTrickleAndRestart(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	p := newPhone(t)
	offer := p.offer(nil)
	response, answer := do(t, "POST", st.url, without(offer, "a=candidate", "a=end-of-candidates"), sdp)
	if response.StatusCode != 201 {
		t.Fatal(response.Status, answer)
	}
	p.session, p.etag = strings.TrimSuffix(st.url, "/whip")+response.Header.Get("Location"), response.Header.Get("ETag")
	// Without its candidates the phone could still be found by its own checks;
	// take the server's away, so that the trickled ones are needed.
	p.accept(without(answer, "a=candidate", "a=end-of-candidates"))
	if response, body := p.patch(p.etag, fragmentOf(offer)); response.StatusCode != 204 {
		t.Fatal(response.Status, body)
	}
	s := p.begin(st)
	p.talk(s, 20)

	before := p.etag
	restarted := p.offer(&webrtc.OfferOptions{ICERestart: true})
	if response, body := p.patch(before, fragmentOf(restarted)); response.StatusCode != 422 {
		t.Errorf("candidates that overtook their restart: %s %s", response.Status, body)
	}
	response, body := p.patch("*", fragmentOf(restarted))
	if response.StatusCode != 200 || response.Header.Get("ETag") == before || response.Header.Get("ETag") == "" {
		t.Fatal(response.Status, response.Header, body)
	}
	p.accept(without(p.answer, "a=ice-ufrag", "a=ice-pwd") + strings.Join(iceLine.FindAllString(without(body, "a=mid"), -1), ""))
	p.talk(s, 20)
	if stats := s.Stats(); stats.Rebased > 0 {
		t.Errorf("the timeline broke: %+v", stats)
	}
	if response, _ := p.patch(before, fragmentOf(restarted)); response.StatusCode != 412 {
		t.Errorf("the old ETag is answered %s", response.Status)
	}
	if response, _ := do(t, "DELETE", p.session, ""); response.StatusCode != 200 {
		t.Error(response.Status)
	}
	wait(t, "end", s.Done())
}

// begin talks until the session is live.
func (p *phone) begin(st *station) *whip.Session {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case s := <-st.live:
			return s
		default:
			p.say()
		}
	}
	p.t.Fatal("no live")
	return nil
}

func TestClosedConnection(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	p := newPhone(t)
	_, answer := do(t, "POST", st.url, without(p.offer(nil), "a=group", "a=ssrc", "a=msid"), sdp)
	p.accept(answer)
	s := p.begin(st)
	p.talk(s, 5)
	if err := p.pc.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, "end", s.Done())
	if s.Reason() != whip.EndClosed {
		t.Errorf("ended because %q", s.Reason())
	}
}

func TestManyStreamsEndTheSession(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	p := newPhone(t)
	_, answer := do(t, "POST", st.url, p.offer(nil), sdp)
	p.accept(answer)
	s := p.begin(st)
	for ssrc := range uint32(200) {
		if err := p.pc.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{SSRC: 1000 + ssrc}}); err != nil {
			break // it hung up
		}
	}
	wait(t, "end", s.Done())
	if s.Reason() != whip.EndAbused {
		t.Errorf("ended because %q", s.Reason())
	}
}
