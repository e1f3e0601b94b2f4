package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Config makes an [Archive].
type Config struct {
	Store hls.Store     // where the recordings go. Required
	Jobs  station.Jobs  // required
	Lives station.Lives // required
	Queue station.Queue // required
	// Recordings is the folder with <live_id>.opus. It is created, and a file
	// .roadwave in it tells it from the empty place of its disk. Required.
	Recordings string
	// Node is the name of this daemon in the catalog. Default "local".
	Node string
	// Recording tells whether this process still writes the recording of a
	// live: it is then left alone, whatever the catalog says. Default: none.
	Recording func(liveID string) bool
	// Interval is the time between two looks at the catalog, 1 s or more.
	// Default 15 s.
	Interval time.Duration
	// Concurrency is how many recordings are uploaded at the same time, 1 to
	// 64. Default 2.
	Concurrency int
	// PutTimeout bounds one attempt to upload a recording. Default 1 h.
	PutTimeout time.Duration
	// MinFree is how many bytes of the disk must be free: with less, Run says so
	// as an error once per minute. Default 1 GiB; below 0: never.
	MinFree int64
	// Logger hears of uploads. Default: nothing.
	Logger *slog.Logger
}

func (c *Config) fill() error {
	if c.Store == nil || c.Jobs == nil || c.Lives == nil || c.Queue == nil || c.Recordings == "" {
		return errors.New("archive: Config needs Store, Jobs, Lives, Queue and Recordings")
	}
	c.Node = cmp.Or(c.Node, "local")
	c.Interval = cmp.Or(c.Interval, 15*time.Second)
	c.Concurrency = cmp.Or(c.Concurrency, 2)
	c.PutTimeout = cmp.Or(c.PutTimeout, time.Hour)
	c.MinFree = cmp.Or(c.MinFree, 1<<30)
	if c.Recording == nil {
		c.Recording = func(string) bool { return false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Interval < time.Second:
		return fmt.Errorf("archive: Interval is %v, it must be 1 s or more", c.Interval)
	case c.Concurrency < 1 || c.Concurrency > 64:
		return fmt.Errorf("archive: Concurrency is %d, it must be 1 to 64", c.Concurrency)
	case c.PutTimeout < 0:
		return fmt.Errorf("archive: PutTimeout is %v, it cannot be negative", c.PutTimeout)
	}
	return nil
}

// An Archive uploads the recordings of this daemon whose jobs wait for it
// ([station.JobUploading]).
type Archive struct {
	cfg  Config
	wake chan struct{}

	mu      sync.Mutex
	at      map[string]bool     // lives being uploaded
	failed  map[string]*failure // lives to be tried again
	backlog Backlog
	told    map[string]bool // files nobody knows what to do with, by name: said once
	warned  time.Time       // of the full disk
}

// A failure is an upload to be tried again.
type failure struct {
	count int
	next  time.Time
}

// A Backlog is what waits to be uploaded.
type Backlog struct {
	Recordings int
	Failing    int   // those of them whose last attempt failed
	Bytes      int64 // on the disk
	Oldest     time.Time
}

// New makes an archive. It starts nothing: call [Archive.Run].
func New(cfg Config) (*Archive, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Recordings, 0o700); err != nil {
		return nil, fmt.Errorf("archive: making the folder of recordings: %w", err)
	}
	return &Archive{
		cfg: cfg, wake: make(chan struct{}, 1),
		at: make(map[string]bool), failed: make(map[string]*failure), told: make(map[string]bool),
	}, nil
}

// Nudge says that a live has ended, so that its recording is uploaded at once.
func (a *Archive) Nudge(liveID string) {
	a.mu.Lock()
	delete(a.failed, liveID)
	a.mu.Unlock()
	a.nudge()
}

func (a *Archive) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Pending is what waited for its upload when the catalog was last asked.
func (a *Archive) Pending() Backlog {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.backlog
}

// path is where the recording of a live is on the disk.
func (a *Archive) path(liveID string) string {
	return filepath.Join(a.cfg.Recordings, station.RawFile(liveID))
}

// named tells whether a live id can be part of a path; those of the catalog are.
func named(liveID string) bool {
	return hls.CheckKey(liveID) == nil && !strings.Contains(liveID, "/")
}

// Run uploads until ctx ends, then stops what is being uploaded and returns nil.
// What it cannot do it tries again: a store, a catalog or a queue that is away is
// no reason to return.
func (a *Archive) Run(ctx context.Context) error {
	var uploads sync.WaitGroup
	defer uploads.Wait()
	uploads.Go(func() { a.sweepAll(ctx) })
	tick := time.NewTicker(a.cfg.Interval)
	defer tick.Stop()
	for {
		if err := a.start(ctx, &uploads); err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("recordings wait on this disk, asking the catalog again", "in", a.cfg.Interval, "err", err)
		}
		a.watchDisk()
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-tick.C:
		}
	}
}

// catalogPatience is how long a question to the catalog may take.
const catalogPatience = 15 * time.Second

// start looks for recordings to upload, the oldest first, and begins with as many
// as there is room for.
func (a *Archive) start(ctx context.Context, uploads *sync.WaitGroup) error {
	jobs, err := a.uploading(ctx)
	if err != nil {
		return err
	}
	a.count(jobs)
	if err := a.mark(jobs); err != nil {
		a.cfg.Logger.Error("the folder of recordings cannot be used, is its disk there?", "err", err)
	}
	for _, job := range jobs {
		if ctx.Err() != nil || !a.claim(job.LiveID) {
			continue
		}
		uploads.Go(func() {
			err := a.upload(ctx, job)
			a.release(ctx, job.LiveID, err)
			a.nudge() // there is room for the next
		})
	}
	return nil
}

// uploading lists the jobs that wait for this daemon.
func (a *Archive) uploading(ctx context.Context) ([]station.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	var all []station.Job
	q := station.JobQuery{States: []station.JobState{station.JobUploading}, Node: a.cfg.Node}
	err := station.EachJob(ctx, a.cfg.Jobs.ListJobs, q, func(j station.Job) error {
		all = append(all, j)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("archive: asking the catalog for recordings to upload: %w", err)
	}
	return all, nil
}

// count notes what waits.
func (a *Archive) count(jobs []station.Job) {
	b := Backlog{Recordings: len(jobs)}
	if len(jobs) > 0 {
		b.Oldest = jobs[0].Opened
	}
	for _, j := range jobs {
		if info, err := os.Stat(a.path(j.LiveID)); named(j.LiveID) && err == nil {
			b.Bytes += info.Size()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting := make(map[string]*failure, len(a.failed))
	for _, j := range jobs {
		if f := a.failed[j.LiveID]; f != nil {
			waiting[j.LiveID] = f
			b.Failing++
		}
	}
	a.failed, a.backlog = waiting, b // what was uploaded meanwhile is forgotten
}

// claim takes a live for uploading, if there is room and it is time.
func (a *Archive) claim(liveID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.failed[liveID]
	if a.at[liveID] || len(a.at) >= a.cfg.Concurrency || f != nil && time.Now().Before(f.next) {
		return false
	}
	a.at[liveID] = true
	return true
}

// The pauses between two attempts to upload a recording.
const (
	firstPause = 2 * time.Second
	longPause  = time.Minute
)

func (a *Archive) release(ctx context.Context, liveID string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.at, liveID)
	if err == nil || ctx.Err() != nil {
		delete(a.failed, liveID)
		return
	}
	f := a.failed[liveID]
	if f == nil {
		f = &failure{}
		a.failed[liveID] = f
	}
	pause := min(firstPause<<min(f.count, 10), longPause)
	f.count++
	f.next = time.Now().Add(pause)
	time.AfterFunc(pause, a.nudge)
	level := slog.LevelWarn
	if errors.Is(err, errUnmarked) {
		level = slog.LevelError
	}
	a.cfg.Logger.Log(ctx, level, "recording not uploaded, trying again", "live_id", liveID, "attempt", f.count, "in", pause, "err", err)
}
