// Package objectstest runs an S3 server, for tests and demonstrations.
package objectstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/roadwave/roadwave/media/mediatest"
)

// Program is the name of the S3 server that is run.
const Program = "versitygw"

// patience is how long the server may take to answer.
const patience = time.Minute

// A Server is an S3 server on a free port of the loopback interface. It keeps
// what it is given in a folder, so that it can be stopped and started again.
type Server struct {
	Endpoint             string // http://127.0.0.1:port, https:// of one with TLS
	AccessKey, SecretKey string

	program, folder, addr string
	certificate           mediatest.Certificate // empty without TLS

	mu  sync.Mutex
	cmd *exec.Cmd
}

// Run starts a server, given the path of its program and a folder of its own.
// Stop it when it is no longer needed.
func Run(program, folder string) (*Server, error) {
	s := &Server{program: program, folder: folder}
	return s, s.find()
}

// find starts the server for the first time, at a free address.
func (s *Server) find() error {
	s.AccessKey, s.SecretKey = rand.Text(), rand.Text()
	for _, dir := range []string{s.data(), s.sidecar()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("objectstest: %w", err)
		}
	}
	scheme := map[bool]string{true: "https://", false: "http://"}[s.secured()]
	var err error
	for range 3 { // another process can take the port that was free
		if s.addr, err = mediatest.FreeAddress(); err != nil {
			return fmt.Errorf("objectstest: %w", err)
		}
		s.Endpoint = scheme + s.addr
		if err = s.Start(); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) secured() bool { return s.certificate.File != "" }

func (s *Server) data() string    { return filepath.Join(s.folder, "data") }
func (s *Server) sidecar() string { return filepath.Join(s.folder, "metadata") }

// Start starts the server again after Stop, at the same address.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("objectstest: the server is running")
	}
	log := &bytes.Buffer{}
	// The metadata of objects are beside them, not in extended attributes: not
	// every file system has those.
	args := []string{"--port", s.addr, "--quiet", "--keep-alive"}
	if s.secured() {
		args = append(args, "--cert", s.certificate.File, "--key", s.certificate.Key)
	}
	cmd := exec.Command(s.program, append(args, "posix", "--sidecar", s.sidecar(), s.data())...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("objectstest: %w", err)
	}
	s.cmd = cmd
	if err := s.answers(); err != nil {
		s.stop() // the log is complete once the process has ended
		return fmt.Errorf("objectstest: %s on %s: %w\n%s", Program, s.addr, err, log)
	}
	return nil
}

// answers waits until the server does.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := s.client()
	if err != nil {
		return err
	}
	for {
		_, err := client.ListBuckets(ctx)
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

func (s *Server) client() (*minio.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if s.secured() {
		authority, err := os.ReadFile(s.certificate.Authority)
		if err != nil {
			return nil, err
		}
		known := x509.NewCertPool()
		known.AppendCertsFromPEM(authority)
		transport.TLSClientConfig = &tls.Config{RootCAs: known}
	}
	return minio.New(s.addr, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: "us-east-1", MaxRetries: 1,
		Transport: transport, Secure: s.secured(),
	})
}

// Stop ends the server at once, as a crash would. What it has confirmed stays.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

func (s *Server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()
	s.cmd = nil
}

// CreateBucket makes a bucket and gives its address, to which more options can
// be added.
func (s *Server) CreateBucket(ctx context.Context, name string) (address string, err error) {
	client, err := s.client()
	if err == nil {
		err = client.MakeBucket(ctx, name, minio.MakeBucketOptions{})
	}
	if err != nil {
		return "", fmt.Errorf("objectstest: making bucket %s: %w", name, err)
	}
	return Address(name, s.Endpoint), nil
}

// Address is the address of a bucket at an endpoint.
func Address(bucket, endpoint string) string {
	return "s3://" + bucket + "?endpoint=" + url.QueryEscape(endpoint) + "&region=us-east-1"
}
