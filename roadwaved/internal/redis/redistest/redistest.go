// Package redistest starts Redis servers for tests: one, a cluster, or one with a
// replica and a sentinel.
package redistest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/roadwave/roadwave/media/mediatest"
)

// patience is how long a server may take to answer.
const patience = time.Minute

// A Server is a redis-server on a free port of the loopback interface that keeps
// nothing on disk.
type Server struct {
	URL  string // redis://127.0.0.1:port, rediss:// of one with TLS
	Addr string // 127.0.0.1:port

	program, folder string
	args            []string
	tls             *tls.Config // how it is reached; nil without TLS

	mu  sync.Mutex
	cmd *exec.Cmd
}

// Start starts a server that ends with its test, or skips the test where
// redis-server is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t)
}

// StartSecured is Start for a server that speaks TLS only, by a certificate for
// 127.0.0.1.
func StartSecured(t testing.TB, c mediatest.Certificate) *Server {
	t.Helper()
	authority, err := os.ReadFile(c.Authority)
	if err != nil {
		t.Fatal(err)
	}
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(authority)
	return keep(t, &Server{
		program: mediatest.Tool(t, "redis-server"), folder: t.TempDir(), tls: &tls.Config{RootCAs: known},
		args: []string{"--tls-cert-file", c.File, "--tls-key-file", c.Key, "--tls-ca-cert-file", c.Authority, "--tls-auth-clients", "no"},
	})
}

// User makes the user of an ACL file, gives it a password, and returns the URL of
// the server for that user.
func (s *Server) User(t testing.TB, file, password string) string {
	t.Helper()
	line, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	command := []any{"ACL", "SETUSER"}
	words := strings.Fields(string(line))[1:]
	for _, word := range append(words, ">"+password) {
		command = append(command, word)
	}
	if err := s.Do(t.Context(), command...); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(s.URL, "//", "//"+words[0]+":"+password+"@", 1)
}

func start(t testing.TB, args ...string) *Server {
	t.Helper()
	return keep(t, &Server{program: mediatest.Tool(t, "redis-server"), folder: t.TempDir(), args: args})
}

// keep starts a server that ends with the test.
func keep(t testing.TB, s *Server) *Server {
	t.Helper()
	if err := s.find(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// Run starts a redis-server that works in a folder, which is made where there is
// none, and ends with Kill. Further arguments are redis-server's.
func Run(program, folder string, args ...string) (*Server, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	s := &Server{program: program, folder: folder, args: args}
	return s, s.find()
}

// find starts the server at a free address.
func (s *Server) find() (err error) {
	scheme := map[bool]string{true: "redis://", false: "rediss://"}[s.tls == nil]
	for range 3 { // another process can take the port that was free
		if s.Addr, err = mediatest.FreeAddress(); err != nil {
			return err
		}
		s.URL = scheme + s.Addr
		if err = s.run(); err == nil {
			return nil
		}
	}
	return err
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

// Restart starts the server again at the same address, empty.
func (s *Server) Restart() error {
	s.Kill()
	return s.run()
}

// Do sends one command to the server.
func (s *Server) Do(ctx context.Context, args ...any) error {
	c := client(s.Addr, s.tls)
	defer c.Close()
	return c.Do(ctx, args...).Err()
}

func (s *Server) run() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	ports := []string{"--port", port}
	if s.tls != nil {
		ports = []string{"--port", "0", "--tls-port", port}
	}
	args := append(slices.Concat(s.args, ports),
		"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.folder)
	log := &bytes.Buffer{}
	cmd := exec.Command(s.program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	if err := s.answers(cmd.Process.Pid); err != nil {
		s.Kill() // the log is complete once the process has ended
		return fmt.Errorf("redis-server on %s: %w\n%s", s.Addr, err, log)
	}
	return nil
}

func client(addr string, secured *tls.Config) *goredis.Client {
	logging.Disable() // that a server is not up yet is no news
	return goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, TLSConfig: secured})
}

// answers waits until the server does, and makes sure that it is the one that was
// started: where that found its port taken, another test's answers.
func (s *Server) answers(pid int) error {
	c := client(s.Addr, s.tls)
	defer c.Close()
	var info string
	err := eventually(func(ctx context.Context) (err error) {
		info, err = c.Info(ctx, "server").Result()
		return err
	})
	if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid)) {
		err = errors.New("another server has the port")
	}
	return err
}

// eventually tries until it works.
func eventually(try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := try(ctx)
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

// A Watched is a server with a replica and a sentinel that makes the replica the
// master when the master is gone.
type Watched struct {
	URL             string // redis+sentinel://127.0.0.1:port?master_name=house
	Master, Replica *Server
}

const masterName = "house"

// StartWatched starts a server with a replica and a sentinel, which end with the
// test.
func StartWatched(t testing.TB) *Watched {
	t.Helper()
	w := &Watched{Master: start(t)}
	host, port, err := net.SplitHostPort(w.Master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	w.Replica = start(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	// A sentinel keeps what it learns in its configuration.
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	lines := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\nsentinel down-after-milliseconds %[1]s 500\nsentinel failover-timeout %[1]s 2000\n",
		masterName, host, port)
	if err := os.WriteFile(config, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := start(t, config, "--sentinel")
	c := goredis.NewSentinelClient(&goredis.Options{Addr: sentinel.Addr, MaxRetries: -1})
	defer c.Close()
	replica := client(w.Replica.Addr, nil)
	defer replica.Close()
	err = eventually(func(ctx context.Context) error {
		known, err := c.Replicas(ctx, masterName).Result()
		if err != nil {
			return err
		}
		if len(known) == 0 {
			return errors.New("the sentinel does not know the replica")
		}
		if role, err := replica.Do(ctx, "ROLE").Slice(); err != nil || len(role) < 4 || role[3] != "connected" {
			return fmt.Errorf("the replica has not connected: %v %w", role, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.URL = "redis+sentinel://" + sentinel.Addr + "?master_name=" + masterName
	return w
}

// StartCluster starts a cluster of three servers without replicas, which end with
// the test, and gives its URL.
func StartCluster(t testing.TB) (url string, servers []*Server) {
	t.Helper()
	const size, slots = 3, 16384
	var buses []string
	for range size {
		bus, err := mediatest.FreeAddress() // by default it is 10000 above the port, which there may not be
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(bus)
		buses = append(buses, port)
		servers = append(servers, start(t, "--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout", "2000"))
	}
	for i, s := range servers {
		err := s.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", i*slots/size, (i+1)*slots/size-1)
		host, port, _ := net.SplitHostPort(s.Addr)
		if err == nil && i > 0 {
			err = servers[0].Do(t.Context(), "CLUSTER", "MEET", host, port, buses[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range servers {
		c := client(s.Addr, nil)
		defer c.Close()
		err := eventually(func(ctx context.Context) error {
			info, err := c.ClusterInfo(ctx).Result()
			if err == nil && !bytes.Contains([]byte(info), []byte("cluster_state:ok")) {
				err = errors.New("the cluster is not complete")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return "redis+cluster://" + servers[0].Addr + "?addr=" + servers[1].Addr, servers
}
