package postgrestest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/media/mediatest"
)

// patience is how long a server may take to answer, or to stop.
const patience = 60 * time.Second

const (
	// User is the superuser of every server.
	User = "roadwave"
	// CertifiedUser is who a server with TLS knows by a certificate, once there is
	// such a role.
	CertifiedUser = "certified"
)

// ErrMissing is a machine without PostgreSQL.
var ErrMissing = errors.New("PostgreSQL is not installed; on Debian: apt install postgresql")

// Options makes a [Server].
type Options struct {
	// Durable makes commits survive a power failure. Default: they survive the
	// death of the server only, which is several times faster.
	Durable bool
	// Settings are more settings of the server, such as max_connections.
	Settings map[string]string
	// Certificate makes the server speak TLS only. It must be for 127.0.0.1; that
	// of CertifiedUser must be of the same authority. Default: no TLS.
	Certificate mediatest.Certificate
}

// A Server is a PostgreSQL server of its own on a free port of the loopback
// interface. Who connects needs its password, which is random.
type Server struct {
	folder   string
	programs string // the folder of initdb and postgres
	options  Options
	password string
	address  string // 127.0.0.1:port
	owner    *owner

	mu      sync.Mutex
	process *process // nil while stopped
	names   int      // databases made so far
}

// New starts a server that keeps its data in a folder, which may be missing or
// empty but not in use. PostgreSQL refuses to run as root: for root the folder is
// given to another user, postgres or nobody, who must be able to reach it.
func New(folder string, options Options) (*Server, error) {
	programs, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, programs: programs, options: options, password: rand.Text()}
	if s.owner, err = findOwner(); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		return nil, err
	}
	for range 3 { // another process can take the port that was free
		if s.address, err = mediatest.FreeAddress(); err != nil {
			return nil, err
		}
		if err = s.Start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// find looks for the newest server that is installed.
func find() (string, error) {
	newest, folder := -1, ""
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is right
	for _, path := range found {
		bin := filepath.Dir(path)
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(bin))); err == nil && v > newest {
			newest, folder = v, bin
		}
	}
	if folder != "" {
		return folder, nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", ErrMissing
	}
	return filepath.Dir(path), nil
}

// URL connects to the database postgres, as the superuser.
func (s *Server) URL() string { return s.url("postgres") }

func (s *Server) url(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(User, s.password),
		Host:     s.Address(),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	if s.secured() {
		u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.options.Certificate.Authority}}.Encode()
	}
	return u.String()
}

func (s *Server) secured() bool { return s.options.Certificate.File != "" }

// Address is where the server listens: host:port.
func (s *Server) Address() string { return s.address }

// Password is the superuser's.
func (s *Server) Password() string { return s.password }

// Create makes an empty database, or a copy of one made before to which nobody
// is connected, and gives its URL.
func (s *Server) Create(ctx context.Context, template string) (databaseURL string, err error) {
	s.mu.Lock()
	s.names++
	name := "database_" + strconv.Itoa(s.names)
	s.mu.Unlock()
	sql := "CREATE DATABASE " + name
	if template != "" {
		u, err := url.Parse(template)
		if err != nil {
			return "", errors.New("postgrestest: the template is not the URL of a database")
		}
		sql += " TEMPLATE " + pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	}
	return s.url(name), s.Exec(ctx, sql)
}

// Drop removes a database, connections to it notwithstanding.
func (s *Server) Drop(ctx context.Context, databaseURL string) error {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return errors.New("postgrestest: that is not the URL of a database")
	}
	return s.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()+" WITH (FORCE)")
}

// Exec runs a statement in the database postgres.
func (s *Server) Exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	return nil
}

// DumpAndRestore copies a database the way people keep copies of theirs.
func (s *Server) DumpAndRestore(ctx context.Context, from, to string) error {
	dump, err := exec.CommandContext(ctx, filepath.Join(s.programs, "pg_dump"), from).Output()
	if err != nil {
		return fmt.Errorf("postgrestest: pg_dump: %w", err)
	}
	restore := exec.CommandContext(ctx, filepath.Join(s.programs, "psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--output", os.DevNull, to)
	restore.Stdin = bytes.NewReader(dump)
	if out, err := restore.CombinedOutput(); err != nil {
		return fmt.Errorf("postgrestest: psql: %w\n%s", err, out)
	}
	return nil
}

// initialize makes the data folder.
func (s *Server) initialize() error {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	secret := filepath.Join(s.folder, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return fmt.Errorf("postgrestest: %w", err)
	}
	defer os.Remove(secret)
	for _, path := range []string{s.folder, secret} {
		if err := s.owner.give(path); err != nil {
			return fmt.Errorf("postgrestest: %w", err)
		}
	}
	cmd := s.command("initdb", "--pgdata", s.data(), "--username", User, "--pwfile", secret, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", locale, "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("postgrestest: initdb in %s: %w\n%s", s.folder, err, out)
	}
	if s.secured() {
		return s.secure()
	}
	return nil
}

// secure gives the server its certificate and turns away who comes without TLS.
func (s *Server) secure() error {
	files := map[string]string{
		s.options.Certificate.File: "server.crt", s.options.Certificate.Key: "server.key", s.options.Certificate.Authority: "root.crt",
	}
	for from, name := range files {
		content, err := os.ReadFile(from)
		path := filepath.Join(s.data(), name)
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err == nil {
			err = s.owner.give(path)
		}
		if err != nil {
			return fmt.Errorf("postgrestest: %w", err)
		}
	}
	const who = "hostssl all " + CertifiedUser + " all cert\nhostssl all all all scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(who), 0o600); err != nil { // it is there, and the owner's
		return fmt.Errorf("postgrestest: %w", err)
	}
	return nil
}

// locale knows the letters of all languages and, but on macOS, sorts by code point.
var locale = map[bool]string{true: "en_US.UTF-8", false: "C.UTF-8"}[runtime.GOOS == "darwin"]

func (s *Server) log() string { return filepath.Join(s.folder, "server.log") }

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// command runs a program as the user who may.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.programs, program), args...)
	cmd.Dir = s.folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=" + locale, "TZ=UTC"} // no PGDATA, no PGPORT
	s.owner.become(cmd)
	return cmd
}

// Start starts the server again after Stop, at the same address and with the
// same data.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return nil
	}
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strings.TrimPrefix(s.address, "127.0.0.1:"),
		"unix_socket_directories": "",
		"max_connections":         "200",
		"shared_buffers":          "64MB",
		"log_min_messages":        "warning",
	}
	if !s.options.Durable {
		// Not synchronous_commit: a commit must be with the kernel when it is told.
		settings["fsync"], settings["full_page_writes"] = "off", "off"
	}
	if s.secured() {
		settings["ssl"], settings["ssl_ca_file"] = "on", "root.crt"
	}
	for name, value := range s.options.Settings {
		settings[name] = value
	}
	args := []string{"-D", s.data()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	var err error
	// What a killed server left behind takes a moment to be gone.
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var p *process
		if p, err = s.launch(args); err != nil {
			return fmt.Errorf("postgrestest: %w", err)
		}
		if err = s.answers(p); err == nil {
			s.process = p
			return nil
		}
		p.signal(syscall.SIGKILL)
		<-p.ended // the log is whole
		log, _ := os.ReadFile(s.log())
		err = fmt.Errorf("postgrestest: PostgreSQL on %s: %w\n%s", s.Address(), err, log)
		if !bytes.Contains(log, []byte("pre-existing shared memory")) {
			return err
		}
	}
	return err
}

// launch runs postgres with a new log.
func (s *Server) launch(args []string) (*process, error) {
	log, err := os.Create(s.log())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := s.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	return launch(cmd)
}

// answers waits until the server does, or has ended.
func (s *Server) answers(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.Exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server at once, in the middle of whatever it does, as a crash
// would: what was committed is there after the next Start.
func (s *Server) Stop() error { return s.stop(syscall.SIGQUIT) }

// Close ends the server in good order.
func (s *Server) Close() error { return s.stop(syscall.SIGINT) }

func (s *Server) stop(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.process
	if p == nil {
		return nil
	}
	s.process = nil
	p.signal(sig)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		p.signal(syscall.SIGKILL)
		<-p.ended
		return errors.New("postgrestest: the server had to be killed")
	}
}
