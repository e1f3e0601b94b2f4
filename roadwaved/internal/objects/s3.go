package objects

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ hls.Store = (*S3)(nil)

// Config configures an [S3]. The zero value is good.
type Config struct {
	// AccessKey and SecretKey are the credentials. Default: those found in the
	// usual places, see the package comment.
	AccessKey, SecretKey string
	// Attempts is how often a request is tried while the network or the server
	// fails, 1 to 20, with pauses that double from 0.1 s to 5 s. Default 5,
	// about 1.5 s of pauses.
	Attempts int
	// Stall is how long the store may take or give nothing before an attempt
	// has failed, 1 s or more. Default 30 s.
	Stall time.Duration
	// Logger hears of attempts that failed, at the level debug. Default: nothing.
	Logger *slog.Logger
}

func (c *Config) fill() error {
	c.Attempts = cmp.Or(c.Attempts, 5)
	c.Stall = cmp.Or(c.Stall, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Attempts < 1 || c.Attempts > 20:
		return fmt.Errorf("objects: Attempts is %d, give 1 to 20", c.Attempts)
	case c.Stall < time.Second:
		return fmt.Errorf("objects: Stall is %v, give 1 s or more", c.Stall)
	case (c.AccessKey == "") != (c.SecretKey == ""):
		return errors.New("objects: AccessKey and SecretKey come together")
	}
	return nil
}

// An S3 is a [hls.Store] in a bucket. An error that is [station.ErrAway] says
// that the store does not answer now.
//
// A body of up to 8 MiB is in memory while it is put; of larger ones, all
// that are put at the same time together, at most 48 MiB is.
type S3 struct {
	cfg       Config
	at        address
	client    minio.Core
	transport *http.Transport
	slots     chan struct{} // one per buffer in use
	free      chan []byte   // buffers not in use
	large     atomic.Int64  // objects being put in parts
}

// Open makes a store of the bucket at an address, see the package comment. It
// does not connect: [S3.Ping] tells whether the store answers.
func Open(_ context.Context, url string, cfg Config) (*S3, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	at, err := parse(url)
	if err != nil {
		return nil, err
	}
	transport := newTransport(cfg.Stall)
	client, err := minio.NewCore(at.host, &minio.Options{
		Creds:        keys(cfg),
		Secure:       at.secure,
		Transport:    transport,
		Region:       at.region,
		BucketLookup: at.lookup,
		MaxRetries:   1, // try knows better what went wrong, and when to stop
	})
	if err != nil {
		return nil, fmt.Errorf("objects: bucket %s at %s: %w", at.bucket, at.host, err)
	}
	return &S3{
		cfg: cfg, at: at, client: *client, transport: transport,
		slots: make(chan struct{}, maxMemory/partSize), free: make(chan []byte, maxMemory/partSize),
	}, nil
}

// Close lets go of idle connections. No method may be running.
func (s *S3) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Ping asks once for one name in the bucket, which tells whether there is such a
// bucket and the keys fit.
func (s *S3) Ping(ctx context.Context) error {
	for info := range s.client.ListObjectsIter(ctx, s.at.bucket, minio.ListObjectsOptions{Prefix: s.at.name(""), MaxKeys: 1, Recursive: true}) {
		if info.Err != nil {
			return s.fault(ctx, "listing", info.Err)
		}
		return nil
	}
	if ctx.Err() != nil {
		return s.fault(ctx, "listing", ctx.Err())
	}
	return nil
}

// Put implements [hls.Store]. A body larger than 8 MiB goes in parts, some
// of them at the same time; when that fails they are deleted again, or left to
// [S3.AbortIncomplete].
func (s *S3) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := hls.CheckKey(key); err != nil {
		return err
	}
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("objects: measuring what is to be stored as %s: %w", key, err)
	}
	if size > partSize {
		return s.putParts(ctx, key, body, size)
	}
	whole := make([]byte, size)
	if err := readFull(body, whole); err != nil {
		return err
	}
	sums := s.sums(whole)
	return s.try(ctx, "storing "+key, func() error {
		_, err := s.client.PutObject(ctx, s.at.bucket, s.at.name(key), bytes.NewReader(whole), size, sums.md5, sums.sha256, s.putOptions(key))
		return err
	})
}

// putOptions are what a bucket must know so that it can serve an object as the
// daemon would.
func (s *S3) putOptions(key string) minio.PutObjectOptions {
	o := minio.PutObjectOptions{
		ContentType:          hls.ContentType(key),
		DisableContentSha256: true, // ours is in the request; over TLS none is needed
	}
	if strings.HasPrefix(key, station.LivePrefix) || strings.HasPrefix(key, station.ReplayPrefix) {
		o.CacheControl = hls.CacheControl(key)
		if s.at.acl != "" {
			o.UserMetadata = map[string]string{"x-amz-acl": s.at.acl}
		}
	}
	return o
}

// checksums go with a body so that the store can tell it is whole. A trailing
// CRC, the newer way, is refused by some stores.
type checksums struct {
	md5    string // base64
	sha256 string // hex; empty over TLS
}

func (s *S3) sums(body []byte) checksums {
	sum := md5.Sum(body)
	c := checksums{md5: base64.StdEncoding.EncodeToString(sum[:])}
	if !s.at.secure {
		sum := sha256.Sum256(body)
		c.sha256 = hex.EncodeToString(sum[:])
	}
	return c
}

// Delete implements [hls.Store].
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := hls.CheckKey(key); err != nil {
		return err
	}
	err := s.try(ctx, "deleting "+key, func() error {
		return s.client.RemoveObject(ctx, s.at.bucket, s.at.name(key), minio.RemoveObjectOptions{})
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements [hls.Store]. What is in the bucket and could not have been put
// by a store is left out.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[hls.Info, error] {
	return func(yield func(hls.Info, error) bool) {
		var last string // where to go on after a failure
		stopped := false
		err := s.try(ctx, "listing", func() error {
			for info := range s.client.ListObjectsIter(ctx, s.at.bucket, minio.ListObjectsOptions{Prefix: s.at.name(prefix), StartAfter: last, Recursive: true}) {
				if info.Err != nil {
					return info.Err
				}
				last = info.Key
				key, ours := s.at.key(info.Key)
				if !ours || hls.CheckKey(key) != nil {
					continue
				}
				if !yield(hls.Info{Key: key, Size: info.Size, ModTime: info.LastModified, ETag: quoted(info.ETag)}, nil) {
					stopped = true
					return nil
				}
			}
			return ctx.Err() // the library ends silently
		})
		if err != nil && !stopped {
			yield(hls.Info{}, err)
		}
	}
}

func quoted(tag string) string {
	if tag == "" {
		return ""
	}
	return `"` + tag + `"`
}
