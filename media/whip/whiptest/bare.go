// Package whiptest holds the floor that benchmarks of package whip stand on.
package whiptest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// A Bare is the obvious receiver: Pion with its defaults on one UDP port, one
// ReadRTP loop per creator, nothing done with the packets. It answers WHIP as
// far as a publisher needs: POST begins, nothing but Close ends.
type Bare struct {
	api      *webrtc.API
	udp      *net.UDPConn
	mux      *ice.UDPMuxDefault
	received atomic.Int64

	mu    sync.Mutex
	peers []*webrtc.PeerConnection
}

var _ http.Handler = (*Bare)(nil)

// NewBare listens on a free UDP port of the loopback interface, with the
// receive buffer that a [whip.Server] asks for, so that only the work differs.
func NewBare() (*Bare, error) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	_ = udp.SetReadBuffer(4 << 20)
	b := &Bare{udp: udp, mux: ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: udp})}
	var settings webrtc.SettingEngine
	settings.SetICEUDPMux(b.mux)
	settings.SetIncludeLoopbackCandidate(true)
	b.api = webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	return b, nil
}

// Received is the number of RTP packets of all creators.
func (b *Bare) Received() int64 { return b.received.Load() }

// ServeHTTP takes an offer.
func (b *Bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		return
	}
	answer, err := b.answer(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Location", "session")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func (b *Bare) answer(body io.Reader) (string, error) {
	offer, err := io.ReadAll(io.LimitReader(body, 64<<10))
	if err != nil {
		return "", err
	}
	pc, err := b.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	b.peers = append(b.peers, pc)
	b.mu.Unlock()
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			if _, _, err := t.ReadRTP(); err != nil {
				return
			}
			b.received.Add(1)
		}
	})
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)}); err != nil {
		return "", err
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

// Close ends all sessions.
func (b *Bare) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, pc := range b.peers {
		errs = append(errs, pc.GracefulClose())
	}
	return errors.Join(append(errs, b.mux.Close())...)
}
