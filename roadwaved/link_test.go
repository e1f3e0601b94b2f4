package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A link is the way of one process to a server, which can be cut.
type link struct {
	addr string // of this end
	to   string

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newLink(t testing.TB, to string) *link {
	t.Helper()
	near, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{addr: near.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	l.wg.Go(func() {
		for {
			conn, err := near.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() { l.carry(conn) })
		}
	})
	t.Cleanup(func() {
		near.Close()
		l.cut()
		l.wg.Wait()
	})
	return l
}

// carry copies both ways until either end is closed.
func (l *link) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer far.Close()
	l.mu.Lock()
	if l.isCut {
		l.mu.Unlock()
		return
	}
	l.conns[near], l.conns[far] = true, true
	l.mu.Unlock()
	l.wg.Go(func() {
		_, _ = io.Copy(far, near)
		far.Close()
	})
	_, _ = io.Copy(near, far)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, near)
	delete(l.conns, far)
}

// cut ends all connections; new ones end at once.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for c := range l.conns {
		c.Close()
	}
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}
