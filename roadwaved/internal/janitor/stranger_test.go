package janitor_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A catalog that is new, or that of another house, deletes nothing, and says so.
func TestStrangeCatalog(t *testing.T) {
	h := newHouse(t)
	h.past()
	before := h.keys()
	h.catalog = new(stationtest.Catalog)
	h.cfg.Catalog = h.catalog
	for _, after := range []time.Duration{2 * day, 8 * day, 1000 * day} {
		h.now = h.begun.Add(after)
		r, err := h.janitor().Clean(t.Context(), false)
		if got := h.keys(); !slices.Equal(got, before) {
			t.Fatalf("after %v there is %v", after, got)
		}
		if strange := err != nil && strings.Contains(err.Error(), "is it the right one"); strange != (after > 7*day) {
			t.Errorf("after %v: %v", after, err)
		}
		if !strings.Contains(r.String(), "left, look at it: replay") || !strings.Contains(r.String(), "nobody knows this") {
			t.Errorf("after %v:\n%s", after, &r)
		}
	}
}

// A catalog restored from an old copy keeps what became of its lives afterwards.
func TestOldCatalog(t *testing.T) {
	h := newHouse(t)
	parked, done := h.released(station.JobParked), h.published()
	early := h.put("replay/"+replayID(done)+"/audio.mp3", 10)
	mp3 := h.put("replay/"+replayID(parked)+"/audio.mp3", 10) // it was reopened, and published
	h.now = h.begun.Add(8 * day)
	h.cfg.Catalog = past{h.catalog, 3 * time.Hour}
	r := h.clean(false)
	if got := h.keys(); !slices.Equal(got, sorted([]string{mp3, early})) || len(r.Left) != 2 {
		t.Errorf("there is %v\n%s", got, &r)
	}
}

// A past catalog was last told of anything some time ago, and of no replay.
type past struct {
	*stationtest.Catalog
	ago time.Duration
}

func (p past) Replay(context.Context, string) (station.Replay, error) {
	return station.Replay{}, station.ErrNotFound
}

func (p past) ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error) {
	jobs, err := p.Catalog.ListJobs(ctx, q)
	for i := range jobs {
		jobs[i].Updated = jobs[i].Updated.Add(-p.ago)
	}
	return jobs, err
}
