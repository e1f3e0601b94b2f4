package station_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A drawer is a station.Endings that outlives processes.
type drawer struct {
	flaky
	ends map[string]station.End
}

func (d *drawer) Save(id string, e station.End) error {
	return d.do(func() { d.ends[id] = e })
}

func (d *drawer) Load() (ends map[string]station.End, err error) {
	err = d.do(func() { ends = maps.Clone(d.ends) })
	return ends, err
}

func (d *drawer) Delete(id string) error {
	return d.do(func() { delete(d.ends, id) })
}

func (d *drawer) do(f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ends == nil {
		d.ends = make(map[string]station.End)
	}
	if d.err == nil {
		f()
	}
	return d.err
}

func (d *drawer) left(t *testing.T) int {
	t.Helper()
	ends, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	return len(ends)
}

// The daemon is stopped while the catalog is away: its lives end as they did,
// when they did, though nobody could write that before the next start.
func TestStopWhileCatalogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drawer := &drawer{}
		cfg := station.Config{Endings: drawer, Audience: figures{Peak: 9, Counters: station.Counters{Visits: 40}}}
		h := newHouse(t, cfg)
		stopped, crashed, closed := h.open(t), h.open(t), h.open(t)
		ended := time.Now().UTC().Truncate(time.Microsecond)
		h.catalog.fail(errAway)
		stats := station.LiveStats{Duration: time.Hour, Packets: 180_000}
		for _, l := range []station.Live{stopped, closed} {
			if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndShutdown, Stats: stats}); !errors.Is(err, errAway) {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		h.catalog.fail(nil)
		// Another daemon took one of them for dead.
		if err := h.catalog.EndLive(t.Context(), closed.ID, station.End{At: time.Now(), State: station.Lost}); err != nil {
			t.Fatal(err)
		}
		h.restart(t, cfg)
		lost, err := h.CloseOrphans(t.Context())
		if err != nil || len(lost) != 1 || lost[0].ID != crashed.ID {
			t.Errorf("lost are %v (%v), want the one that was on air at the crash", lost, err)
		}
		stats.Visits, stats.PeakListeners = 40, 9
		got, err := h.catalog.Live(t.Context(), stopped.ID)
		if err != nil || got.State != station.Ended || got.EndReason != station.EndShutdown || got.Stats != stats || !got.EndedAt.Equal(ended) {
			t.Errorf("it ended as %+v (%v), want its own end at %v", got, err, ended)
		}
		if got, _ := h.catalog.Live(t.Context(), crashed.ID); got.EndReason != station.EndCrash {
			t.Errorf("the other one ended as %+v", got)
		}
		if n := drawer.left(t); n != 0 || h.slots(t) != 0 {
			t.Errorf("%d ends and %d slots are left", n, h.slots(t))
		}
	})
}

// What the catalog has is not kept any longer.
func TestEndsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drawer := &drawer{}
		h := newHouse(t, station.Config{Endings: drawer})
		h.run(t)
		at, late := h.open(t), h.open(t)
		if err := h.Close(t.Context(), at.ID, station.End{Reason: station.EndCreator}); err != nil || drawer.left(t) != 0 {
			t.Errorf("%d ends are left (%v)", drawer.left(t), err)
		}
		h.catalog.fail(errAway)
		if err := h.Close(t.Context(), late.ID, station.End{Reason: station.EndCreator}); err == nil || drawer.left(t) != 1 {
			t.Errorf("%d ends are kept (%v), want that of the live", drawer.left(t), err)
		}
		h.catalog.fail(nil)
		time.Sleep(time.Minute)
		if n := drawer.left(t); n != 0 {
			t.Errorf("%d ends are left", n)
		}
	})
}

// A disk that fails keeps no live from ending and no daemon from starting.
func TestEndingsFail(t *testing.T) {
	drawer := &drawer{}
	cfg := station.Config{Endings: drawer}
	h := newHouse(t, cfg)
	drawer.fail(errors.New("input/output error"))
	l := h.open(t)
	if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator}); err != nil {
		t.Error(err)
	}
	h.open(t)
	h.restart(t, cfg)
	if lost, err := h.CloseOrphans(t.Context()); err != nil || len(lost) != 1 {
		t.Errorf("lost are %v (%v), want one", lost, err)
	}
	if log := h.log.String(); strings.Count(log, "level=ERROR") != 2 {
		t.Errorf("the log is %s, want both failures", log)
	}
}

// The INSERT of a live whose start was given up commits a minute later: it does
// not stay on air.
func TestStartCommitsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &lateCatalog{}
		s, err := station.New(station.Config{Lives: slow, Board: &stationtest.Board{}})
		if err != nil {
			t.Fatal(err)
		}
		running(t, s.Run)
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		if _, err := s.Open(ctx, station.Request{}); err == nil {
			t.Fatal("the live started")
		}
		time.Sleep(time.Minute)
		slow.commit(t)
		time.Sleep(time.Minute)
		all, err := slow.ListLives(t.Context(), station.LiveQuery{})
		if err != nil || len(all) != 1 || all[0].State != station.Lost || all[0].EndReason != station.EndFailed {
			t.Errorf("the catalog has %+v (%v), want one live that is lost", all, err)
		}
		if _, err := s.Open(ctx, station.Request{}); err == nil {
			t.Fatal("the live started")
		}
		time.Sleep(time.Hour)
		if n := slow.ends; n > 30 {
			t.Errorf("the catalog was asked %d times to end a live that it does not know", n)
		}
	})
}

// A lateCatalog takes a live and writes it when nobody waits any more.
type lateCatalog struct {
	stationtest.Catalog
	mu    sync.Mutex
	taken station.Live
	ends  int
}

func (c *lateCatalog) StartLive(ctx context.Context, l station.Live) error {
	c.mu.Lock()
	c.taken = l
	c.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func (c *lateCatalog) EndLive(ctx context.Context, id string, e station.End) error {
	c.mu.Lock()
	c.ends++
	c.mu.Unlock()
	return c.Catalog.EndLive(ctx, id, e)
}

func (c *lateCatalog) commit(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.Catalog.StartLive(t.Context(), c.taken); err != nil {
		t.Error(err)
	}
}

// A board that hangs costs a start after a crash seconds, not minutes.
func TestCloseOrphansBoardHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{})
		for range 100 {
			h.open(t)
		}
		thinking := &thinkingRecords{Catalog: &h.catalog.Catalog}
		audience, err := station.NewAudience(station.AudienceConfig{
			Attendance: hangingAttendance{}, Journal: quietLog{}, Records: thinking, Lives: h.catalog,
			Key: make([]byte, 32), OnAir: func() []string { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := station.New(station.Config{Lives: h.catalog, Board: hangingBoard{}, Audience: audience})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		lost, err := s.CloseOrphans(t.Context())
		if err != nil || len(lost) != 100 {
			t.Errorf("%d lives were closed (%v), want all", len(lost), err)
		}
		if took := time.Since(begin); took > 12*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// thinkingRecords take some time for each live, as any database.
type thinkingRecords struct{ *stationtest.Catalog }

func (r *thinkingRecords) ListSamples(ctx context.Context, id string) ([]station.Sample, error) {
	time.Sleep(50 * time.Millisecond)
	return r.Catalog.ListSamples(ctx, id)
}
