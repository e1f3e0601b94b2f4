package janitor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A round is one cleaning.
type round struct {
	Config
	dryRun bool
	now    time.Time
	known  bool // something of the store, to the catalog

	mu     sync.Mutex
	report Report
}

// errCatalog marks what the catalog answered, as against the store.
var errCatalog = errors.New("janitor: asking the catalog")

const (
	// answerTime is how long the catalog may take to find something, and
	// forgetTime to delete what may be a day of millions of events.
	answerTime = 30 * time.Second
	forgetTime = 30 * time.Minute
)

// ask asks the catalog, which is away when it does not answer in time.
func ask(ctx context.Context, patience time.Duration, question func(ctx context.Context) error) error {
	err := station.Within(ctx, patience, question)
	if err == nil || errors.Is(err, station.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: %w", errCatalog, err)
}

// find asks the catalog for what has an id.
func find[T any](ctx context.Context, lookup func(ctx context.Context, id string) (T, error), id string) (found T, err error) {
	err = ask(ctx, answerTime, func(ctx context.Context) error {
		found, err = lookup(ctx, id)
		return err
	})
	return found, err
}

// Clean deletes all that is due now; with dryRun it only finds it. What one
// part cannot do does not stop the others: the error joins what went wrong, and
// the report tells what was done all the same. Only when the catalog does not even
// answer a ping ([station.ErrAway]) it stops: nothing more can be known to be over.
func (j *Janitor) Clean(ctx context.Context, dryRun bool) (Report, error) {
	r := &round{Config: j.cfg, dryRun: dryRun, now: j.cfg.Now().UTC(), report: Report{DryRun: dryRun}}
	var errs []error
	for _, kind := range kinds {
		err := r.part(ctx, kind)
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("janitor: cleaning %s: %w", kind, err))
		if errors.Is(err, errCatalog) && errors.Is(err, station.ErrAway) && ask(ctx, answerTime, r.Catalog.Ping) != nil {
			break
		}
	}
	return r.report, errors.Join(errs...)
}

func (r *round) part(ctx context.Context, kind Kind) error {
	switch kind {
	case Audit:
		return r.audit(ctx)
	case Temp:
		return r.temp()
	case Raw:
		return r.raw(ctx)
	case Replay:
		return r.folders(ctx, Replay, station.ReplayPrefix, r.judgeReplay, r.settleReplays)
	case Live:
		return r.folders(ctx, Live, station.LivePrefix, r.judgeLive, r.settleLives)
	default:
		return r.uploads(ctx)
	}
}

// audit forgets what the law lets nobody keep.
func (r *round) audit(ctx context.Context) error {
	var n int64
	err := ask(ctx, forgetTime, func(ctx context.Context) (err error) {
		n, err = r.Catalog.ForgetEvents(ctx, r.now.Add(-r.AuditRetention), r.dryRun)
		return err
	})
	if n > 0 {
		r.freed(Item{Kind: Audit, Key: "events", Objects: n, Why: "older than " + days(r.AuditRetention)})
	}
	return err
}

func (r *round) temp() error {
	if r.SweepTemp == nil {
		return nil
	}
	n, bytes, err := r.SweepTemp(r.dryRun)
	if n > 0 {
		r.freed(Item{Kind: Temp, Key: "temporary folders", Objects: int64(n), Bytes: bytes, Why: "left behind by a process that died"})
	}
	return err
}

func (r *round) uploads(ctx context.Context) error {
	if r.AbortUploads == nil {
		return nil
	}
	n, bytes, err := r.AbortUploads(ctx, r.now.Add(-r.Grace), r.dryRun)
	if n > 0 {
		r.freed(Item{Kind: Upload, Key: "unfinished uploads", Objects: int64(n), Bytes: bytes, Why: "begun more than " + days(r.Grace) + " ago"})
	}
	return err
}

// raw deletes recordings that have become replays (M11).
func (r *round) raw(ctx context.Context) error {
	bin := r.newBin(ctx)
	err := r.sortRaw(ctx, bin)
	return errors.Join(err, bin.empty())
}

func (r *round) sortRaw(ctx context.Context, bin *bin) error {
	for object, err := range r.Store.List(ctx, station.RawPrefix) {
		if err != nil {
			return err
		}
		if r.now.Sub(object.ModTime) < r.RawRetention {
			continue // published no earlier than that
		}
		over, why, err := r.judgeRaw(ctx, object)
		item := Item{Kind: Raw, Key: object.Key, Objects: 1, Bytes: object.Size, Why: why}
		switch {
		case err != nil:
			return err
		case !over && why != "":
			r.left(item)
		case over && !bin.throw(object, func() { r.freed(item) }):
			return nil // the bin says why
		}
	}
	return nil
}

// headers is what a recording holds at most that nothing was recorded into.
const headers = 1000

// judgeRaw tells whether nobody needs a recording any more. One that is not
// over and has a reason is for a human to look at.
func (r *round) judgeRaw(ctx context.Context, object hls.Info) (over bool, why string, err error) {
	id, named := strings.CutSuffix(strings.TrimPrefix(object.Key, station.RawPrefix), station.RawExt)
	if !named || uuid.Validate(id) != nil {
		return false, "its name is not that of a recording", nil
	}
	job, err := find(ctx, r.Catalog.Job, id)
	r.knows(err)
	switch {
	case errors.Is(err, station.ErrNotFound):
		return r.judgeJobless(ctx, id)
	case err != nil:
		return false, "", err
	case job.State == station.JobEmpty && object.Size > headers:
		return false, "its job says that there is nothing to hear in it: listen, then reopen the job or delete it", nil
	case job.State == station.JobEmpty && r.now.Sub(job.Opened) >= r.RawRetention:
		return true, "there is nothing to hear in it, and its live was over " + days(r.RawRetention) + " ago", nil
	case job.State != station.JobDone:
		return false, "", nil // a parked one needs it as soon as a human has looked
	}
	replay, err := find(ctx, r.Catalog.ReplayOf, id)
	switch {
	case errors.Is(err, station.ErrNotFound):
		return false, "its job is done and its replay is not in the catalog", nil
	case err != nil:
		return false, "", err
	case r.now.Sub(replay.PublishedAt) < r.RawRetention:
		return false, "", nil
	}
	return true, "its replay has been published for " + days(r.RawRetention), nil
}

// judgeJobless looks at a recording without a job: of a live on air, or of one
// that a catalog restored from an old copy has forgotten.
func (r *round) judgeJobless(ctx context.Context, id string) (over bool, why string, err error) {
	_, err = find(ctx, r.Catalog.Live, id)
	r.knows(err)
	if errors.Is(err, station.ErrNotFound) {
		return false, "the catalog does not know its live", nil
	}
	return false, "", err
}

func (r *round) freed(i Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.add(i)
	if !r.dryRun {
		r.Logger.Debug("deleted", "kind", i.Kind, "key", i.Key, "objects", i.Objects, "bytes", i.Bytes, "why", i.Why)
	}
}

func (r *round) left(i Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.leave(i)
	r.Logger.Debug("left", "kind", i.Kind, "key", i.Key, "bytes", i.Bytes, "why", i.Why)
}

// days tells a time as people would.
func days(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return d.String()
}
