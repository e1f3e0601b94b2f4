package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// NginxConfig says which origins a private NGINX stands in front of.
type NginxConfig struct {
	// Folder is where everything is that it writes. Required: an absolute path
	// of letters, digits and _ - . /
	Folder string
	// Daemons are the host:port of at least one daemon. Required.
	Daemons []string
	// Bucket is the public URL of the bucket that media come from, with the prefix
	// of the keys. Empty: media come from the daemons.
	Bucket string
	// BucketCA is a PEM file of who vouches for a bucket that speaks TLS. Default:
	// what Debian trusts.
	BucketCA string
	// Listen is the address of the public server. Default: a free port of 127.0.0.1.
	Listen string
	// Behind is the network of another proxy in front, in CIDR notation; what it
	// says in X-Forwarded-For is believed. Default: none.
	Behind string
	// Certificate and Key are PEM files; with them the server speaks TLS and HTTP/2.
	// Default: plain HTTP.
	Certificate, Key string
	// Workers is how many processes answer. Default 1.
	Workers int
	// Program is the nginx to run. Default: in PATH, or where Debian has it.
	Program string
}

// ErrNoNginx is what [StartNginx] returns where nginx is not installed.
var ErrNoNginx = errors.New("deploy: nginx is not installed")

func (c *NginxConfig) complete() error {
	if c.Program == "" {
		c.Program = findNginx()
	}
	c.Workers = max(c.Workers, 1)
	switch {
	case c.Program == "":
		return ErrNoNginx
	case len(c.Daemons) == 0:
		return errors.New("deploy: NginxConfig needs a daemon")
	case !filepath.IsAbs(c.Folder) || strings.ContainsFunc(c.Folder, func(r rune) bool {
		return !strings.ContainsRune("_-./", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}):
		return fmt.Errorf("deploy: NginxConfig.Folder %q: want an absolute path of plain letters", c.Folder)
	}
	if _, err := netip.ParsePrefix(c.Behind); c.Behind != "" && err != nil {
		return fmt.Errorf("deploy: NginxConfig.Behind: %w", err)
	}
	for _, d := range c.Daemons {
		if _, _, err := net.SplitHostPort(d); err != nil {
			return fmt.Errorf("deploy: daemon %q: want host:port", d)
		}
	}
	return nil
}

// findNginx looks in PATH and in /usr/sbin, which is not in everybody's PATH.
func findNginx() string {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// An Nginx is a running NGINX with the shipped configuration, on the loopback
// interface. Stop ends it.
type Nginx struct {
	URL       string // of the public server, without a slash at the end
	Redirect  string // of the server that sends to HTTPS
	StatusURL string // of its figures, for this machine only
	AccessLog string // path of the log, one JSON object per line

	folder string
	cmd    *exec.Cmd
	output *os.File
	exited chan struct{}
}

// patience is how long NGINX may take to answer, or to end.
const patience = 15 * time.Second

// StartNginx starts an NGINX and returns once it answers. The caller must Stop it.
func StartNginx(ctx context.Context, c NginxConfig) (*Nginx, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	var err error
	for range 3 { // another process can take a port that was free
		var n *Nginx
		if n, err = c.start(ctx); err == nil {
			return n, nil
		}
		if !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return nil, err
}

func (c NginxConfig) start(ctx context.Context) (*Nginx, error) {
	a, err := c.choose()
	if err != nil {
		return nil, err
	}
	if err := c.write(a); err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(c.Folder, "output.log"))
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if c.Certificate != "" {
		scheme = "https://"
	}
	n := &Nginx{
		URL: scheme + a.public, Redirect: "http://" + a.redirect, StatusURL: "http://" + a.status + "/nginx_status",
		AccessLog: filepath.Join(c.Folder, "access.log"),
		folder:    c.Folder, output: output, exited: make(chan struct{}),
		cmd: exec.Command(c.Program, "-e", "stderr", "-p", c.Folder, "-c", filepath.Join(c.Folder, "nginx.conf")),
	}
	n.cmd.Stdout, n.cmd.Stderr = output, output
	if err := n.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("deploy: %w", err), output.Close())
	}
	go func() {
		defer close(n.exited)
		_ = n.cmd.Wait() // how it ended is told by its log
	}()
	if err := n.answers(ctx); err != nil {
		return nil, fmt.Errorf("deploy: nginx: %w\n%s", errors.Join(err, n.Stop()), n.Log())
	}
	return n, nil
}

// choose takes free ports for what the configuration leaves open.
func (c NginxConfig) choose() (a addresses, err error) {
	a.public = c.Listen
	for _, address := range []*string{&a.public, &a.redirect, &a.status} {
		if *address != "" {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return a, err
		}
		defer l.Close() // all at the end, or one port could come twice
		*address = l.Addr().String()
	}
	return a, nil
}

// answers waits until the server does.
func (n *Nginx) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ping(ctx, n.StatusURL)
		if err == nil {
			return nil
		}
		select {
		case <-n.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func ping(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

// Log is what it complained of so far.
func (n *Nginx) Log() string {
	var all []byte
	for _, name := range []string{"output.log", "error.log"} {
		b, _ := os.ReadFile(filepath.Join(n.folder, name)) // none: nothing said
		all = append(all, b...)
	}
	return string(all)
}

// PID is the process that started the workers.
func (n *Nginx) PID() int { return n.cmd.Process.Pid }

// Stop ends it and waits until it has ended. It may be called more than once.
func (n *Nginx) Stop() error {
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-n.exited:
	case <-time.After(patience):
		_ = n.cmd.Process.Kill()
		<-n.exited
	}
	if err := n.output.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
