package whip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/roadwave/roadwave/media"
)

// A PublishConfig says how one live is published.
type PublishConfig struct {
	// Token is sent as a bearer token. Default: none.
	Token string
	// Fast sends packets as soon as the source gives them instead of in real
	// time, for a source that is itself live.
	Fast bool
	// Stereo tells the server that the packets are stereo.
	Stereo bool
	// Linger is how long the end waits before DELETE, so that the last packets
	// are there first and what was lost can be sent again. Default 150 ms.
	Linger time.Duration
	// Connected is called when media can flow, with the session's URL.
	Connected func(session string)
	// Sent is called for every packet that was sent.
	Sent func(media.Packet)
	// Offer and Answer may rewrite the SDP on its way: a test puts a relay in
	// between like this.
	Offer, Answer func(sdp string) string
}

// PublishStats tell what was published.
type PublishStats struct {
	Packets  int           // sent
	Skipped  int           // marked Lost in the source: a hole in the timestamps, not sent
	Bytes    int64         // of Opus packets
	Connect  time.Duration // from the offer until media could flow
	Session  string        // URL of the session
	Duration time.Duration // of the audio, holes included
}

// Publish publishes one live with a client of its own that, unlike a zero
// [ClientConfig], reaches servers on this machine too; see [Client.Publish].
func Publish(ctx context.Context, endpoint string, src media.Source, cfg PublishConfig) (PublishStats, error) {
	c, err := NewClient(ClientConfig{Loopback: true})
	if err != nil {
		return PublishStats{}, err
	}
	return c.Publish(ctx, endpoint, src, cfg)
}

// Publish sends a source to a WHIP endpoint until the source ends, the context
// is done or the server hangs up, then deletes the session. RTP timestamps are
// the PTS (plus a random start), so what the source marks Lost is a hole the
// server sees. A context that is done once the session has begun is a way to
// stop, not an error.
func (c *Client) Publish(ctx context.Context, endpoint string, src media.Source, cfg PublishConfig) (PublishStats, error) {
	cfg.Linger = cmp.Or(cfg.Linger, 150*time.Millisecond)
	p := &publisher{client: c, cfg: cfg, failed: make(chan struct{}), connected: make(chan struct{})}
	defer func() { _ = src.Close() }()
	if err := p.open(); err != nil {
		return p.stats, err
	}
	err := p.run(ctx, endpoint, src)
	return p.stats, errors.Join(err, p.pc.GracefulClose())
}

type publisher struct {
	client    *Client
	cfg       PublishConfig
	pc        *webrtc.PeerConnection
	track     *webrtc.TrackLocalStaticRTP
	connected chan struct{}
	failed    chan struct{}
	stats     PublishStats
}

func (p *publisher) open() error {
	pc, err := p.client.api.NewPeerConnection(webrtc.Configuration{
		Certificates: []webrtc.Certificate{p.client.certificate}, ICEServers: pionServers(p.client.cfg.ICEServers, false),
	})
	if err != nil {
		return err
	}
	p.pc = pc
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			closeOnce(p.connected)
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			closeOnce(p.failed)
		}
	})
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	if p.track, err = webrtc.NewTrackLocalStaticRTP(codec, "audio", "roadwave"); err != nil {
		return errors.Join(err, pc.Close())
	}
	sender, err := pc.AddTransceiverFromTrack(p.track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return errors.Join(err, pc.Close())
	}
	go func() { // the NACK responder works while somebody reads
		b := make([]byte, 1500)
		for {
			if _, _, err := sender.Sender().Read(b); err != nil {
				return
			}
		}
	}()
	return nil
}

// closeOnce closes a channel; connection states are told one after another.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (p *publisher) run(ctx context.Context, endpoint string, src media.Source) (err error) {
	begin := time.Now()
	offer, err := p.offer(ctx)
	if err != nil {
		return err
	}
	answer, err := p.post(ctx, endpoint, offer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.delete()) }()
	if p.cfg.Answer != nil {
		answer = p.cfg.Answer(answer)
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return fmt.Errorf("whip: the server's answer cannot be used: %w", err)
	}
	select {
	case <-p.connected:
	case <-p.failed:
		return fmt.Errorf("whip: no connection to %s: its media port cannot be reached", endpoint)
	case <-ctx.Done():
		return nil
	}
	p.stats.Connect = time.Since(begin)
	if p.cfg.Connected != nil {
		p.cfg.Connected(p.stats.Session)
	}
	return p.send(ctx, src)
}

// offer gathers all candidates first: the answer's come all at once as well.
func (p *publisher) offer(ctx context.Context) (string, error) {
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		return "", err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	text := p.pc.LocalDescription().SDP
	if p.cfg.Stereo {
		text = strings.ReplaceAll(text, "useinbandfec=1", "useinbandfec=1;stereo=1;sprop-stereo=1")
	}
	if p.cfg.Offer != nil {
		text = p.cfg.Offer(text)
	}
	return text, nil
}

// send paces the packets by their PTS.
func (p *publisher) send(ctx context.Context, src media.Source) error {
	stop := context.AfterFunc(ctx, func() { _ = src.Close() })
	defer stop()
	base := rand.Uint32()
	packet := rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, SequenceNumber: uint16(rand.Uint32())}}
	clock := newPacer(p.cfg.Fast)
	for {
		m, err := src.ReadPacket()
		if errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil {
			p.sleep(context.WithoutCancel(ctx), p.cfg.Linger)
			return nil
		}
		if err != nil {
			return err
		}
		p.stats.Duration = media.Duration(m.End())
		if m.Lost {
			p.stats.Skipped++
			continue
		}
		p.sleep(ctx, clock.until(m.PTS))
		select {
		case <-ctx.Done():
			return nil
		case <-p.failed:
			return errors.New("whip: the server hung up")
		default:
		}
		packet.SequenceNumber++
		packet.Timestamp = base + uint32(m.PTS)
		packet.Payload = m.Data
		if err := p.track.WriteRTP(&packet); err != nil {
			return fmt.Errorf("whip: send: %w", err)
		}
		packet.Marker = false
		p.stats.Packets++
		p.stats.Bytes += int64(len(m.Data))
		if p.cfg.Sent != nil {
			p.cfg.Sent(m)
		}
	}
}

func (p *publisher) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-p.failed:
	}
}

// A pacer lets packets go when their time has come, counted from the first.
type pacer struct {
	fast  bool
	begun bool
	start time.Time
	first int64
}

func newPacer(fast bool) *pacer { return &pacer{fast: fast} }

func (c *pacer) until(pts int64) time.Duration {
	if c.fast {
		return 0
	}
	if !c.begun {
		c.begun, c.start, c.first = true, time.Now(), pts
	}
	return time.Until(c.start.Add(media.Duration(pts - c.first)))
}
