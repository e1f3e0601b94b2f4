package janitor

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	// mostFolders bounds the folders that are deleted in one cleaning, and so
	// the memory for those that may be: the rest is left for the next day.
	mostFolders = 20_000
	// mostKept bounds the folders that are remembered as needed by somebody.
	// Beyond that the catalog is asked again.
	mostKept = 100_000
)

// A folder is what has one id in the store and may have to go.
type folder struct {
	why      string
	youngest time.Time
}

// A judge tells why the folder of an id may go once nobody has written to it for
// the grace, or "" when it stays.
type judge func(ctx context.Context, id string) (why string, err error)

// folders deletes below a prefix what belongs to nothing any more. It looks at
// all objects as they are listed, in whatever order, and remembers folders only.
func (r *round) folders(ctx context.Context, kind Kind, prefix string, why judge, busy func(context.Context) (map[string]bool, error)) error {
	condemned, err := r.condemned(ctx, kind, prefix, why)
	if err != nil || len(condemned) == 0 {
		return err
	}
	spared, err := busy(ctx) // asked after the listing: who begins now begins with new objects
	if err != nil {
		return err
	}
	var errs []error
	for id, f := range condemned {
		if r.now.Sub(f.youngest) < r.Grace || spared[id] {
			continue
		}
		if err := r.clear(ctx, Item{Kind: kind, Key: prefix + id + "/", Why: f.why}); err != nil {
			errs = append(errs, err)
		}
		if len(errs) == enoughErrors || ctx.Err() != nil || len(errs) > 0 && errors.Is(errs[len(errs)-1], station.ErrAway) {
			break
		}
	}
	return errors.Join(errs...)
}

func (r *round) condemned(ctx context.Context, kind Kind, prefix string, why judge) (map[string]*folder, error) {
	kept := make(map[string]bool)
	condemned := make(map[string]*folder)
	for object, err := range r.Store.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		id, _, inside := strings.Cut(strings.TrimPrefix(object.Key, prefix), "/")
		if !inside || uuid.Validate(id) != nil {
			if r.now.Sub(object.ModTime) >= r.Grace {
				r.left(Item{Kind: kind, Key: object.Key, Objects: 1, Bytes: object.Size, Why: "its name is not one of ours"})
			}
			continue
		}
		if kept[id] {
			continue
		}
		f := condemned[id]
		if f == nil && len(condemned) >= mostFolders {
			continue
		}
		if f == nil {
			why, err := why(ctx, id)
			switch {
			case err != nil:
				return nil, err
			case why == "":
				if len(kept) >= mostKept {
					clear(kept)
				}
				kept[id] = true
				continue
			}
			f = &folder{why: why}
			condemned[id] = f
		}
		if object.ModTime.After(f.youngest) {
			f.youngest = object.ModTime
		}
	}
	return condemned, nil
}

// clear deletes a folder, but for what is younger than it should be: somebody has
// come back to it.
func (r *round) clear(ctx context.Context, item Item) error {
	bin := r.newBin(ctx)
	var objects, bytes atomic.Int64
	var failed error
	for object, err := range r.Store.List(ctx, item.Key) {
		if err != nil {
			failed = err
			break
		}
		if r.now.Sub(object.ModTime) < r.Grace {
			continue
		}
		if !bin.throw(object, func() { objects.Add(1); bytes.Add(object.Size) }) {
			break
		}
	}
	err := errors.Join(failed, bin.empty())
	if item.Objects, item.Bytes = objects.Load(), bytes.Load(); item.Objects > 0 {
		r.freed(item)
	}
	return err
}

func (r *round) judgeReplay(ctx context.Context, id string) (why string, err error) {
	_, err = find(ctx, r.Catalog.Replay, id)
	if errors.Is(err, station.ErrNotFound) {
		return "there is no such replay", nil
	}
	return "", err
}

func (r *round) judgeLive(ctx context.Context, id string) (why string, err error) {
	live, err := find(ctx, r.Catalog.Live, id)
	switch {
	case errors.Is(err, station.ErrNotFound):
		return "the catalog does not know its live", nil
	case err != nil:
		return "", err
	case live.State == station.OnAir || r.now.Sub(live.EndedAt) < r.Grace:
		return "", nil
	}
	return "its live was over " + days(r.Grace) + " ago", nil
}

// unfinished gives the ids of the replays that are or will be in the making: what
// earlier attempts left of them is about to be written over.
func (r *round) unfinished(ctx context.Context) (map[string]bool, error) {
	ids := make(map[string]bool)
	q := station.JobQuery{States: []station.JobState{station.JobUploading, station.JobPending, station.JobRunning}, Limit: station.MaxPage}
	for {
		var jobs []station.Job
		err := ask(ctx, answerTime, func(ctx context.Context) (err error) {
			jobs, err = r.Catalog.ListJobs(ctx, q)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, job := range jobs {
			ids[r.ReplayID(job.LiveID)] = true
			q.After, q.AfterID = job.Opened, job.LiveID
		}
		if len(jobs) < q.Limit {
			return ids, nil
		}
	}
}

// nobody writes to a live that is over.
func nobody(context.Context) (map[string]bool, error) { return nil, nil }
