package whip

import (
	"errors"
	"net"
	"sync"
	"time"
)

// limitListener bounds the TCP connections that are open at once: whoever
// connects costs a goroutine before we know who it is.
func limitListener(l net.Listener, limit int) net.Listener {
	return &limitedListener{Listener: l, free: make(chan struct{}, limit), closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		conn, err := l.Listener.Accept()
		if err == nil {
			return &limitedConn{Conn: conn, free: l.free}, nil
		}
		if errors.Is(err, net.ErrClosed) || !l.pause() {
			<-l.free
			return nil, err
		}
	}
}

// pause waits before another try: Pion would stop listening for good when the
// process has no file descriptor left for a moment. It is false once the
// listener is closed.
func (l *limitedListener) pause() bool {
	select {
	case <-time.After(acceptAgain):
		return true
	case <-l.closed:
		return false
	}
}

const acceptAgain = 100 * time.Millisecond

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.free })
	return err
}
