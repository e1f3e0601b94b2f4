package whip

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd is a listener that fails now and then.
type crowd struct {
	net.Listener
	results []error // of each Accept; nil is a connection
}

func (c *crowd) Accept() (net.Conn, error) {
	err := c.results[0]
	c.results = c.results[1:]
	if err != nil {
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	conn, other := net.Pipe()
	_ = other.Close()
	return conn, nil
}

func (c *crowd) Close() error { return nil }

func TestListenerOutlivesAFullProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitListener(&crowd{results: []error{syscall.EMFILE, syscall.ECONNABORTED, nil, net.ErrClosed}}, 1)
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestListenerIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitListener(&crowd{results: []error{nil, nil, syscall.EMFILE}}, 1)
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			_ = first.Close()
			_ = first.Close() // frees one place, not two
		}()
		begin := time.Now()
		if _, err := l.Accept(); err != nil || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		go func() {
			time.Sleep(time.Second)
			_ = l.Close()
		}()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("full and closed: %v", err)
		}
	})
}
