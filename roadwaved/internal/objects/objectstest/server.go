// Package objectstest runs an S3 server, for tests and demonstrations.
package objectstest

import (
	"bytes"
	"context"
	"crypto/rand"
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
	Endpoint             string // http://127.0.0.1:port
	AccessKey, SecretKey string

	program, folder, addr string

	mu  sync.Mutex
	cmd *exec.Cmd
}

// Run starts a server, given the path of its program and a folder of its own.
// Stop it when it is no longer needed.
func Run(program, folder string) (*Server, error) {
	s := &Server{program: program, folder: folder, AccessKey: rand.Text(), SecretKey: rand.Text()}
	for _, dir := range []string{s.data(), s.sidecar()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("objectstest: %w", err)
		}
	}
	var err error
	for range 3 { // another process can take the port that was free
		if s.addr, err = mediatest.FreeAddress(); err != nil {
			return nil, fmt.Errorf("objectstest: %w", err)
		}
		s.Endpoint = "http://" + s.addr
		if err = s.Start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

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
	cmd := exec.Command(s.program, "--port", s.addr, "--quiet", "--keep-alive", "posix", "--sidecar", s.sidecar(), s.data())
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
	return minio.New(s.addr, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: "us-east-1", MaxRetries: 1,
		Transport: &http.Transport{DisableKeepAlives: true},
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
