package janitor

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	// mostFolders bounds the folders that are deleted in one cleaning, and so
	// the memory for those that may be: the rest is left for the next day.
	mostFolders = 20_000
	// mostKept bounds the folders that are remembered as needed by somebody.
	// Beyond that the catalog is asked again.
	mostKept = 100_000
	// longestLive is after what time the media of a live that the catalog does
	// not know are nobody's: no live lasts that long.
	longestLive = 7 * 24 * time.Hour
)

// A folder is what has one id in the store and may have to go.
type folder struct {
	verdict
	youngest       time.Time
	objects, bytes int64
}

// A verdict says why a folder may go, or why it is left although nobody needs it.
type verdict struct {
	why string // "" when it stays
	// after is the age from which it may, when that is more than the grace.
	after time.Duration
	left  bool
}

// A judge looks at the folder of an id.
type judge func(ctx context.Context, id string) (verdict, error)

// folders deletes below a prefix what belongs to nothing any more. It looks at
// all objects as they are listed, in whatever order, and remembers folders only.
// After the listing (who begins now begins with new objects) settle takes back or
// changes what was found.
func (r *round) folders(ctx context.Context, kind Kind, prefix string, judge judge, settle func(context.Context, map[string]*folder) error) error {
	condemned, err := r.condemned(ctx, kind, prefix, judge)
	if err != nil || len(condemned) == 0 {
		return err
	}
	if err := settle(ctx, condemned); err != nil {
		return err
	}
	var errs []error
	for id, f := range condemned {
		item := Item{Kind: kind, Key: prefix + id + "/", Why: f.why}
		switch {
		case !r.due(f):
			continue
		case f.left:
			item.Objects, item.Bytes = f.objects, f.bytes
			r.left(item)
			continue
		}
		if err := r.clear(ctx, item); err != nil {
			errs = append(errs, err)
		}
		if len(errs) == enoughErrors || ctx.Err() != nil || len(errs) > 0 && errors.Is(errs[len(errs)-1], station.ErrAway) {
			break
		}
	}
	return errors.Join(errs...)
}

func (r *round) condemned(ctx context.Context, kind Kind, prefix string, judge judge) (map[string]*folder, error) {
	s := &sorting{judge: judge, kept: make(map[string]bool), condemned: make(map[string]*folder)}
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
		f, err := s.verdictOn(ctx, id)
		if err != nil {
			return nil, err
		}
		if f != nil {
			f.add(object)
		}
	}
	return s.condemned, nil
}

// A sorting tells the folders that may have to go from those that stay.
type sorting struct {
	judge     judge
	kept      map[string]bool // a part of them
	condemned map[string]*folder
}

// verdictOn gives the folder of an id, nil when it stays or is left for the next day.
func (s *sorting) verdictOn(ctx context.Context, id string) (*folder, error) {
	if f := s.condemned[id]; f != nil || s.kept[id] || len(s.condemned) >= mostFolders {
		return f, nil
	}
	v, err := s.judge(ctx, id)
	if err != nil {
		return nil, err
	}
	if v.why == "" {
		if len(s.kept) >= mostKept {
			clear(s.kept)
		}
		s.kept[id] = true
		return nil, nil
	}
	f := &folder{verdict: v}
	s.condemned[id] = f
	return f, nil
}

func (f *folder) add(object hls.Info) {
	f.objects++
	f.bytes += object.Size
	if object.ModTime.After(f.youngest) {
		f.youngest = object.ModTime
	}
}

// due tells whether a folder is old enough for its verdict.
func (r *round) due(f *folder) bool { return r.now.Sub(f.youngest) >= max(r.Grace, f.after) }

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
