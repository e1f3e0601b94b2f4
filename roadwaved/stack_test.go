package main

import (
	"context"
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
)

// A stack is what several daemons and workers stand on: real servers.
type stack struct {
	t        testing.TB
	database *postgrestest.Server
	redis    *redistest.Server
	storage  *objectstest.Server
	env      []string // that makes a daemon use them
	url      string   // of the database
	bucket   string   // address of the bucket
	opened   *postgres.Catalog
	workers  []*testProcess
}

func startStack(t testing.TB) *stack {
	t.Helper()
	mediatest.Tool(t, "ffmpeg")
	s := &stack{t: t, database: postgrestest.Start(t, postgrestest.Options{}), redis: redistest.Start(t), storage: objectstest.Start(t)}
	s.url, s.bucket = s.database.Database(t), s.storage.Bucket(t, "radio")
	s.env = []string{
		"ROADWAVE_DATABASE_URL=" + s.url,
		"ROADWAVE_REDIS_URL=" + s.redis.URL,
		"ROADWAVE_STORAGE_URL=" + s.bucket,
		"AWS_ACCESS_KEY_ID=" + s.storage.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.storage.SecretKey,
	}
	return s
}

// daemon starts a daemon of the house that makes no replays itself.
func (s *stack) daemon(args ...string) *testDaemon {
	s.t.Helper()
	return s.daemonOn(s.t.TempDir(), args...)
}

func (s *stack) daemonOn(data string, args ...string) *testDaemon {
	s.t.Helper()
	return startDaemonIn(s.t, s.env, data, append([]string{"--workers", "0"}, args...)...)
}

func (s *stack) worker(args ...string) *testProcess {
	s.t.Helper()
	args = append([]string{"worker", "--data", s.t.TempDir(), "--log-level", "debug"}, args...)
	p := startProcess(s.t, s.env, args, func(line []string) bool { return line[0] == "admin" })
	s.workers = append(s.workers, p)
	return p
}

// catalog looks into the database.
func (s *stack) catalog() *postgres.Catalog {
	s.t.Helper()
	if s.opened == nil {
		c, err := postgres.Open(context.Background(), s.url, postgres.Config{})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { c.Close() })
		s.opened = c
	}
	return s.opened
}
