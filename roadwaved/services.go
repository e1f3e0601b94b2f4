package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/objects"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres"
	"github.com/roadwave/roadwave/roadwaved/internal/redis"
	"github.com/roadwave/roadwave/roadwaved/internal/sqlite"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// services are what all commands have in common: catalog, Redis and object
// store, elsewhere or in the data folder. What they own is closed in the order
// opposite to that in which it was opened.
type services struct {
	cfg Config
	log *slog.Logger

	catalog station.Catalog
	redis   *redis.Redis
	queue   station.Queue
	objects hls.Store
	// liveObjects is the same store, for media that need not survive a crash.
	liveObjects hls.Store
	checkStore  func(context.Context) error
	// abortUploads clears what uploads left that were never finished; nil where
	// nothing is left.
	abortUploads func(ctx context.Context, before time.Time, dryRun bool) (int, int64, error)

	closers []func() error
}

func (s *services) path(elements ...string) string {
	return filepath.Join(append([]string{s.cfg.Data}, elements...)...)
}

func (s *services) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *services) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// startPatience is how long a server that is needed may take to come up: those
// of a house are often started together.
const startPatience = 30 * time.Second

// openCatalog opens the database and brings its tables up to date.
func (s *services) openCatalog(ctx context.Context) error {
	if s.cfg.DatabaseURL == "" {
		if _, err := os.Stat(s.cfg.Data); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no folder %s: set --data (%s) to that of a daemon, or --database-url (%s) where the house has PostgreSQL",
				s.cfg.Data, envName("data"), envName("database-url"))
		}
		catalog, err := sqlite.Open(ctx, s.path("catalog.sqlite"))
		if err != nil {
			return err
		}
		s.catalog = catalog
		s.onClose(catalog.Close)
		return nil
	}
	return s.patiently(ctx, "database-url", func(ctx context.Context) error {
		if _, _, err := postgres.Migrate(ctx, s.cfg.DatabaseURL, s.log); err != nil {
			return err
		}
		return s.openPostgres(ctx)
	})
}

// lookAtCatalog opens the database as it is: who only looks, or tidies up, must
// not make tables that the daemons at work do not know. Somebody sits there and
// waits for the answer: a database that is away is one.
func (s *services) lookAtCatalog(ctx context.Context) error {
	if s.cfg.DatabaseURL == "" {
		return s.openCatalog(ctx)
	}
	if err := s.openPostgres(ctx); err != nil {
		return fmt.Errorf("--database-url: %w", err)
	}
	return nil
}

func (s *services) openPostgres(ctx context.Context) error {
	catalog, err := postgres.Open(ctx, s.cfg.DatabaseURL, postgres.Config{Logger: s.log})
	if err != nil {
		return err
	}
	s.catalog = catalog
	s.onClose(catalog.Close)
	return nil
}

// patiently tries again while a service is away, for startPatience.
func (s *services) patiently(ctx context.Context, flag string, try func(context.Context) error) error {
	deadline := time.Now().Add(startPatience)
	for level := slog.LevelWarn; ; level = slog.LevelDebug { // once is enough
		err := try(ctx)
		if err == nil || !errors.Is(err, station.ErrAway) || time.Now().After(deadline) {
			if err != nil {
				err = fmt.Errorf("--%s: %w", flag, err)
			}
			return err
		}
		s.log.Log(ctx, level, "waiting for a server that does not answer", "setting", "--"+flag, "patience", startPatience, "err", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// openRedis connects, or starts the one in this process. A server that is away
// is no reason not to start: lives go on without it.
func (s *services) openRedis(ctx context.Context) (err error) {
	if s.cfg.RedisURL == "" {
		s.redis, err = redis.Embedded(redis.Config{Logger: s.log})
	} else {
		s.redis, err = redis.Dial(s.cfg.RedisURL, redis.Config{Logger: s.log})
	}
	if err != nil {
		return usageError{fmt.Errorf("--redis-url (%s): %w", envName("redis-url"), err)}
	}
	s.onClose(s.redis.Close)
	s.queue = s.redis.Queue()
	return nil
}

// openObjects opens the object store. One that is away is no reason not to
// start: recordings wait on the disk.
func (s *services) openObjects(ctx context.Context) error {
	if s.cfg.StorageURL == "" {
		dir, err := hls.NewDir(s.path("objects"))
		if err != nil {
			return err
		}
		s.onClose(dir.Close)
		s.objects, s.liveObjects = dir, dir.WithoutSync()
		s.checkStore = func(context.Context) error { return writable(s.path("objects")) }
		return nil
	}
	store, err := objects.Open(ctx, s.cfg.StorageURL, objects.Config{Logger: s.log})
	if err != nil {
		return usageError{fmt.Errorf("--storage-url (%s): %w", envName("storage-url"), err)}
	}
	s.onClose(store.Close)
	s.objects, s.liveObjects = store, store
	s.checkStore, s.abortUploads = store.Ping, store.AbortIncomplete
	return nil
}

// shared tells whether other processes may work on the same lives and jobs.
func (s *services) shared() bool { return s.cfg.RedisURL != "" || s.cfg.DatabaseURL != "" }

// writable tells whether a folder can be written to.
func writable(folder string) error {
	f, err := os.CreateTemp(folder, ".ready-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
