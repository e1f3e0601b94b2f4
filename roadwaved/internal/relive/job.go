package relive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/roadwave/roadwave/opusrec"
	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A job is one replay in the making.
type job struct {
	worker *Worker
	claim  station.Claim
	log    *slog.Logger
	begun  time.Time

	mu      sync.Mutex
	step    string
	waiting string // for whom, instead of the step
	done    float64
	kept    time.Time // when the claim was last known to be held
}

var (
	// errNothing is the end of a job whose recording holds nothing to listen to.
	errNothing = errors.New("nothing to listen to")
	// errMissing is a recording that should be in the store. A worker that does
	// not find it cannot know that there is none: it may look into another store.
	errMissing = errors.New("its recording is not in the object store")
)

// run makes and publishes the replay while the claim is renewed beside it. A
// panic fails the job as an error does: it must be counted, or it would come
// back for ever.
func (j *job) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			j.log.Error("panic while making a replay", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("relive: panic: %v", p)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { j.renew(ctx, cancel) })
	defer renewing.Wait()
	defer cancel(nil)

	err = j.work(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

func (j *job) work(ctx context.Context) error {
	var live station.Live
	err := j.patiently(ctx, theCatalog, j.worker.cfg.Patience, func() error {
		return station.Within(ctx, answerTime, func(ctx context.Context) (err error) {
			live, err = j.worker.cfg.Lives.Live(ctx, j.claim.LiveID)
			return err
		})
	})
	if err != nil {
		return err
	}
	made, err := j.make(ctx, live)
	if err != nil {
		return err
	}
	return j.publish(ctx, live, made)
}

// make fetches the recording and makes the replay of it, in a folder that is
// gone when it returns.
func (j *job) make(ctx context.Context, live station.Live) (replay.Result, error) {
	folder, err := os.MkdirTemp(j.worker.cfg.TempDir, "relive-*")
	if err != nil {
		return replay.Result{}, &lack{theDisk, fmt.Errorf("a place for the recording: %w", err)}
	}
	defer func() {
		if err := os.RemoveAll(folder); err != nil { // no reason to lose a replay
			j.log.Error("temporary folder not deleted: the daily cleaning does it", "err", err)
		}
	}()
	path, err := j.fetch(ctx, live, folder)
	if err != nil {
		return replay.Result{}, err
	}
	maker, err := j.worker.cfg.NewMaker(ctx, j.log, func(p replay.Progress) {
		j.report(string(p.Step), fetched+p.Fraction*(1-fetched))
	})
	if err != nil {
		return replay.Result{}, err
	}
	most := j.worker.cfg.Overtime + 2*max(live.EndedAt.Sub(live.StartedAt), live.Stats.Duration)
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("relive: no replay after %v: %w", most, context.DeadlineExceeded))
	defer cancel()
	made, err := maker.Make(ctx, replay.Job{
		Recording: path,
		Tags:      replay.Tags{Title: station.ReplayTitle(live.Title), Artist: live.CreatorID, Date: live.StartedAt},
		Store:     patientStore{Store: j.worker.cfg.Store, job: j},
		Prefix:    key(live.ID),
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return made, err
}

// fetch brings the recording here, whole.
func (j *job) fetch(ctx context.Context, live station.Live, folder string) (path string, err error) {
	path, err = j.download(ctx, live, folder)
	raw := station.RawKey(live.ID)
	switch {
	case errors.Is(err, errMissing):
		return "", fmt.Errorf("relive: the worker %s finds no object %q: check that its object store is that of the daemons, "+
			"else put the recording back there (the node %q may still have it in its data folder, the backup a copy), and reopen the job: %w",
			j.worker.cfg.Name, raw, live.Node, err)
	case err != nil:
		return "", err
	}
	j.report("recover", fetched)
	report, err := opusrec.Recover(path)
	if err == nil && report.Duration == 0 {
		err = fmt.Errorf("%w: it ended before its first packet", opusrec.ErrEmpty)
	}
	switch {
	case errors.Is(err, opusrec.ErrEmpty) && live.Heard():
		return "", fmt.Errorf("relive: the object %q holds nothing, its live was heard for %v: put the recording there and reopen the job: %w", raw, live.Stats.Duration, err)
	case errors.Is(err, opusrec.ErrEmpty):
		return "", fmt.Errorf("%w: %w", errNothing, err)
	case err != nil:
		return "", fmt.Errorf("relive: the object %q is no recording that can be used: %w", raw, err)
	}
	j.log.Debug("recording checked", "duration", report.Duration, "intact", report.Intact, "lost", report.LostTime)
	return path, nil
}

// publishTries is how often a catalog that answers is asked to publish.
const publishTries = 4

// publish writes the replay into the catalog. What was made is not thrown away
// for a catalog that is starting again.
func (j *job) publish(ctx context.Context, live station.Live, made replay.Result) error {
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
	j.report("publish", 1)
	refused := 0
	err := j.patiently(ctx, theCatalog, j.worker.cfg.Patience, func() error {
		err := station.Within(ctx, answerTime, func(ctx context.Context) error { return j.worker.cfg.Jobs.Publish(ctx, j.claim, r) })
		if err == nil || errors.Is(err, station.ErrAway) || errors.Is(err, station.ErrFenced) {
			return err
		}
		if refused++; refused < publishTries {
			return errors.Join(station.ErrAway, err) // a connection may have been cut in the middle
		}
		return err
	})
	if err != nil {
		return err
	}
	j.log.Info("replay published", "replay_id", r.ID, "duration", r.Duration,
		"lufs", math.Round(100*r.Loudness)/100, "silence_removed", r.Removed, "took", j.worker.cfg.Now().Sub(j.begun))
	return nil
}

func removed(r replay.Result) (sum time.Duration) {
	for _, cut := range r.Removed {
		sum += cut.Duration()
	}
	return sum.Truncate(time.Microsecond)
}

func (j *job) attempts(ctx context.Context) int {
	job, err := j.worker.job(ctx, j.claim.LiveID)
	if err != nil {
		return 0
	}
	return job.Attempts
}
