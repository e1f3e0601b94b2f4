package whip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// A Server takes WHIP creators. It is an [http.Handler] for Config.Path and
// everything under it.
type Server struct {
	cfg      Config
	settings webrtc.SettingEngine
	codecs   *webrtc.MediaEngine
	peers    webrtc.Configuration
	udp      *net.UDPConn
	udpMux   *ice.UDPMuxDefault
	tcpMux   *ice.TCPMuxDefault
	context  context.Context // of every OnPublish
	cancel   context.CancelFunc
	close    func() error

	mu         sync.Mutex
	sessions   map[string]*Session
	connecting int
	closed     bool
	running    sync.WaitGroup // sessions that are not over
}

// NewServer opens the UDP port (and the TCP one) and is ready when it returns.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	hosts, err := resolve(cfg.PublicHosts)
	if err != nil {
		return nil, err
	}
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, sessions: map[string]*Session{}, codecs: &webrtc.MediaEngine{}}
	s.context, s.cancel = context.WithCancel(context.Background())
	s.close = sync.OnceValue(s.shutDown)
	s.peers = webrtc.Configuration{Certificates: []webrtc.Certificate{certificate}, ICEServers: pionServers(cfg.ICEServers, len(hosts) > 0)}
	if err := registerOpus(s.codecs); err != nil {
		return nil, err
	}
	tcp, err := s.listen()
	if err != nil {
		return nil, err
	}
	if err := s.configure(hosts, tcp); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// registerOpus is all that is negotiated: no header extensions, so no
// transport-cc, which browsers answer with padding up to 320 kbit/s on audio.
func registerOpus(m *webrtc.MediaEngine) error {
	return m.RegisterCodec(webrtc.RTPCodecParameters{
		PayloadType: 111,
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}},
		},
	}, webrtc.RTPCodecTypeAudio)
}

// pionServers leaves STUN out when our public address is known.
func pionServers(servers []ICEServer, known bool) []webrtc.ICEServer {
	var list []webrtc.ICEServer
	for _, server := range servers {
		urls := slices.Clone(server.URLs)
		if known {
			urls = slices.DeleteFunc(urls, func(u string) bool { return strings.HasPrefix(u, "stun") })
		}
		if len(urls) > 0 {
			list = append(list, webrtc.ICEServer{URLs: urls, Username: server.Username, Credential: server.Credential})
		}
	}
	return list
}

// listen opens the UDP port and the same one over TCP. Where any port will do,
// it takes one that is free for both.
func (s *Server) listen() (tcp *net.TCPListener, err error) {
	address, err := net.ResolveUDPAddr("udp", s.cfg.UDPAddress)
	if err != nil {
		return nil, fmt.Errorf("whip: UDP address %q: %w", s.cfg.UDPAddress, err)
	}
	for range 20 {
		if s.udp, err = net.ListenUDP("udp", address); err != nil {
			return nil, fmt.Errorf("whip: media port: %w (another program may have it; set UDPAddress)", err)
		}
		if s.cfg.DisableTCP {
			break
		}
		local := s.Addr()
		if tcp, err = net.ListenTCP("tcp", &net.TCPAddr{IP: local.IP, Port: local.Port, Zone: local.Zone}); err == nil {
			break
		}
		err = errors.Join(fmt.Errorf("whip: media port over TCP: %w (DisableTCP does without)", err), s.udp.Close())
		if address.Port != 0 {
			break
		}
	}
	if err == nil {
		s.growReadBuffer()
	}
	return tcp, err
}

func (s *Server) growReadBuffer() {
	if err := growReadBuffer(s.udp, s.cfg.ReadBuffer); err != nil {
		s.cfg.Logger.Warn("UDP receive buffer stays at the system's default", "err", err)
	}
	if size, _, ok := socketMemory(s.udp); ok && size < s.cfg.ReadBuffer {
		s.cfg.Logger.Warn("the kernel gave a smaller UDP receive buffer than asked for; raise net.core.rmem_max, or packets of busy hours are lost",
			"asked", s.cfg.ReadBuffer, "given", size)
	}
}

// configure sets Pion up; what every session pays for is chosen here.
func (s *Server) configure(hosts []string, tcp *net.TCPListener) error {
	logs := pionLogs{s.cfg.Logger}
	e := &s.settings
	e.LoggerFactory = logs
	s.udpMux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: s.udp, Logger: logs.NewLogger("udp")})
	e.SetICEUDPMux(s.udpMux)
	networks := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
	if tcp != nil {
		s.tcpMux = ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Listener: limitListener(tcp, 2*s.cfg.MaxSessions), Logger: logs.NewLogger("tcp"),
			ReadBufferSize: 16, WriteBufferSize: 1 << 16, FirstStunBindTimeout: 5 * time.Second, AliveDurationForConnFromStun: 5 * time.Second,
		})
		e.SetICETCPMux(s.tcpMux)
		networks = append(networks, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	e.SetNetworkTypes(networks)
	e.SetIncludeLoopbackCandidate(s.cfg.Loopback)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.DisableActiveTCP(true) // an offer must not make us dial
	e.SetFireOnTrackBeforeFirstRTP(true)
	e.SetICETimeouts(5*time.Second, max(s.cfg.EndAfter, s.cfg.ConnectTimeout), 2*time.Second)
	e.SetSTUNGatherTimeout(2 * time.Second)
	if len(hosts) == 0 {
		return nil
	}
	rules := []webrtc.ICEAddressRewriteRule{{External: hosts, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace}}
	if s.cfg.Loopback {
		for _, loopback := range []string{"127.0.0.1", "::1"} {
			rules = append(rules, webrtc.ICEAddressRewriteRule{External: []string{loopback}, Local: loopback, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace})
		}
	}
	if err := e.SetICEAddressRewriteRules(rules...); err != nil {
		return fmt.Errorf("whip: public hosts: %w", err)
	}
	return nil
}

// Addr is the local UDP address of all sessions.
func (s *Server) Addr() *net.UDPAddr { return s.udp.LocalAddr().(*net.UDPAddr) }

// Session finds a session in progress.
func (s *Server) Session(id string) (*Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, ok := s.sessions[id]
	return session, ok
}

// Sessions lists the sessions in progress, oldest first.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	list := make([]*Session, 0, len(s.sessions))
	for _, session := range s.sessions {
		list = append(list, session)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *Session) int { return a.created.Compare(b.created) })
	return list
}

// ServerStats describe a server now.
type ServerStats struct {
	Sessions   int // in progress, connecting ones included
	Connecting int // answered, but without media yet
	// ReadBuffer is the size of the UDP receive buffer in bytes, and Dropped
	// the datagrams that found it full since the start; both -1 where the
	// system does not tell (it does on Linux).
	ReadBuffer int
	Dropped    int64
}

// Stats tells how the server is doing.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	stats := ServerStats{Sessions: len(s.sessions), Connecting: s.connecting, ReadBuffer: -1, Dropped: -1}
	s.mu.Unlock()
	if size, drops, ok := socketMemory(s.udp); ok {
		stats.ReadBuffer, stats.Dropped = size, drops
	}
	return stats
}

// room tells whether another session may begin.
func (s *Server) room() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked()
}

func (s *Server) roomLocked() error {
	full := func(what string) error {
		return &Refusal{Status: http.StatusServiceUnavailable, Code: "server-full", Detail: what, RetryAfter: 10 * time.Second}
	}
	switch {
	case s.closed:
		return full("the server is shutting down")
	case len(s.sessions) >= s.cfg.MaxSessions:
		return full("the server carries as many sessions as it may")
	case s.connecting >= s.cfg.MaxConnecting:
		return full("too many creators are connecting at this moment")
	}
	return nil
}

// add makes a session findable and gives it its connection.
func (s *Server) add(session *Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomLocked(); err != nil {
		return err
	}
	if _, taken := s.sessions[session.id]; taken {
		return refuse(http.StatusConflict, "session-exists", "a session with this ID is in progress")
	}
	if err := session.connect(); err != nil {
		return err
	}
	session.watch = time.AfterFunc(s.cfg.ConnectTimeout, session.check)
	s.sessions[session.id] = session
	s.connecting++
	s.running.Add(1)
	return nil
}

// connected moves a session out of the bound of those that connect.
func (s *Server) connected() {
	s.mu.Lock()
	s.connecting--
	s.mu.Unlock()
}

func (s *Server) remove(session *Session) {
	s.mu.Lock()
	delete(s.sessions, session.id)
	s.mu.Unlock()
}

// Close ends all sessions, waits for every OnPublish and frees the ports.
func (s *Server) Close() error { return s.close() }

func (s *Server) shutDown() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, session := range s.Sessions() {
		session.end(EndServer)
	}
	late := time.AfterFunc(s.cfg.CloseTimeout, s.cancel)
	s.running.Wait()
	late.Stop()
	s.cancel()
	var errs []error
	if s.tcpMux != nil {
		errs = append(errs, s.tcpMux.Close())
	}
	if s.udpMux != nil {
		errs = append(errs, s.udpMux.Close())
	}
	if err := s.udp.Close(); !errors.Is(err, net.ErrClosed) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
