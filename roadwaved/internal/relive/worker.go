package relive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/opusrec"
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
	// missing FFmpeg can be installed while the daemon runs.
	NewMaker func(ctx context.Context, progress func(replay.Progress)) (Maker, error)
	Store    hls.Store
	// Recordings gives the path of a live's recording.
	Recordings func(liveID string) string
	// Name is the worker's, unique among those that run. Default: host name
	// and process id.
	Name string
	// Lease is how long a job stays this worker's when the worker is not
	// heard of. It is renewed three times in that time. Default 1 min.
	Lease time.Duration
	// Attempts is after how many failures a job is parked; a worker that dies
	// of it has failed. Default 5.
	Attempts int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is for engineers. Default: nothing.
	Logger *slog.Logger
}

// A Worker makes replays. Handle may be called at the same time for several.
type Worker struct{ cfg Config }

// New makes a worker.
func New(cfg Config) (*Worker, error) {
	if cfg.Lives == nil || cfg.Jobs == nil || cfg.NewMaker == nil || cfg.Store == nil || cfg.Recordings == nil {
		return nil, errors.New("relive: Config needs Lives, Jobs, NewMaker, Store and Recordings")
	}
	if cfg.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("relive: naming this worker: %w", err)
		}
		cfg.Name = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	cfg.Lease = cmp.Or(cfg.Lease, time.Minute)
	cfg.Attempts = cmp.Or(cfg.Attempts, 5)
	if cfg.Lease < time.Second || cfg.Attempts < 1 {
		return nil, fmt.Errorf("relive: Lease is %v and Attempts %d: give 1 s or more and 1 or more", cfg.Lease, cfg.Attempts)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{cfg: cfg}, nil
}

// ReplayID is the id of the replay of a live. It follows from the live's id, so
// that whoever makes the replay again writes over what was begun before.
func ReplayID(liveID string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("roadwave replay "+liveID)).String()
}

// Handle makes the replay of a live, as a queue delivers it. It returns an error
// when the job should be delivered again; a job that is over, in other hands or
// beyond help returns nil.
func (w *Worker) Handle(ctx context.Context, liveID string) error {
	log := w.cfg.Logger.With("live_id", liveID)
	claim, err := w.cfg.Jobs.Claim(ctx, liveID, w.cfg.Name, w.cfg.Now(), w.cfg.Lease)
	switch {
	case errors.Is(err, station.ErrJobOver), errors.Is(err, station.ErrClaimed):
		log.Debug("nothing to do", "why", err)
		return nil
	case errors.Is(err, station.ErrNotFound):
		log.Warn("job of a live that has none", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("relive: claiming the job: %w", err)
	}
	j := &job{worker: w, claim: claim, log: log, begun: w.cfg.Now()}
	if before := j.attempts(ctx) - 1; before >= w.cfg.Attempts {
		// Nobody came to say that they failed: a job that kills its process
		// would do so again, and cut every live on air each time.
		return j.finish(ctx, fmt.Errorf("relive: the last of %d attempts did not come back: the worker died of it", before))
	}
	log.Info("replay begun", "fence", claim.Fence)
	return j.finish(ctx, j.run(ctx))
}

// A job is one replay in the making.
type job struct {
	worker *Worker
	claim  station.Claim
	log    *slog.Logger
	begun  time.Time

	mu   sync.Mutex
	step string
	done float64
}

// errNothing is the end of a job whose recording holds nothing to listen to.
var errNothing = errors.New("nothing to listen to")

// run makes and publishes the replay while the claim is renewed beside it. A
// panic fails the job as an error does: it must be counted, or it would come
// back for ever.
func (j *job) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			j.log.Error("panic while making a replay", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("relive: panic: %v", p)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { j.renew(ctx, cancel) })
	defer renewing.Wait()
	defer cancel(nil)

	live, err := j.worker.cfg.Lives.Live(ctx, j.claim.LiveID)
	if err != nil {
		return err
	}
	made, err := j.make(ctx, live)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	r := station.Replay{
		ID:          ReplayID(live.ID),
		LiveID:      live.ID,
		Title:       station.ReplayTitle(live.Title),
		GeoType:     station.GeoNeutral,
		PublishedAt: j.worker.cfg.Now().UTC().Truncate(time.Microsecond),
		Duration:    made.Duration.Truncate(time.Microsecond),
		Key:         key(live.ID),
		Loudness:    made.After.Integrated,
		Removed:     removed(made),
	}
	if err := j.worker.cfg.Jobs.Publish(ctx, j.claim, r); err != nil {
		return err
	}
	j.log.Info("replay published", "replay_id", r.ID, "duration", r.Duration,
		"lufs", r.Loudness, "silence_removed", r.Removed, "took", j.worker.cfg.Now().Sub(j.begun))
	return nil
}

func removed(r replay.Result) (sum time.Duration) {
	for _, cut := range r.Removed {
		sum += cut.Duration()
	}
	return sum.Truncate(time.Microsecond)
}

// key is where the files of a live's replay are in the store.
func key(liveID string) string { return "replay/" + ReplayID(liveID) }

func (j *job) make(ctx context.Context, live station.Live) (replay.Result, error) {
	path := j.worker.cfg.Recordings(live.ID)
	j.report(replay.Progress{Step: "recover"})
	report, err := opusrec.Recover(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && live.Stats.Duration > 0:
		return replay.Result{}, fmt.Errorf("relive: the recording of %v is not where it should be, put it back: %w", live.Stats.Duration, err)
	case errors.Is(err, fs.ErrNotExist):
		return replay.Result{}, fmt.Errorf("%w: the live was never heard", errNothing)
	case errors.Is(err, opusrec.ErrEmpty):
		return replay.Result{}, fmt.Errorf("%w: %w", errNothing, err)
	case err != nil:
		return replay.Result{}, err
	}
	if report.Duration == 0 {
		return replay.Result{}, fmt.Errorf("%w: the live ended before its first packet", errNothing)
	}
	j.log.Debug("recording checked", "duration", report.Duration, "intact", report.Intact, "lost", report.LostTime)
	maker, err := j.worker.cfg.NewMaker(ctx, j.report)
	if err != nil {
		return replay.Result{}, err
	}
	return maker.Make(ctx, replay.Job{
		Recording: path,
		Tags:      replay.Tags{Title: live.Title, Artist: live.CreatorID, Date: live.StartedAt},
		Store:     j.worker.cfg.Store,
		Prefix:    key(live.ID),
	})
}

// report notes progress for the next renewal.
func (j *job) report(p replay.Progress) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.step, j.done = string(p.Step), p.Fraction
}

// renew keeps the claim until ctx ends, and ends the work when the claim is lost.
func (j *job) renew(ctx context.Context, lost context.CancelCauseFunc) {
	lease := j.worker.cfg.Lease
	tick := time.NewTicker(min(lease/3, 2*time.Second)) // often enough for progress to be seen
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		j.mu.Lock()
		step, done := j.step, j.done
		j.mu.Unlock()
		err := j.worker.cfg.Jobs.Renew(ctx, j.claim, j.worker.cfg.Now().Add(lease), step, done)
		switch {
		case errors.Is(err, station.ErrFenced):
			lost(err)
			return
		case err != nil && ctx.Err() == nil:
			j.log.Warn("claim not renewed, trying again", "err", err)
		}
	}
}

// releasePatience bounds giving a job back while the daemon stops.
const releasePatience = 5 * time.Second

// finish writes down how the job ended and says whether to deliver it again.
func (j *job) finish(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, station.ErrFenced):
		j.log.Warn("replay given up: another worker has it", "err", err)
		return nil
	}
	stopped := errors.Is(ctx.Err(), context.Canceled) // a deadline would be missed again
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releasePatience)
	defer cancel()
	// Without a reason the attempt does not count: it was not the job's fault.
	state, reason := station.JobPending, err.Error()
	switch {
	case stopped:
		reason = ""
		j.log.Info("replay interrupted, it will be made again")
	case errors.Is(err, replay.ErrFFmpeg):
		reason = ""
		j.log.Error("replay waits for ffmpeg", "err", err)
	case hopeless(err):
		state = station.JobEmpty
		j.log.Info("no replay", "why", err)
	case j.attempts(ctx) >= j.worker.cfg.Attempts:
		state = station.JobParked
		j.log.Error("replay failed too often and is parked: a human must look", "err", err)
	default:
		j.log.Warn("replay failed, it will be tried again", "err", err)
	}
	if e := j.worker.cfg.Jobs.Release(ctx, j.claim, state, reason); e != nil {
		return errors.Join(err, fmt.Errorf("relive: giving the job back: %w", e))
	}
	if state == station.JobPending {
		return err
	}
	return nil
}

// hopeless tells whether trying again cannot help.
func hopeless(err error) bool {
	return errors.Is(err, errNothing) || errors.Is(err, replay.ErrEmpty) || errors.Is(err, replay.ErrSilent)
}

func (j *job) attempts(ctx context.Context) int {
	job, err := j.worker.cfg.Jobs.Job(ctx, j.claim.LiveID)
	if err != nil {
		return 0
	}
	return job.Attempts
}
