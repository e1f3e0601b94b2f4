package janitor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/janitor"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A failing store cannot delete or list some of its keys.
type failing struct {
	hls.Store
	list, delete string // prefixes
	err          error
	deletes      *atomic.Int64
}

func (s failing) List(ctx context.Context, prefix string) iter.Seq2[hls.Info, error] {
	if s.list != "" && strings.HasPrefix(prefix, s.list) {
		return func(yield func(hls.Info, error) bool) { yield(hls.Info{}, s.err) }
	}
	return s.Store.List(ctx, prefix)
}

func (s failing) Delete(ctx context.Context, key string) error {
	s.deletes.Add(1)
	if s.delete != "" && strings.HasPrefix(key, s.delete) {
		return s.err
	}
	return s.Store.Delete(ctx, key)
}

// One part that fails leaves the others their work, and the next cleaning the
// rest.
func TestPartsAreIndependent(t *testing.T) {
	boom := errors.New("boom")
	for name, store := range map[string]failing{
		"raw listing":   {list: "raw/", err: boom},
		"raw deletions": {delete: "raw/", err: boom},
		"replay list":   {list: "replay/", err: boom},
		"live deletion": {delete: "live/", err: boom},
		"away":          {delete: "live/", err: fmt.Errorf("%w: boom", station.ErrAway)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			stay, go1, go7 := h.past()
			h.now = h.begun.Add(8 * day)
			store.Store, store.deletes = h.store, new(atomic.Int64)
			h.cfg.Store = store
			aborted := false
			h.cfg.AbortUploads = func(context.Context, time.Time, bool) (int, int64, error) { aborted = true; return 0, 0, nil }
			_, err := h.janitor().Clean(t.Context(), false)
			if err == nil || !strings.Contains(err.Error(), "boom") || !aborted {
				t.Fatalf("got %v, aborted %v", err, aborted)
			}
			broken := store.list + store.delete
			for _, key := range h.keys() {
				for _, gone := range sorted(go1, go7) {
					if key == gone && !strings.HasPrefix(key, broken) {
						t.Errorf("%s is still there", key)
					}
				}
			}
			h.cfg.Store = h.store
			h.clean(false)
			if got := h.keys(); len(got) != len(stay) {
				t.Errorf("in the end there is %v", got)
			}
		})
	}
}

// A store that cannot delete anything is not asked a hundred thousand times.
func TestGivesUpDeleting(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		most int64
	}{"refused": {errors.New("denied"), 30}, "away": {station.ErrAway, 20}} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			for range 200 {
				h.put(station.RawKey(h.published()), 1)
			}
			h.now = h.begun.Add(8 * day)
			store := failing{Store: h.store, delete: "raw/", err: tt.err, deletes: new(atomic.Int64)}
			h.cfg.Store = store
			r, err := h.janitor().Clean(t.Context(), false)
			if !errors.Is(err, tt.err) || len(r.Totals) > 0 {
				t.Errorf("got %v, reported %s", err, r.Summary())
			}
			if n := store.deletes.Load(); n > tt.most {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// A catalog that goes away in the middle.
type leaving struct {
	janitor.Catalog
	left atomic.Int64 // answers
}

func (c *leaving) gone() error {
	if c.left.Add(-1) < 0 {
		return fmt.Errorf("%w: connection refused", station.ErrAway)
	}
	return nil
}

func (c *leaving) Job(ctx context.Context, id string) (station.Job, error) {
	if err := c.gone(); err != nil {
		return station.Job{}, err
	}
	return c.Catalog.Job(ctx, id)
}

func (c *leaving) Replay(ctx context.Context, id string) (station.Replay, error) {
	if err := c.gone(); err != nil {
		return station.Replay{}, err
	}
	return c.Catalog.Replay(ctx, id)
}

func (c *leaving) Live(ctx context.Context, id string) (station.Live, error) {
	if err := c.gone(); err != nil {
		return station.Live{}, err
	}
	return c.Catalog.Live(ctx, id)
}

func (c *leaving) ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error) {
	if err := c.gone(); err != nil {
		return nil, err
	}
	return c.Catalog.ListJobs(ctx, q)
}

func (c *leaving) Ping(context.Context) error { return c.gone() }

// With the catalog away nothing is deleted that it was not asked about, whenever it
// goes.
func TestCatalogAway(t *testing.T) {
	for answers := int64(0); ; answers++ {
		h := newHouse(t)
		stay, _, _ := h.past()
		h.now = h.begun.Add(8 * day)
		catalog := &leaving{Catalog: h.catalog}
		catalog.left.Store(answers)
		h.cfg.Catalog = catalog
		_, err := h.janitor().Clean(t.Context(), false)
		there := make(map[string]bool)
		for _, key := range h.keys() {
			there[key] = true
		}
		for _, key := range stay {
			if !there[key] {
				t.Errorf("after %d answers %s was deleted", answers, key)
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, station.ErrAway) || answers > 100 {
			t.Fatalf("after %d answers: %v", answers, err)
		}
	}
}

// deaf is a catalog that does not answer one question.
type deaf struct{ janitor.Catalog }

func (deaf) ForgetEvents(context.Context, time.Time, bool) (int64, error) {
	return 0, fmt.Errorf("%w: canceling statement due to lock timeout", station.ErrAway)
}

// One question that is not answered, while a backup locks the events, is not a
// catalog that is away.
func TestOneQuestionUnanswered(t *testing.T) {
	h := newHouse(t)
	stay, _, _ := h.past()
	h.now = h.begun.Add(8 * day)
	h.cfg.Catalog = deaf{h.catalog}
	if _, err := h.janitor().Clean(t.Context(), false); !errors.Is(err, station.ErrAway) {
		t.Errorf("got %v", err)
	}
	if got := len(h.keys()); got != len(stay) {
		t.Errorf("%d objects are left, want %d", got, len(stay))
	}
}

// A worker that comes back to a folder while it is being looked at finds it.
func TestComesBack(t *testing.T) {
	h := newHouse(t)
	key := h.put("replay/"+replayID(h.released(station.JobParked))+"/1.ts", 1)
	h.now = h.begun.Add(8 * day)
	h.cfg.Store = &returning{Store: h.store, key: key, at: h.now}
	if r := h.clean(false); len(r.Totals) != 0 || len(h.keys()) != 1 {
		t.Errorf("deleted %s", r.Summary())
	}
}

// returning has an object that is old when first listed, and then is not.
type returning struct {
	hls.Store
	key  string
	at   time.Time
	seen bool
}

func (s *returning) List(ctx context.Context, prefix string) iter.Seq2[hls.Info, error] {
	return func(yield func(hls.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix) {
			if s.seen {
				info.ModTime = s.at
			}
			s.seen = s.seen || info.Key == s.key
			if !yield(info, err) {
				return
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	h := newHouse(t)
	h.past()
	before := len(h.keys())
	h.now = h.begun.Add(8 * day)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.janitor().Clean(ctx, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if after := len(h.keys()); after != before {
		t.Errorf("%d of %d objects are left", after, before)
	}
}
