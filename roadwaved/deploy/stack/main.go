// Command stack starts the servers of a whole house on this machine, on free
// loopback ports and in one folder: PostgreSQL, Redis, an S3 server, and NGINX
// in front of a daemon that is still to be started. It prints the variables that
// make roadwaved use them, runs until it is interrupted or its standard input
// ends, and leaves nothing running.
//
//	go run ./roadwaved/deploy/stack -env stack.env &
//	set -a; . ./stack.env; go run ./roadwaved
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
)

func main() {
	log.SetFlags(0)
	env := flag.String("env", "", "`file` for the variables, beside standard output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *env); err != nil {
		log.Fatal("stack: ", err)
	}
}

// A stack is what was started; stop undoes it.
type stack struct {
	folder   string
	settings []string // NAME=value
	undo     []func() error
}

func run(ctx context.Context, env string) (err error) {
	s := &stack{}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, start := range []func(context.Context) error{s.startFolder, s.startDatabase, s.startRedis, s.startStorage, s.startNginx} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	text := strings.Join(s.settings, "\n") + "\n"
	if env != "" {
		if err := os.WriteFile(env, []byte(text), 0o600); err != nil {
			return err
		}
	}
	fmt.Printf("%sready\n", text)
	s.wait(ctx)
	return nil
}

// wait returns when the program is interrupted, or when the one that started it
// has gone.
func (s *stack) wait(ctx context.Context) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, os.Stdin)
		if terminal, err := os.Stdin.Stat(); err == nil && terminal.Mode()&os.ModeCharDevice != 0 {
			<-ctx.Done() // in the background of a shell there is nothing to read
		}
	}()
	select {
	case <-ctx.Done():
	case <-gone:
	}
}

func (s *stack) set(name, value string) {
	s.settings = append(s.settings, fmt.Sprintf("%s='%s'", name, value))
}

func (s *stack) stop() error {
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	return errors.Join(errs...)
}

func (s *stack) startFolder(context.Context) (err error) {
	if s.folder, err = os.MkdirTemp("", "roadwave-stack-"); err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { return os.RemoveAll(s.folder) })
	return os.Chmod(s.folder, 0o711) // PostgreSQL runs as somebody else
}

func (s *stack) startDatabase(ctx context.Context) error {
	server, err := postgrestest.New(filepath.Join(s.folder, "postgres"), postgrestest.Options{})
	if err != nil {
		return err
	}
	s.undo = append(s.undo, server.Close)
	url, err := server.Create(ctx, "")
	s.set("ROADWAVE_DATABASE_URL", url)
	return err
}

func (s *stack) startRedis(context.Context) error {
	program, err := find("redis-server")
	if err != nil {
		return err
	}
	server, err := redistest.Run(program, filepath.Join(s.folder, "redis"))
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { server.Kill(); return nil })
	s.set("ROADWAVE_REDIS_URL", server.URL)
	return nil
}

func (s *stack) startStorage(ctx context.Context) error {
	program, err := find(objectstest.Program)
	if err != nil {
		return err
	}
	server, err := objectstest.Run(program, filepath.Join(s.folder, "objects"))
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { server.Stop(); return nil })
	address, err := server.CreateBucket(ctx, "radio")
	s.set("ROADWAVE_STORAGE_URL", address)
	s.set("AWS_ACCESS_KEY_ID", server.AccessKey)
	s.set("AWS_SECRET_ACCESS_KEY", server.SecretKey)
	return err
}

// startNginx finds a port for the daemon, so that NGINX can be told of it.
func (s *stack) startNginx(ctx context.Context) error {
	daemon, err := mediatest.FreeAddress()
	if err != nil {
		return err
	}
	folder := filepath.Join(s.folder, "nginx")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	server, err := deploy.StartNginx(ctx, deploy.NginxConfig{Folder: folder, Daemons: []string{daemon}})
	if err != nil {
		return err
	}
	s.undo = append(s.undo, server.Stop)
	s.set("ROADWAVE_LISTEN", daemon)
	s.set("ROADWAVE_PUBLIC_URL", server.URL)
	s.set("NGINX_ACCESS_LOG", server.AccessLog)
	return nil
}

func find(program string) (string, error) {
	path, ok := mediatest.Find(program)
	if !ok {
		return "", fmt.Errorf("%s is not installed; `.ci/install-tools.sh --stack` does that", program)
	}
	return path, nil
}
