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
	// LocalIP is the one local address to send from. Default: all of them are
	// tried, loopback ones only when Loopback is set.
	LocalIP net.IP
	// Loopback offers loopback addresses, for servers on this machine. It is
	// on by itself when LocalIP is one.
	Loopback bool
	// OnlyTCP connects to the server's TCP candidates and no others, as a
	// network without UDP would have it.
	OnlyTCP bool
	// ICEServers help a creator whose network hides it, or lets nothing but
	// TURN through. Those that a server tells in its answer (RFC 9725 §4.6) are
	// not used: by then all candidates have been gathered. Default: none.
	ICEServers []ICEServer
	// HTTP makes the requests. Default [http.DefaultClient].
	HTTP *http.Client
	// Logger gets what happens. Default: nothing.
	Logger *slog.Logger
}

// A Client publishes lives to WHIP servers, any number at once. Each one has
// UDP ports of its own: a server tells its creators apart by their addresses.
type Client struct {
	cfg         ClientConfig
	api         *webrtc.API
	certificate webrtc.Certificate
}

// NewClient makes a client; it holds nothing that needs closing.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, certificate: certificate}
	c.api, err = c.newAPI(pionLogs{cfg.Logger})
	return c, err
}

// newCertificate is made once, not once per session: it costs more than a
// handshake.
func newCertificate() (webrtc.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return webrtc.Certificate{}, fmt.Errorf("whip: make a certificate: %w", err)
	}
	certificate, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return webrtc.Certificate{}, fmt.Errorf("whip: make a certificate: %w", err)
	}
	return *certificate, nil
}

func (c *Client) newAPI(logs pionLogs) (*webrtc.API, error) {
	var e webrtc.SettingEngine
	e.LoggerFactory = logs
	e.SetIncludeLoopbackCandidate(c.cfg.Loopback || c.cfg.LocalIP.IsLoopback())
	if c.cfg.LocalIP != nil {
		e.SetIPFilter(c.cfg.LocalIP.Equal)
	}
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	if c.cfg.OnlyTCP {
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6})
	}
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
