package janitor

import (
	"context"
	"errors"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// knows notes that the catalog knows an id of the store. A catalog that knows
// none is new, or that of another house.
func (r *round) knows(err error) {
	r.known = r.known || err == nil
}

// nobodys is the verdict on what the catalog cannot explain. It may be a copy of
// last week.
var nobodys = verdict{why: "nobody knows this", left: true}

// judgeReplay condemns what is no replay of the catalog, for settleReplays to find
// out what it is instead: the id of a replay does not tell its live.
func (r *round) judgeReplay(ctx context.Context, id string) (verdict, error) {
	_, err := find(ctx, r.Catalog.Replay, id)
	r.knows(err)
	if errors.Is(err, station.ErrNotFound) {
		return nobodys, nil
	}
	return verdict{}, err
}

// settleReplays looks at the jobs of all lives for those that the condemned come
// from. It holds one page of them at a time.
func (r *round) settleReplays(ctx context.Context, condemned map[string]*folder) error {
	list := func(ctx context.Context, q station.JobQuery) (page []station.Job, err error) {
		err = ask(ctx, answerTime, func(ctx context.Context) (err error) {
			page, err = r.Catalog.ListJobs(ctx, q)
			return err
		})
		return page, err
	}
	return station.EachJob(ctx, list, station.JobQuery{}, func(job station.Job) error {
		id := r.ReplayID(job.LiveID)
		f := condemned[id]
		if f == nil {
			return nil
		}
		r.known = true
		if f.verdict = settled(job, f.youngest); f.why == "" {
			delete(condemned, id)
		}
		return nil
	})
}

// lateness is how much later than a job's end its last object may seem to have
// been stored: clocks differ.
const lateness = time.Hour

// settled is the verdict on the files of a job that has no replay.
func settled(job station.Job, youngest time.Time) verdict {
	switch {
	case job.State == station.JobDone:
		return verdict{why: "its job is done and its replay is not in the catalog", left: true}
	case job.State != station.JobEmpty && job.State != station.JobParked:
		return verdict{} // about to be written over
	case youngest.After(job.Updated.Add(lateness)):
		return verdict{why: "it is younger than what the catalog knows of its job", left: true}
	}
	return verdict{why: "there is no such replay, its job is " + string(job.State)}
}

func (r *round) judgeLive(ctx context.Context, id string) (verdict, error) {
	live, err := find(ctx, r.Catalog.Live, id)
	r.knows(err)
	switch {
	case errors.Is(err, station.ErrNotFound):
		return verdict{why: "the catalog does not know its live", after: longestLive}, nil
	case err != nil:
		return verdict{}, err
	case live.State == station.OnAir || r.now.Sub(live.EndedAt) < r.Grace:
		return verdict{}, nil
	}
	return verdict{why: "its live was over " + days(r.Grace) + " ago"}, nil
}

var errStranger = errors.New("the catalog does not know one thing that is in the object store: is it the right one, or restored from too old a copy? Nothing is deleted")

// settleLives does not let a catalog decide that has nothing to do with the store.
func (r *round) settleLives(_ context.Context, condemned map[string]*folder) error {
	for _, f := range condemned {
		if !r.known && r.due(f) {
			return errStranger
		}
	}
	return nil
}
