// Package redistest starts Redis servers for tests.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/media/mediatest"
)

// patience is how long a server may take to answer.
const patience = 20 * time.Second

// A Server is a redis-server on a free port of the loopback interface that keeps
// nothing on disk. It ends with its test.
type Server struct {
	URL string // redis://127.0.0.1:port

	t    testing.TB
	path string
	addr string

	mu  sync.Mutex
	cmd *exec.Cmd
}

// Start starts a server, or skips the test where redis-server is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, path: mediatest.Tool(t, "redis-server")}
	var err error
	for range 3 { // another process can take the port that was free
		s.addr = freePort(t)
		s.URL = "redis://" + s.addr
		if err = s.run(); err == nil {
			t.Cleanup(s.Kill)
			return s
		}
	}
	t.Fatal(err)
	return nil
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Kill ends the server at once, as a crash would: what it held is lost.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// Restart starts the server again after Kill, empty, at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.run(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) run() error {
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	log := &bytes.Buffer{}
	cmd := exec.Command(s.path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", s.t.TempDir())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	if err := s.answers(); err != nil {
		s.Kill() // the log is complete once the process has ended
		return fmt.Errorf("redis-server on %s: %w\n%s", s.addr, err, log)
	}
	return nil
}

// answers waits until the server does.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := goredis.NewClient(&goredis.Options{Addr: s.addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	defer c.Close()
	for {
		err := c.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}
