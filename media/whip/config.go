package whip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/roadwave/roadwave/media"
)

// A Config says how a [Server] works. The zero Config listens on port 8189 and
// takes every creator, but has nowhere to put the sound: set OnPublish.
type Config struct {
	// OnPublish is called once per session, in its own goroutine, when the
	// first audio packet arrives: an offer whose media never comes is not a
	// live. The session ends when OnPublish returns; its error is kept (see
	// [Session.Err]) and logged. The context is not cancelled when the creator
	// leaves, [Session.ReadPacket] tells that with [io.EOF], so that the last
	// segment can be finished; it is cancelled when [Server.Close] has waited
	// for CloseTimeout. Default: the packets are read and dropped.
	OnPublish func(ctx context.Context, s *Session) error

	// OnState is told about every change of a session's state: once with
	// [Live], [Stalled] and [Live] again as the network wants it, once with
	// [Ended], when everything is over. Calls for one session come in order.
	// It must not block: packets wait meanwhile.
	OnState func(s *Session, state State)

	// Admit is asked before anything is allocated for an offer that could
	// work. An error of type [*Refusal] says what the creator is told; another
	// error becomes 500. Default: everybody is admitted with a random UUID.
	Admit func(r *http.Request) (Admission, error)

	// Authorize is asked before a PATCH or DELETE of a session. Default: the
	// request must carry the Authorization header that the offer carried, so
	// only the creator who began a session (or knows its unguessable URL, when
	// there was no such header) can change it.
	Authorize func(r *http.Request, s *Session) error

	// Path is the endpoint's path as requests show it; sessions live under
	// it. Default "/whip".
	Path string

	// AllowOrigin is the value of Access-Control-Allow-Origin. Default "*":
	// requests carry a bearer token, never a cookie.
	AllowOrigin string

	// UDPAddress is the one UDP address of all sessions. Default ":8189";
	// port 0 picks a free one.
	UDPAddress string
	// DisableTCP switches ICE over TCP (RFC 6544) off. Otherwise a TCP
	// listener takes the same address and port as UDP.
	DisableTCP bool
	// ReadBuffer is the size asked of the kernel for the UDP socket, in bytes.
	// Default 4 MiB; what was given is in [ServerStats.ReadBuffer].
	ReadBuffer int
	// PublicHosts are the addresses that creators reach us at when they differ
	// from those of our interfaces (NAT 1:1): IP addresses, or names that are
	// looked up once. Default: the addresses of the interfaces.
	PublicHosts []string
	// Loopback offers the loopback addresses too: for creators on this machine.
	Loopback bool
	// ICEServers are told to creators by Link headers, and used by the server
	// itself to find its public address unless PublicHosts gives it.
	ICEServers []ICEServer

	// MaxAverageBitrate is what the answer suggests to the creator's encoder,
	// in bits per second, 6000 to 510000 (RFC 7587 §6.1). Default 48000.
	MaxAverageBitrate int

	// NoticeAfter is how long without any media until a session counts as
	// stalled. Default 4 s.
	NoticeAfter time.Duration
	// EndAfter is how long without any media until a session ends. Default
	// 12 s, at least NoticeAfter.
	EndAfter time.Duration
	// ConnectTimeout is how long a creator has from the answer to the first
	// packet. Default 15 s.
	ConnectTimeout time.Duration
	// CloseTimeout is how long [Server.Close] waits for OnPublish to return
	// before its context is cancelled. Default 10 s.
	CloseTimeout time.Duration

	// MaxSessions bounds the sessions in progress. Default 1000.
	MaxSessions int
	// MaxConnecting bounds the sessions whose media has not begun. Default 100.
	MaxConnecting int

	// Jitter says how long missing packets are waited for.
	Jitter media.JitterConfig

	// Logger gets what happens. Default: nothing.
	Logger *slog.Logger
}

// An ICEServer is a STUN or TURN server (RFC 8489, RFC 8656).
type ICEServer struct {
	URLs       []string // "stun:host:3478", "turn:host:3478?transport=udp"
	Username   string   // TURN only
	Credential string
}

// An Admission lets a creator in.
type Admission struct {
	// ID names the session in its URL. Default: a random UUID (version 4). It
	// must be hard to guess unless Authorize protects it; letters, digits and
	// "-._~" only.
	ID string
	// Value is kept for the application, see [Session.Value].
	Value any
	// Release is called once: when the session has ended and OnPublish has
	// returned, or when it could not be started.
	Release func()
}

// A Refusal is an error that says what the creator's client is told, as
// application/problem+json (RFC 9457).
type Refusal struct {
	Status     int           // HTTP status, 400 to 599
	Code       string        // stable, for programs: "station-full"
	Detail     string        // one sentence, for people
	RetryAfter time.Duration // 0: no Retry-After header
	allow      string        // methods, for 405
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("whip: refused with %d %s: %s", r.Status, r.Code, r.Detail)
}

func refuse(status int, code, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// fill fills in the defaults and checks the rest.
func (c *Config) fill() error {
	if c.OnPublish == nil {
		c.OnPublish = discard
	}
	if c.OnState == nil {
		c.OnState = func(*Session, State) {}
	}
	if c.Admit == nil {
		c.Admit = func(*http.Request) (Admission, error) { return Admission{}, nil }
	}
	if c.Authorize == nil {
		c.Authorize = sameAuthorization
	}
	c.Path = cmp.Or(c.Path, "/whip")
	c.AllowOrigin = cmp.Or(c.AllowOrigin, "*")
	c.UDPAddress = cmp.Or(c.UDPAddress, ":8189")
	c.ReadBuffer = cmp.Or(c.ReadBuffer, 4<<20)
	c.MaxAverageBitrate = cmp.Or(c.MaxAverageBitrate, 48000)
	c.NoticeAfter = cmp.Or(c.NoticeAfter, 4*time.Second)
	c.EndAfter = cmp.Or(c.EndAfter, 12*time.Second)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, 15*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 10*time.Second)
	c.MaxSessions = cmp.Or(c.MaxSessions, 1000)
	c.MaxConnecting = cmp.Or(c.MaxConnecting, 100)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"ReadBuffer", int64(c.ReadBuffer)}, {"NoticeAfter", int64(c.NoticeAfter)}, {"EndAfter", int64(c.EndAfter)},
		{"ConnectTimeout", int64(c.ConnectTimeout)}, {"CloseTimeout", int64(c.CloseTimeout)},
		{"MaxSessions", int64(c.MaxSessions)}, {"MaxConnecting", int64(c.MaxConnecting)},
	} {
		if field.value < 0 {
			return fmt.Errorf("whip: %s is negative", field.name)
		}
	}
	c.EndAfter = max(c.EndAfter, c.NoticeAfter)
	c.Path = "/" + strings.Trim(c.Path, "/")
	if b := c.MaxAverageBitrate; b < 6000 || b > 510000 {
		return fmt.Errorf("whip: MaxAverageBitrate is %d; Opus takes 6000 to 510000 bit/s", b)
	}
	return nil
}

func discard(_ context.Context, s *Session) error {
	for {
		if _, err := s.ReadPacket(); err != nil {
			return nil
		}
	}
}

// resolve looks the public hosts up, so that a wrong name is told at start.
func resolve(hosts []string) ([]string, error) {
	var addresses []string
	for _, host := range hosts {
		if net.ParseIP(host) != nil {
			addresses = append(addresses, host)
			continue
		}
		found, err := net.LookupHost(host)
		if err != nil {
			return nil, fmt.Errorf("whip: public host %q: %w", host, err)
		}
		addresses = append(addresses, found...)
	}
	return addresses, nil
}

// check completes an admission; its ID becomes part of a URL.
func (a *Admission) check() error {
	if a.ID == "" {
		a.ID = uuid.NewString()
	}
	if strings.Trim(a.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") != "" || a.ID == "." || a.ID == ".." {
		return errors.New("whip: the admission's ID does not fit into a URL")
	}
	return nil
}
