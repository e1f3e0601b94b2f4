package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestOutage(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{})
	databaseURL := s.Database(t)
	if _, _, err := Migrate(t.Context(), databaseURL, nil); err != nil {
		t.Fatal(err)
	}
	c := openAt(t, databaseURL)
	t.Run("under calls", func(t *testing.T) { outageUnderCalls(t, s, c) })
	t.Run("while idle", func(t *testing.T) { outageWhileIdle(t, s, c) })
}

// The server dies under calls that are being made and comes back: in between
// every error says "later", afterwards all goes on by itself, and what was
// acknowledged is there, once.
func outageUnderCalls(t *testing.T, s *postgrestest.Server, c *Catalog) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var failures, recorded atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				events := visits(newestStart, 20)
				for { // as whoever keeps them until they are written does
					err := c.Record(t.Context(), events, nil)
					if err == nil {
						recorded.Add(20)
						break
					}
					failures.Add(1)
					if !errors.Is(err, station.ErrAway) || strings.Contains(err.Error(), s.Password()) {
						t.Errorf("while the server was away: %v", err)
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waiting for %s", what)
			}
		}
	}
	for range 2 {
		n := recorded.Load()
		until("events before the outage", func() bool { return recorded.Load() > n+200 })
		f := failures.Load()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		until("the outage to be noticed", func() bool { return failures.Load() > f+8 })
		if err := c.Ping(t.Context()); !errors.Is(err, station.ErrAway) || !strings.Contains(err.Error(), s.Address()) {
			t.Errorf("ping of a server that is away: %v", err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	n := recorded.Load()
	until("events after the outage", func() bool { return recorded.Load() > n+200 })
	stop()
	wg.Wait()
	if got, want := eventCount(t, c), recorded.Load(); got != want {
		t.Errorf("%d events, %d were acknowledged", got, want)
	}
}

// Connections that idled through a restart are no reason for an error.
func outageWhileIdle(t *testing.T, s *postgrestest.Server, c *Catalog) {
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // the pool tries connections that idled for a second
	if err := c.StartLive(t.Context(), liveCalled("t")); err != nil {
		t.Error(err)
	}
}

// A server that takes connections and says nothing.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const secret = "s3cr3t-of-the-house"
	databaseURL := fmt.Sprintf("postgres://roadwave:%s@%s/catalog?sslmode=disable", secret, l.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = Open(ctx, databaseURL, Config{})
	_, _, merr := Migrate(ctx, databaseURL, nil)
	for what, err := range map[string]error{"Open": err, "Migrate": merr} {
		if !errors.Is(err, station.ErrAway) || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "catalog") {
			t.Errorf("%s: %v", what, err)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s tells the password: %v", what, err)
		}
	}
}

// Errors that time does not mend say what is wrong, and none of them tells the
// password.
func TestRefusals(t *testing.T) {
	s := postgrestest.Shared(t)
	good, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	const secret = "s3cr3t-of-the-house"
	change := func(f func(u *url.URL)) string {
		u := *good
		f(&u)
		return u.String()
	}
	for _, tt := range []struct {
		name, url string
		want      string
	}{
		{"wrong password", change(func(u *url.URL) { u.User = url.UserPassword("roadwave", secret) }), "password authentication failed"},
		{"wrong password in the query", change(func(u *url.URL) {
			u.User, u.RawQuery = url.User("roadwave"), u.RawQuery+"&password="+secret
		}), "password authentication failed"},
		{"no such database", change(func(u *url.URL) { u.Path = "elsewhere" }), `"elsewhere" does not exist`},
		{"no such setting", change(func(u *url.URL) { u.RawQuery += "&no_such_setting=1" }), "no_such_setting"},
		{"bad sslmode", "postgres://roadwave:" + secret + "@127.0.0.1/x?sslmode=perhaps", "sslmode"},
		{"bad number", "postgres://roadwave:" + secret + "@127.0.0.1/x?pool_max_conns=many", "pool_max_conns"},
		{"sslpassword", "postgres://roadwave@127.0.0.1/x?sslpassword=" + secret, "sslpassword"},
		{"another scheme", "mysql://roadwave:" + secret + "@127.0.0.1/x", "has the form"},
		{"words", "host=127.0.0.1 password=" + secret, "has the form"},
		{"nothing", "", "has the form"},
		{"slash in the password", "postgres://roadwave:12/" + secret + "@127.0.0.1/x", "has the form"},
		{"hash in the password", "postgres://roadwave:12#" + secret + "@127.0.0.1/x", "has the form"},
		{"question mark in the password", "postgres://roadwave:12?" + secret + "@127.0.0.1/x", "has the form"},
		{"percent sign in the password", "postgres://roadwave:%zz" + secret + "@127.0.0.1/x", "has the form"},
		{"bad port", "postgres://roadwave:" + secret + "@127.0.0.1:x/x", "has the form"},
	} {
		_, err := Open(t.Context(), tt.url, Config{})
		_, _, merr := Migrate(t.Context(), tt.url, nil)
		for _, err := range []error{err, merr} {
			if err == nil || errors.Is(err, station.ErrAway) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want it to say %q", tt.name, err, tt.want)
			}
			if said := fmt.Sprintf("%v %+v", err, err); strings.Contains(said, secret) || strings.Contains(said, s.Password()) {
				t.Errorf("%s: the error tells the password: %s", tt.name, said)
			}
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{Settings: map[string]string{"max_connections": "6", "superuser_reserved_connections": "0", "max_wal_senders": "0"}})
	databaseURL := s.Database(t)
	if _, _, err := Migrate(t.Context(), databaseURL, nil); err != nil {
		t.Fatal(err)
	}
	c := openAt(t, databaseURL)
	var held []*pgx.Conn
	defer func() {
		for _, conn := range held {
			conn.Close(t.Context())
		}
	}()
	for range 5 {
		conn, err := pgx.Connect(t.Context(), databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err) // its one connection
	}
	if _, err := Open(t.Context(), databaseURL, Config{}); !errors.Is(err, station.ErrAway) {
		t.Errorf("without a connection left: %v", err)
	}
}

// A server that becomes a standby refuses to write; connections to it must not
// be kept when another one has taken over.
func TestReadOnly(t *testing.T) {
	databaseURL := empty(t)
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	alter := "ALTER DATABASE " + strings.TrimPrefix(u.Path, "/")
	s := postgrestest.Shared(t)
	if err := s.Exec(t.Context(), alter+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	c := openAt(t, databaseURL)
	if err := c.StartLive(t.Context(), liveCalled("t")); !errors.Is(err, station.ErrAway) {
		t.Errorf("writing to a standby: %v", err)
	}
	if err := s.Exec(t.Context(), alter+" RESET default_transaction_read_only"); err != nil {
		t.Fatal(err)
	}
	if err := c.StartLive(t.Context(), liveCalled("t")); err != nil {
		t.Errorf("after another took over: %v", err)
	}
}

func TestAway(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{context.Canceled, false},
		{context.DeadlineExceeded, true},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), true},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		{&net.DNSError{Err: "no such host"}, true},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: "57P03"}, true},
		{&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "53100"}, true}, // disk full
		{&pgconn.PgError{Code: "08006"}, true},
		{&pgconn.PgError{Code: "25006"}, true},
		{&pgconn.PgError{Code: "40P01"}, true},
		{&pgconn.PgError{Code: "57014"}, true},
		{&pgconn.PgError{Code: "23505"}, false},
		{&pgconn.PgError{Code: "28P01"}, false},
		{&pgconn.PgError{Code: "3D000"}, false},
		{&pgconn.PgError{Code: "42P01"}, false},
		{&pgconn.PgError{Code: "58P01"}, false},
		{pgx.ErrNoRows, false},
		{&net.OpError{Op: "remote error", Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, false},
		{errors.New("something else"), false},
	} {
		if got := away(tt.err); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
		if got := classify("t", tt.err); errors.Is(got, station.ErrAway) != tt.want || !tt.want && !errors.Is(got, station.ErrNotFound) && got != tt.err {
			t.Errorf("%v became %v", tt.err, got)
		}
	}
}

// A caller who has no more patience is not told that the server is away; a
// deadline that passes while it does not answer says so.
func TestPatience(t *testing.T) {
	c := fresh(t)
	tx, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), "LOCK TABLE lives"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.StartLive(ctx, liveCalled("t")); !errors.Is(err, station.ErrAway) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := c.StartLive(ctx, liveCalled("t")); errors.Is(err, station.ErrAway) || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
}
