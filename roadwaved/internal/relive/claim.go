package relive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// report notes progress for the next renewal.
func (j *job) report(step string, done float64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.step, j.done = step, done
}

// awaits notes who the job waits for, "" for nobody any more.
func (j *job) awaits(whom string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting = whom
}

// progress is what others may see.
func (j *job) progress() (step string, done float64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.waiting != "" {
		return "waits for " + j.waiting, j.done
	}
	return j.step, j.done
}

// keeps notes when the claim was asked for that was given.
func (j *job) keeps(asked time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = asked
}

// held tells whether the claim is known to be this worker's still. Without news
// for a lease somebody else may have it: this worker stood still, or the catalog
// is away from here only.
func (j *job) held() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if silent := time.Since(j.kept); silent >= j.worker.cfg.Lease {
		return fmt.Errorf("the claim was not renewed for %v: %w", silent.Round(time.Second), station.ErrAway)
	}
	return nil
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
		step, done := j.progress()
		asked := time.Now()
		err := station.Within(ctx, answerTime, func(ctx context.Context) error {
			return j.worker.cfg.Jobs.Renew(ctx, j.claim, j.worker.cfg.Now().Add(lease), step, done)
		})
		switch {
		case err == nil:
			j.keeps(asked)
		case errors.Is(err, station.ErrFenced):
			lost(err)
			return
		case ctx.Err() == nil:
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
		j.fenced(ctx)
		return nil
	}
	stopped := errors.Is(ctx.Err(), context.Canceled) // a deadline would be missed again
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releasePatience)
	defer cancel()
	// Without a reason the attempt does not count: it was not the job's fault.
	state, reason := station.JobPending, err.Error()
	switch whom := lacks(err); {
	case stopped:
		reason = ""
		j.log.Info("replay interrupted, it will be made again")
	case whom != "":
		reason = ""
		j.log.Warn("replay waits for "+whom+", it will be tried again", "err", err)
		j.show(ctx, whom)
	case hopeless(err):
		state = station.JobEmpty
		j.log.Info("no replay", "why", err)
	case j.attempts(ctx) >= j.worker.cfg.Attempts:
		state = station.JobParked
		j.log.Error("replay failed too often and is parked: mend what err says, then roadwaved jobs retry", "err", err)
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

// fenced logs who has the job instead: nobody, when it was done here and only the
// catalog's answer got lost.
func (j *job) fenced(ctx context.Context) {
	now, err := j.worker.job(ctx, j.claim.LiveID)
	switch {
	case err == nil && now.State == station.JobDone && now.Worker == j.worker.cfg.Name:
		j.log.Info("replay published", "replay_id", ReplayID(j.claim.LiveID), "answer", "lost")
	default:
		j.log.Warn("replay given up: another worker has it", "worker", now.Worker)
	}
}

// show leaves behind what the job waits for: a release without a reason does not
// tell.
func (j *job) show(ctx context.Context, whom string) {
	j.awaits(whom)
	step, done := j.progress()
	if err := j.worker.cfg.Jobs.Renew(ctx, j.claim, j.worker.cfg.Now().Add(j.worker.cfg.Lease), step, done); err != nil {
		j.log.Warn("job does not show what it waits for", "err", err)
	}
}

// lacks tells what was not there for a job that did not fail by itself.
func lacks(err error) string {
	l, known := errors.AsType[*lack](err)
	switch {
	case known:
		return l.what
	case errors.Is(err, errMissing):
		return ""
	case errors.Is(err, replay.ErrFFmpeg):
		return "ffmpeg"
	case errors.Is(err, station.ErrAway):
		return "a service"
	case local(err):
		return theDisk
	}
	return ""
}

// local tells whether this machine's disk is the reason. FFmpeg says it in words;
// a file that FFmpeg should have made and did not is the job's matter.
func local(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	return (path || link) && !errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOSPC) ||
		err != nil && strings.Contains(err.Error(), "No space left on device")
}

// hopeless tells whether trying again cannot help.
func hopeless(err error) bool {
	return errors.Is(err, errNothing) || errors.Is(err, replay.ErrEmpty) || errors.Is(err, replay.ErrSilent)
}
