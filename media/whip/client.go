package whip

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/webrtc/v4"
)

// A ClientConfig says how a [Client] works. The zero value is ready.
type ClientConfig struct {
	// UDPAddress is the one local UDP address of all publishers. Default ":0".
	UDPAddress string
	// Loopback offers loopback addresses: to servers on this machine.
	Loopback bool
	// TCP connects to the server's TCP candidates too.
	TCP bool
	// HTTP makes the requests. Default [http.DefaultClient].
	HTTP *http.Client
	// Logger gets what happens. Default: nothing.
	Logger *slog.Logger
}

// A Client publishes lives to WHIP servers. Any number of them share its UDP
// port, so one process can play hundreds of creators.
type Client struct {
	cfg         ClientConfig
	api         *webrtc.API
	certificate webrtc.Certificate
	udp         *net.UDPConn
	mux         *ice.UDPMuxDefault
}

// NewClient opens the UDP port.
func NewClient(cfg ClientConfig) (*Client, error) {
	setDefault(&cfg.UDPAddress, ":0")
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("whip: make a certificate: %w", err)
	}
	certificate, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("whip: make a certificate: %w", err)
	}
	address, err := net.ResolveUDPAddr("udp", cfg.UDPAddress)
	if err != nil {
		return nil, fmt.Errorf("whip: UDP address %q: %w", cfg.UDPAddress, err)
	}
	udp, err := net.ListenUDP("udp", address)
	if err != nil {
		return nil, fmt.Errorf("whip: client port: %w", err)
	}
	_ = growReadBuffer(udp, 1<<20)
	logs := pionLogs{cfg.Logger}
	c := &Client{cfg: cfg, certificate: *certificate, udp: udp}
	c.mux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: udp, Logger: logs.NewLogger("udp")})
	c.api, err = c.newAPI(logs)
	return c, err
}

func (c *Client) newAPI(logs pionLogs) (*webrtc.API, error) {
	var e webrtc.SettingEngine
	e.LoggerFactory = logs
	e.SetICEUDPMux(c.mux)
	e.SetIncludeLoopbackCandidate(c.cfg.Loopback)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	networks := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
	if c.cfg.TCP {
		networks = append(networks, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	e.SetNetworkTypes(networks)
	codecs := &webrtc.MediaEngine{}
	if err := registerOpus(codecs); err != nil {
		return nil, err
	}
	// What the server asks for again is sent again, and it gets sender reports.
	responder, err := nack.NewResponderInterceptor(nack.ResponderSize(256), nack.WithResponderLoggerFactory(logs))
	if err != nil {
		return nil, err
	}
	reports, err := report.NewSenderInterceptor(report.WithSenderLoggerFactory(logs))
	if err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	registry.Add(responder)
	registry.Add(reports)
	return webrtc.NewAPI(webrtc.WithSettingEngine(e), webrtc.WithMediaEngine(codecs), webrtc.WithInterceptorRegistry(registry)), nil
}

// Close frees the UDP port. Publishers still running lose their connection.
func (c *Client) Close() error {
	return c.mux.Close()
}
