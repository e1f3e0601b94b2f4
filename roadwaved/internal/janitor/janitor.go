package janitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A Catalog is the part of [station.Catalog] that says what is over.
type Catalog interface {
	station.Chores
	Ping(ctx context.Context) error
	Live(ctx context.Context, id string) (station.Live, error)
	Job(ctx context.Context, liveID string) (station.Job, error)
	ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error)
	Replay(ctx context.Context, id string) (station.Replay, error)
	ReplayOf(ctx context.Context, liveID string) (station.Replay, error)
	ForgetEvents(ctx context.Context, before time.Time, dryRun bool) (int64, error)
}

// Config makes a [Janitor].
type Config struct {
	Catalog Catalog   // required
	Store   hls.Store // required
	// ReplayID gives the id that the replay of a live has or will have. Required.
	ReplayID func(liveID string) string
	// AbortUploads clears uploads into the store that were begun before a time
	// and never finished, and tells how many and how many bytes they were.
	// nil: there is no such thing.
	AbortUploads func(ctx context.Context, before time.Time, dryRun bool) (uploads int, bytes int64, err error)
	// SweepTemp deletes the temporary folders on this machine that dead processes
	// left behind, and tells how many they were. nil: there are none.
	SweepTemp func(dryRun bool) (folders int, bytes int64, err error)

	// RawRetention is how long a recording stays after its replay is published,
	// or after the end of a live that nobody heard. Default 7 days.
	RawRetention time.Duration
	// AuditRetention is how long audit events stay. Default 90 days.
	AuditRetention time.Duration
	// Grace is the age from which nobody works any more on what belongs to
	// nothing. It must be more than a replay may take to make. Default 24 h.
	Grace time.Duration

	// At is the time of day, UTC, from which Run cleans: 0 (midnight) to 24 h.
	At time.Duration
	// Lease is how long the cleaning stays this daemon's when it is not heard
	// of, 1 s or more. Default 5 min.
	Lease time.Duration
	// Retry is the pause after a cleaning that failed. Default 1 h.
	Retry time.Duration
	// Who names this daemon among those of the house. Required by Run.
	Who string

	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger hears what was freed. Default: nothing.
	Logger *slog.Logger
}

// A Janitor cleans.
type Janitor struct{ cfg Config }

// New makes a janitor. It starts nothing: call [Janitor.Run] or [Janitor.Clean].
func New(cfg Config) (*Janitor, error) {
	if cfg.Catalog == nil || cfg.Store == nil || cfg.ReplayID == nil {
		return nil, errors.New("janitor: Config needs Catalog, Store and ReplayID")
	}
	const day = 24 * time.Hour
	cfg.RawRetention = cmp.Or(cfg.RawRetention, 7*day)
	cfg.AuditRetention = cmp.Or(cfg.AuditRetention, 90*day)
	cfg.Grace = cmp.Or(cfg.Grace, day)
	cfg.Lease = cmp.Or(cfg.Lease, 5*time.Minute)
	cfg.Retry = cmp.Or(cfg.Retry, time.Hour)
	switch {
	case cfg.RawRetention < 0 || cfg.AuditRetention < 0 || cfg.Grace < 0:
		return nil, fmt.Errorf("janitor: RawRetention is %v, AuditRetention %v and Grace %v: none may be negative", cfg.RawRetention, cfg.AuditRetention, cfg.Grace)
	case cfg.At < 0 || cfg.At >= day:
		return nil, fmt.Errorf("janitor: At is %v, it must be a time of day", cfg.At)
	case cfg.Lease < time.Second || cfg.Retry < time.Second:
		return nil, fmt.Errorf("janitor: Lease is %v and Retry %v, both must be 1 s or more", cfg.Lease, cfg.Retry)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Janitor{cfg: cfg}, nil
}
