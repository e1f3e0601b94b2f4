package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

// serve is the command that goes on air.
func serve(ctx context.Context, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) error {
	cfg, err := parseConfig(args, getenv, io.Discard)
	if err != nil {
		return usageError{err}
	}
	d, err := newDaemon(ctx, cfg, cfg.logger(stderr))
	if err != nil {
		return err
	}
	return errors.Join(d.run(ctx, stdout), d.close())
}

func (d *daemon) listen(context.Context) (err error) {
	if d.public, err = net.Listen("tcp", d.cfg.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	d.onClose(closeOnce(d.public))
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
	url := "http://" + d.public.Addr().String()
	fmt.Fprintf(out, `RoadWave is on: one process; Redis in memory, SQLite, files in %s
  studio  %s/studio
  listen  %s/
  admin   http://%s/readyz
  media   %s (UDP and TCP)
Ctrl-C ends lives properly and stops.
`, d.cfg.Data, url, url, d.admin.Addr(), d.whip.Addr())
}

// servers are the HTTP servers of the two listeners.
func (d *daemon) servers() (public, admin *http.Server) {
	complaints := slog.NewLogLogger(d.log.Handler(), slog.LevelWarn) // else past the log, as bare text
	public = &http.Server{
		ErrorLog:          complaints,
		Handler:           bodyDeadline(d.api),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	admin = &http.Server{
		ErrorLog: complaints,
		Handler: api.NewAdmin(
			api.Check{Name: "catalog", Ping: d.catalog.Ping},
			api.Check{Name: "redis", Ping: d.redis.Ping},
			api.Check{Name: "data", Ping: d.dataWritable},
		),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	return public, admin
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

// dataWritable tells whether recordings can be written.
func (d *daemon) dataWritable(context.Context) error {
	f, err := os.CreateTemp(d.recordings(), ".ready-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
