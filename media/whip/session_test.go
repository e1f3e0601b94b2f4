package whip_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
)

var loopback = net.IPv4(127, 0, 0, 1)

// A creator publishes in the background.
type creator struct {
	cancel context.CancelFunc
	done   chan struct{}
	stats  whip.PublishStats
	err    error
}

func publish(t testing.TB, url string, packets []media.Packet, client whip.ClientConfig, cfg whip.PublishConfig) *creator {
	t.Helper()
	if client.LocalIP == nil {
		client.LocalIP = loopback
	}
	c, err := whip.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &creator{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.stats, p.err = c.Publish(ctx, url, mediatest.Packets(packets...), cfg)
	}()
	t.Cleanup(func() { cancel(); <-p.done })
	return p
}

func TestStopByContext(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	p := publish(t, st.url, numbered(5000), whip.ClientConfig{}, whip.PublishConfig{Token: "me"})
	s := wait(t, "live", st.live)
	p.cancel()
	wait(t, "end", s.Done())
	<-p.done
	if p.err != nil || s.Reason() != whip.EndDeleted {
		t.Errorf("%v, ended because %q", p.err, s.Reason())
	}
	if st.Stats().Sessions != 0 {
		t.Error("a session is left")
	}
}

func TestVanishedCreator(t *testing.T) {
	t.Parallel()
	st := newStation(t, func(cfg *whip.Config) {
		cfg.NoticeAfter, cfg.EndAfter = time.Second, 2*time.Second
		cfg.Jitter = media.JitterConfig{}
	})
	link := newLink(t, st, mediatest.LinkConfig{Outages: []mediatest.Outage{{From: 2 * time.Second, To: time.Hour}}})
	publish(t, st.url, numbered(5000), whip.ClientConfig{}, through(link))
	s := wait(t, "live", st.live)
	wait(t, "end", s.Done())
	if s.Reason() != whip.EndVanished {
		t.Errorf("ended because %q", s.Reason())
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if want := []whip.State{whip.Live, whip.Stalled, whip.Ended}; !slices.Equal(st.states, want) {
		t.Errorf("states %v, want %v", st.states, want)
	}
	packets := st.received[s.ID()]
	if last := packets[len(packets)-1]; !last.Lost || media.Duration(last.End()) < 800*time.Millisecond {
		t.Errorf("time did not go on while nothing arrived: %+v", last)
	}
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	st := newStation(t, func(cfg *whip.Config) { cfg.NoticeAfter = 1500 * time.Millisecond })
	link := newLink(t, st, mediatest.LinkConfig{Outages: []mediatest.Outage{{From: 2 * time.Second, To: 5 * time.Second}}})
	publish(t, st.url, numbered(300), whip.ClientConfig{}, through(link))
	s := wait(t, "live", st.live)
	wait(t, "end", s.Done())
	if s.Reason() != whip.EndDeleted {
		t.Errorf("ended because %q", s.Reason())
	}
	st.mu.Lock()
	states := slices.Clone(st.states)
	st.mu.Unlock()
	if want := []whip.State{whip.Live, whip.Stalled, whip.Live, whip.Ended}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
	whole(t, trimmed(st.packets(s.ID())), 300)
}

// whole checks the law of media.Source: no hole, and what arrived is at the
// place where it was sent, counted from the first packet that arrived.
func whole(t *testing.T, got []media.Packet, sent int) (lost int) {
	t.Helper()
	next, first := int64(0), int64(-1)
	for _, p := range got {
		if p.PTS != next {
			t.Fatalf("packet at %d, want %d", p.PTS, next)
		}
		next = p.End()
		if p.Lost {
			lost++
			continue
		}
		n := int64(p.Data[4]) | int64(p.Data[3])<<8
		if first < 0 {
			first = n
		}
		if (n-first)*960 != p.PTS {
			t.Fatalf("packet %d at %d", n, p.PTS)
		}
	}
	end := int64(sent) - next/960 - first // of a lost packet nobody asks for when none follows
	if end < 0 || end > 5 {
		t.Errorf("%d samples of %d packets", next, sent)
	}
	return lost + int(end)
}

func TestSecondCreatorDoesNotDisturb(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	first := publish(t, st.url, numbered(60), whip.ClientConfig{}, whip.PublishConfig{Token: "me"})
	a := wait(t, "live", st.live)
	second := publish(t, st.url, numbered(20), whip.ClientConfig{}, whip.PublishConfig{Token: "me"})
	b := wait(t, "second live", st.live)
	if a.ID() == b.ID() {
		t.Fatal("one session for two creators")
	}
	<-first.done
	<-second.done
	for s, n := range map[*whip.Session]int{a: 60, b: 20} {
		wait(t, "end", s.Done())
		if lost := whole(t, trimmed(st.packets(s.ID())), n); lost > 0 || s.Reason() != whip.EndDeleted {
			t.Errorf("lost %d, ended because %q", lost, s.Reason())
		}
	}
}

// Many are answered while the transports of others start, and none is taken for
// another.
func TestCreatorsComeTogether(t *testing.T) {
	t.Parallel()
	const creators = 16
	st := newStation(t, nil)
	runs := make([]*creator, creators)
	for i := range runs {
		runs[i] = publish(t, st.url, numbered(20), whip.ClientConfig{}, whip.PublishConfig{Token: "me"})
	}
	for _, r := range runs {
		<-r.done
	}
	seen := map[string]bool{}
	for range creators {
		s := wait(t, "live", st.live)
		wait(t, "end", s.Done())
		if seen[s.ID()] || s.Reason() != whip.EndDeleted {
			t.Errorf("session %s ended because %q", s.ID(), s.Reason())
		}
		seen[s.ID()] = true
	}
}

func TestServerClose(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	p := publish(t, st.url, numbered(5000), whip.ClientConfig{}, whip.PublishConfig{})
	s := wait(t, "live", st.live)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("Close did not wait for the session")
	}
	if s.Reason() != whip.EndServer {
		t.Errorf("ended because %q", s.Reason())
	}
	<-p.done
	if p.err == nil {
		t.Error("the publisher was not told")
	}
	if response, _ := do(t, "POST", st.url, golden(t, "chromium_audio.sdp"), sdp); response.StatusCode != 503 {
		t.Errorf("a closed server says %s", response.Status)
	}
}

func TestCloseCancelsWhatHangs(t *testing.T) {
	t.Parallel()
	st := newStation(t, func(cfg *whip.Config) {
		cfg.CloseTimeout = 50 * time.Millisecond
		receive := cfg.OnPublish
		cfg.OnPublish = func(ctx context.Context, s *whip.Session) error {
			_ = receive(ctx, s)
			<-ctx.Done()
			return ctx.Err()
		}
	})
	publish(t, st.url, numbered(5000), whip.ClientConfig{}, whip.PublishConfig{})
	s := wait(t, "live", st.live)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if !errors.Is(s.Err(), context.Canceled) {
		t.Error(s.Err())
	}
}

func TestOnPublishEndsTheSession(t *testing.T) {
	t.Parallel()
	failed := errors.New("the disk is full")
	var session atomic.Pointer[whip.Session]
	st := newStation(t, func(cfg *whip.Config) {
		cfg.OnPublish = func(_ context.Context, s *whip.Session) error {
			session.Store(s)
			_, _ = s.ReadPacket()
			return failed
		}
	})
	p := publish(t, st.url, numbered(5000), whip.ClientConfig{}, whip.PublishConfig{})
	<-p.done
	s := session.Load()
	wait(t, "end", s.Done())
	if s.Reason() != whip.EndPublished || !errors.Is(s.Err(), failed) || p.err == nil {
		t.Errorf("ended because %q with %v; publisher: %v", s.Reason(), s.Err(), p.err)
	}
}

func TestEndedIsToldLast(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	var returned, early atomic.Bool
	told := make(chan struct{})
	st := newStation(t, func(cfg *whip.Config) {
		cfg.OnPublish = func(_ context.Context, s *whip.Session) error {
			_ = s.Close()
			close(closed)
			time.Sleep(50 * time.Millisecond)
			returned.Store(true)
			return nil
		}
		cfg.OnState = func(_ *whip.Session, state whip.State) {
			switch state {
			case whip.Live: // is still being told when the session ends
				<-closed
			case whip.Ended:
				early.Store(!returned.Load())
				close(told)
			}
		}
	})
	publish(t, st.url, numbered(5000), whip.ClientConfig{}, whip.PublishConfig{})
	wait(t, "the end", told)
	if early.Load() {
		t.Error("the end was told while OnPublish was at work")
	}
}

func TestUnusedOfferIsDropped(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	st := newStation(t, func(cfg *whip.Config) {
		cfg.ConnectTimeout = 500 * time.Millisecond
		cfg.MaxConnecting = 1
		cfg.Admit = func(*http.Request) (whip.Admission, error) {
			return whip.Admission{Release: func() { close(released) }}, nil
		}
	})
	offer := golden(t, "chromium_audio.sdp")
	if response, _ := do(t, "POST", st.url, offer, sdp); response.StatusCode != 201 {
		t.Fatal(response.Status)
	}
	s := st.Sessions()[0]
	if response, body := do(t, "POST", st.url, offer, sdp); response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s", response.Status, body)
	}
	wait(t, "end", s.Done())
	wait(t, "release", released)
	if s.Reason() != whip.EndUnused || st.Stats().Connecting != 0 {
		t.Errorf("ended because %q, %+v", s.Reason(), st.Stats())
	}
}

func TestRedirectedPublisher(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	front := httptest.NewServer(http.RedirectHandler(st.url, http.StatusTemporaryRedirect))
	defer front.Close()
	p := publish(t, front.URL+"/some/where", numbered(10), whip.ClientConfig{}, whip.PublishConfig{})
	s := wait(t, "live", st.live)
	wait(t, "end", s.Done())
	<-p.done
	if p.err != nil || p.stats.Session != st.url+"/"+s.ID() || s.Reason() != whip.EndDeleted {
		t.Errorf("%v, the session is at %s, ended because %q", p.err, p.stats.Session, s.Reason())
	}
}

func TestClientAsksSTUN(t *testing.T) {
	t.Parallel()
	stun, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stun.Close()
	go answerSTUN(stun)
	servers := []whip.ICEServer{{URLs: []string{"stun:" + stun.LocalAddr().String()}}}
	st := newStation(t, nil)
	var offered atomic.Value
	p := publish(t, st.url, numbered(10), whip.ClientConfig{ICEServers: servers}, whip.PublishConfig{
		Offer: func(sdp string) string { offered.Store(sdp); return sdp },
	})
	wait(t, "end", wait(t, "live", st.live).Done())
	<-p.done
	if sdp, _ := offered.Load().(string); p.err != nil || !strings.Contains(sdp, " 203.0.113.7 4711 typ srflx") {
		t.Errorf("%v, offered %s", p.err, sdp)
	}

	c, err := whip.NewClient(whip.ClientConfig{ICEServers: []whip.ICEServer{{URLs: []string{"http://example.net"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(t.Context(), st.url, mediatest.Packets(), whip.PublishConfig{}); err == nil {
		t.Error("a URL that is no ICE server's was taken")
	}
}

// answerSTUN tells everybody the same public address, 203.0.113.7:4711, in an
// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
func answerSTUN(conn net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		if n < 20 {
			continue
		}
		answer := append([]byte{1, 1, 0, 12}, b[4:20]...) // success, length, cookie and transaction
		answer = append(answer, 0, 0x20, 0, 8, 0, 1, 4711>>8^0x21, 4711&0xff^0x12, 203^0x21, 0^0x12, 113^0xa4, 7^0x42)
		_, _ = conn.WriteTo(answer, from)
	}
}

func TestLogOfNormalLives(t *testing.T) {
	t.Parallel()
	var text lockedBuffer
	st := newStation(t, func(cfg *whip.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&text, nil)) })
	for _, client := range []whip.ClientConfig{{}, {OnlyTCP: true}} {
		publish(t, st.url, numbered(10), client, whip.PublishConfig{})
		wait(t, "end", wait(t, "live", st.live).Done())
	}
	time.Sleep(100 * time.Millisecond) // for who writes to a closed connection
	for line := range strings.Lines(text.String()) {
		if !strings.Contains(line, `msg="session `) && !strings.Contains(line, "UDP receive buffer") {
			t.Errorf("logged %s", line)
		}
	}
}

// A lockedBuffer takes what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTCPFallback(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	publish(t, st.url, numbered(30), whip.ClientConfig{OnlyTCP: true}, whip.PublishConfig{})
	s := wait(t, "live", st.live)
	wait(t, "end", s.Done())
	if lost := whole(t, trimmed(st.packets(s.ID())), 30); lost > 0 || s.Reason() != whip.EndDeleted {
		t.Errorf("lost %d, ended because %q", lost, s.Reason())
	}
}

func TestLossIsAskedForAgain(t *testing.T) {
	t.Parallel()
	const n = 250
	st := newStation(t, nil)
	link := newLink(t, st, mediatest.LinkConfig{Seed: 7, Loss: 0.05, Reorder: 0.05, Duplicate: 0.05, Jitter: 20 * time.Millisecond, SpareSetup: true})
	cfg := through(link)
	cfg.Linger = time.Second
	publish(t, st.url, numbered(n), whip.ClientConfig{}, cfg)
	s := wait(t, "live", st.live)
	wait(t, "end", s.Done())
	lost := whole(t, trimmed(st.packets(s.ID())), n)
	t.Logf("link %+v; lost %d of %d; %+v", link.Stats(), lost, n, s.Stats())
	if int64(lost) > link.Stats().Lost/2 {
		t.Errorf("%d of %d packets are lost in the end, of %d in both directions", lost, n, link.Stats().Lost)
	}
}

func newLink(t *testing.T, st *station, cfg mediatest.LinkConfig) *mediatest.Link {
	t.Helper()
	link, err := mediatest.NewLink(st.Addr().String(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return link
}

func through(link *mediatest.Link) whip.PublishConfig {
	return whip.PublishConfig{Offer: link.Offer, Answer: link.Answer}
}

func TestRefusedPublisher(t *testing.T) {
	t.Parallel()
	st := newStation(t, func(cfg *whip.Config) { cfg.MaxSessions = 1 })
	publish(t, st.url, numbered(5000), whip.ClientConfig{}, whip.PublishConfig{})
	wait(t, "live", st.live)
	_, err := whip.Publish(t.Context(), st.url, mediatest.Packets(), whip.PublishConfig{})
	var refusal *whip.Refusal
	if !errors.As(err, &refusal) || refusal.Status != 503 || refusal.Code != "server-full" || refusal.RetryAfter != 10*time.Second || !strings.Contains(err.Error(), "503") {
		t.Errorf("%#v", err)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	publish(t, st.url, numbered(5000), whip.ClientConfig{}, whip.PublishConfig{})
	s := wait(t, "live", st.live)
	var stats whip.SessionStats
	for deadline := time.Now().Add(patience); (stats.RoundTrip == 0 || stats.Bitrate == 0) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		stats = s.Stats()
	}
	if stats.State != whip.Live || stats.SSRC == 0 || stats.RoundTrip <= 0 || stats.Bitrate == 0 || stats.Bytes != 105*stats.Received {
		t.Errorf("%+v", stats)
	}
	server := st.Server.Stats()
	if server.Sessions != 1 || server.Connecting != 0 || server.ReadBuffer == 0 || server.Dropped > 0 {
		t.Errorf("%+v", server)
	}
	t.Logf("%+v", server)
}
