package relive

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A Maker makes a replay from a recording; [replay.Maker] is one.
type Maker interface {
	Make(ctx context.Context, job replay.Job) (replay.Result, error)
}

// Config makes a [Worker].
type Config struct {
	Lives interface {
		Live(ctx context.Context, id string) (station.Live, error)
	}
	Jobs station.Jobs
	// NewMaker makes the maker of one replay. It is called for each, so that a
	// missing FFmpeg can be installed while the daemon runs; what it logs should
	// go to log, which names the live.
	NewMaker func(ctx context.Context, log *slog.Logger, progress func(replay.Progress)) (Maker, error)
	// Store has the recordings, at [station.RawKey], and receives the replays.
	Store hls.Store
	// TempDir is where recordings are worked on, each in a folder relive-* of its
	// own: twice their size. "" is the system's. A process that was killed
	// leaves its folders there.
	TempDir string
	// Name is the worker's, unique among those that run and ran. Default: host
	// name, process id and a word made by chance.
	Name string
	// Lease is how long a job stays this worker's when the worker is not
	// heard of. It is renewed three times in that time. Default 1 min.
	Lease time.Duration
	// Attempts is after how many failures a job is parked; a worker that dies
	// of it has failed. Default 5.
	Attempts int
	// Patience is how long finished work is kept in hand while the store or the
	// catalog that should take it is away. Default 15 min.
	Patience time.Duration
	// Overtime is what a replay may take beyond twice the length of its live.
	// Default 30 min.
	Overtime time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is for engineers. Default: nothing.
	Logger *slog.Logger
}

// A Worker makes replays. Handle may be called at the same time for several.
type Worker struct {
	cfg Config
	// room is shared by the jobs at work; one that kills workers has it alone.
	room *semaphore.Weighted
	// lacking counts the jobs in a row that this worker lacked something for.
	lacking atomic.Int32
}

// everyone is all of a worker's room.
const everyone = 1 << 20

// New makes a worker.
func New(cfg Config) (*Worker, error) {
	if cfg.Lives == nil || cfg.Jobs == nil || cfg.NewMaker == nil || cfg.Store == nil {
		return nil, errors.New("relive: Config needs Lives, Jobs, NewMaker and Store")
	}
	if cfg.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("relive: naming this worker: %w", err)
		}
		// In a container every process is the first one, and comes back under
		// the same host name.
		cfg.Name = fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:6])
	}
	cfg.Lease = cmp.Or(cfg.Lease, time.Minute)
	cfg.Attempts = cmp.Or(cfg.Attempts, 5)
	cfg.Patience = cmp.Or(cfg.Patience, 15*time.Minute)
	cfg.Overtime = cmp.Or(cfg.Overtime, 30*time.Minute)
	if cfg.Lease < time.Second || cfg.Attempts < 1 || cfg.Patience < 0 || cfg.Overtime < 0 {
		return nil, fmt.Errorf("relive: Lease is %v, Attempts %d, Patience %v and Overtime %v: give 1 s or more, 1 or more, and what is not negative",
			cfg.Lease, cfg.Attempts, cfg.Patience, cfg.Overtime)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{cfg: cfg, room: semaphore.NewWeighted(everyone)}, nil
}

// ReplayID is the id of the replay of a live. It follows from the live's id, so
// that whoever makes the replay again writes over what was begun before.
func ReplayID(liveID string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("roadwave replay "+liveID)).String()
}

// key is where the files of a live's replay are in the store.
func key(liveID string) string { return station.ReplayPrefix + ReplayID(liveID) }

// Handle makes the replay of a live, as a queue delivers it. It returns an error
// when the job should be delivered again; a job that is over, in other hands,
// still uploading or beyond help returns nil.
func (w *Worker) Handle(ctx context.Context, liveID string) error {
	log := w.cfg.Logger.With("live_id", liveID)
	// Before the claim: who waits here when the worker dies has not failed.
	share := w.share(ctx, liveID)
	if err := w.room.Acquire(ctx, share); err != nil {
		return err
	}
	defer w.room.Release(share)
	var claim station.Claim
	asked := time.Now()
	err := station.Within(ctx, answerTime, func(ctx context.Context) (err error) {
		claim, err = w.cfg.Jobs.Claim(ctx, liveID, w.cfg.Name, w.cfg.Now(), w.cfg.Lease)
		return err
	})
	switch {
	case errors.Is(err, station.ErrJobOver), errors.Is(err, station.ErrClaimed):
		log.Debug("replay not begun: nothing to do", "why", err)
		return nil
	case errors.Is(err, station.ErrNotFound):
		log.Warn("the queue names a live that the catalog has no job for: are Redis and database of the same house?", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("relive: claiming the job: %w", err)
	}
	j := &job{worker: w, claim: claim, log: log, begun: w.cfg.Now(), kept: asked}
	before := j.attempts(ctx) - 1
	j.log = log.With("attempt", before+1)
	if before >= w.cfg.Attempts {
		// Nobody came to say that they failed: a job that kills its process
		// would do so again, and cut every live on air each time.
		return j.finish(ctx, fmt.Errorf("relive: the last of %d attempts did not come back: the worker died of it", before))
	}
	j.log.Info("replay begun", "fence", claim.Fence, "worker", w.cfg.Name)
	made := j.run(ctx)
	defer w.rest(ctx, made)
	return j.finish(ctx, made)
}

// share is the room that a job gets. One whose attempts ended without a word is
// suspected of killing its worker, and the jobs beside it with it: soon it is
// tried alone, or they would be parked as well.
func (w *Worker) share(ctx context.Context, liveID string) int64 {
	j, err := w.job(ctx, liveID)
	if err == nil && j.State == station.JobRunning && j.Lease.Before(w.cfg.Now()) && j.Attempts >= 2 {
		return everyone
	}
	return 1
}

// job finds a job in the catalog.
func (w *Worker) job(ctx context.Context, liveID string) (job station.Job, err error) {
	err = station.Within(ctx, answerTime, func(ctx context.Context) error {
		job, err = w.cfg.Jobs.Job(ctx, liveID)
		return err
	})
	return job, err
}
