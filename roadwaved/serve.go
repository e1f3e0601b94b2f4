package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serve is the command that goes on air.
func serve(ctx context.Context, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) error {
	cfg := defaultConfig()
	if err := cmp.Or(cfg.parseAll(args, getenv, noFlags), cfg.validateOpen()); err != nil {
		return usageError{err}
	}
	d, err := newDaemon(ctx, cfg, cfg.logger(stderr))
	if err != nil {
		return err
	}
	return errors.Join(d.run(ctx, stdout), d.close())
}

func (d *daemon) listenPublic(context.Context) (err error) {
	if d.public, err = net.Listen("tcp", d.cfg.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	d.onClose(closeOnce(d.public))
	return nil
}

func (d *daemon) listenAdmin(context.Context) (err error) {
	if d.admin, err = net.Listen("tcp", d.cfg.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	d.onClose(closeOnce(d.admin))
	return nil
}

// closeOnce closes a listener that a server may have closed already.
func closeOnce(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// banner tells a person where to go.
func (d *daemon) banner(out io.Writer) {
	url := cmp.Or(strings.TrimSuffix(d.cfg.PublicURL, "/"), "http://"+reachable(d.public.Addr()))
	fmt.Fprintf(out, `RoadWave is on: %s
  studio  %s/studio
  listen  %s/
  admin   http://%s/readyz
  media   %s (UDP and TCP)
Ctrl-C ends lives properly and stops.
`, d.makeup(), url, url, d.admin.Addr(), d.whip.Addr())
}

// reachable is a listening address that a browser on this machine can open.
func reachable(a net.Addr) string {
	if address, ok := a.(*net.TCPAddr); ok && address.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(address.Port))
	}
	return a.String()
}

// makeup says in a few words which parts this daemon runs on.
func (d *daemon) makeup() string {
	parts := []string{"SQLite", "Redis in memory", "files in " + d.cfg.Data}
	if d.cfg.DatabaseURL != "" {
		parts[0] = "PostgreSQL"
	}
	if d.cfg.RedisURL != "" {
		parts[1] = "Redis"
	}
	if d.cfg.StorageURL != "" {
		parts[2] = "object store"
	}
	process := "one process; "
	if d.cfg.scaledOut("") == nil {
		process = "node " + d.node + "; "
	}
	return process + strings.Join(parts, ", ")
}

func (d *daemon) publicServer() *http.Server {
	return &http.Server{
		ErrorLog:          d.complaints(),
		Handler:           bodyDeadline(d.api),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
}

// adminServer tells operators, and what watches over the process, how it is.
func (d *daemon) adminServer() *http.Server {
	return &http.Server{
		ErrorLog:          d.complaints(),
		Handler:           d.newAdmin(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
}

// complaints keeps what net/http has to say from going past the log.
func (d *daemon) complaints() *log.Logger {
	return slog.NewLogLogger(d.log.Handler(), slog.LevelWarn)
}

// bodyDeadline bounds how long a client may take to send a body. A timeout of
// the whole server would also end event streams and downloads.
func bodyDeadline(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(15 * time.Second))
		}
		h.ServeHTTP(w, r)
	})
}

func serveHTTP(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	}
	return nil
}

func shutdown(s *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		return s.Close() // slow clients lose; lives are over by now
	}
	return nil
}
