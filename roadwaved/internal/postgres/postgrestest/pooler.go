package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/media/mediatest"
)

// A Pooler is a PgBouncer in front of a server, as its package configures it but
// for the mode: a client has a connection for a transaction, not for a session. It
// has two of them: what is left in one is soon met by another client, and who wants
// a second one may wait for good.
type Pooler struct {
	address string
}

// StartPooler starts a pooler that ends with its test, or skips the test where
// PgBouncer is not installed.
func StartPooler(t testing.TB, s *Server) *Pooler {
	t.Helper()
	program := mediatest.Tool(t, "pgbouncer")
	folder, err := os.MkdirTemp("", "roadwave-pgbouncer-") // not t.TempDir, see temporary
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	var p *Pooler
	for range 3 { // another process can take the port that was free
		if p, err = s.runPooler(t, program, folder); err == nil {
			return p
		}
	}
	t.Fatal(err)
	return nil
}

func (s *Server) runPooler(t testing.TB, program, folder string) (*Pooler, error) {
	address, err := mediatest.FreeAddress()
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(s.Address(), ":")
	_, listen, _ := strings.Cut(address, ":")
	files := map[string]string{
		"users": fmt.Sprintf("%q %q\n", User, s.password),
		"pgbouncer.ini": fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir =\n"+
			"auth_type = scram-sha-256\nauth_file = %s\npool_mode = transaction\ndefault_pool_size = 2\nquery_wait_timeout = 30\n",
			host, port, listen, filepath.Join(folder, "users")),
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if err := s.owner.give(path); err != nil {
			return nil, err
		}
	}
	if err := s.owner.give(folder); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, filepath.Join(folder, "pgbouncer.ini"))
	cmd.Dir = folder
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	s.owner.become(cmd)
	process, err := launch(cmd)
	if err != nil {
		return nil, err
	}
	p := &Pooler{address}
	if err := p.answers(s, process); err != nil {
		process.signal(syscall.SIGKILL)
		<-process.ended // what it said is whole
		return nil, fmt.Errorf("postgrestest: PgBouncer on %s: %w\n%s", address, err, said.String())
	}
	t.Cleanup(func() {
		process.signal(syscall.SIGKILL)
		<-process.ended
	})
	return p, nil
}

// URL is that of a database of the server, through the pooler.
func (p *Pooler) URL(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		panic(err) // it comes from a Server
	}
	u.Host = p.address
	return u.String()
}

func (p *Pooler) answers(s *Server, process *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.URL(s.URL()))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-process.ended:
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
