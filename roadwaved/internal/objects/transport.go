package objects

import (
	"context"
	"net"
	"net/http"
	"time"
)

// newTransport makes connections that end when the other side takes or gives
// nothing for as long as stall. There is no limit on a whole request: a large
// one takes the time it takes.
func newTransport(stall time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: min(stall, 10*time.Second)}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &stallConn{Conn: c, limit: stall}, nil
		},
		TLSHandshakeTimeout: min(stall, 10*time.Second),
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     min(stall, 30*time.Second),
		DisableCompression:  true, // objects come as they are
	}
}

// A stallConn has a deadline that every byte pushes back.
type stallConn struct {
	net.Conn
	limit time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write pushes back the deadline of the Read that waits for the answer, too.
func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err == nil {
		err = c.SetReadDeadline(time.Now().Add(c.limit))
	}
	return n, err
}
