package janitor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/janitor"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A diary is a catalog that notes who cleans when: by who forgets events.
type diary struct {
	*stationtest.Catalog
	mu       sync.Mutex
	begun    []string
	finished []string
	// work is done in the middle of a cleaning.
	work func(ctx context.Context) error
}

type page struct {
	*diary
	who string
}

func (p page) ForgetEvents(ctx context.Context, before time.Time, dryRun bool) (int64, error) {
	p.mu.Lock()
	p.begun = append(p.begun, p.who+" "+time.Now().UTC().Format("02T15:04"))
	p.mu.Unlock()
	if p.work != nil {
		if err := p.work(ctx); err != nil {
			return 0, err
		}
	}
	return p.Catalog.ForgetEvents(ctx, before, dryRun)
}

func (p page) FinishChore(ctx context.Context, c station.Chore, who string, now time.Time, outcome string) error {
	p.mu.Lock()
	p.finished = append(p.finished, c.Day+" "+outcome)
	p.mu.Unlock()
	return p.Catalog.FinishChore(ctx, c, who, now, outcome)
}

// run starts the janitor of a daemon and gives what kills it.
func (d *diary) run(t *testing.T, who string, at time.Duration) (kill func()) {
	t.Helper()
	j, err := janitor.New(janitor.Config{
		Catalog: page{d, who}, Store: hls.NewMemory(), ReplayID: replayID, Who: who, At: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- j.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// read gives what was noted so far.
func (d *diary) read() (begun, finished []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.begun), slices.Clone(d.finished)
}

func (d *diary) check(t *testing.T, want ...string) {
	t.Helper()
	if begun, _ := d.read(); !slices.Equal(begun, want) {
		t.Errorf("cleanings were %q, want %q", begun, want)
	}
}

// The clock of synctest begins on 1 January at midnight.

func TestOncePerDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{Catalog: new(stationtest.Catalog)}
		for n := range 5 {
			time.Sleep(time.Second)
			defer d.run(t, fmt.Sprintf("d%d", n), 3*time.Hour)()
		}
		time.Sleep(3*day + 12*time.Hour)
		begun, finished := d.read()
		if len(finished) != 4 || len(begun) != 4 {
			t.Fatalf("in four days: %q, finished %q", begun, finished)
		}
		for n, entry := range begun {
			if entry[3:] != fmt.Sprintf("%02dT03:00", n+1) {
				t.Errorf("cleaned at %s", entry)
			}
		}
		if finished[3] != "2000-01-04 nothing" {
			t.Errorf("its outcome is %q", finished[3])
		}
	})
}

func TestMissedNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{Catalog: new(stationtest.Catalog)}
		time.Sleep(10 * time.Hour)
		kill := d.run(t, "late", 3*time.Hour)
		time.Sleep(time.Hour)
		kill()
		d.check(t, "late 01T10:00")
		defer d.run(t, "again", 3*time.Hour)() // the same day
		time.Sleep(10 * time.Hour)
		d.check(t, "late 01T10:00")
	})
}

// A long cleaning stays with the daemon that does it. When that dies, another
// takes it over once its lease has ended.
func TestDaemonDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{Catalog: new(stationtest.Catalog), work: func(ctx context.Context) error {
			select {
			case <-time.After(25 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		kill := d.run(t, "a", 0)
		time.Sleep(time.Second)
		defer d.run(t, "b", 0)()
		time.Sleep(20 * time.Minute)
		d.check(t, "a 01T00:00")
		kill()
		time.Sleep(4 * time.Hour)
		begun, finished := d.read()
		if len(begun) != 2 || begun[1] < "b 01T00:20" || begun[1] > "b 01T00:31" || len(finished) != 1 {
			t.Errorf("cleanings were %q, finished %q", begun, finished)
		}
	})
}

// What failed is tried again the same day, and then not any more.
func TestTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		d := &diary{Catalog: new(stationtest.Catalog), work: func(context.Context) error {
			if tries++; tries < 3 {
				return errors.Join(errors.New("connection refused"), station.ErrAway)
			}
			return nil
		}}
		defer d.run(t, "a", 3*time.Hour)()
		time.Sleep(23 * time.Hour)
		d.check(t, "a 01T03:00", "a 01T04:00", "a 01T05:00")
		if _, finished := d.read(); len(finished) != 1 {
			t.Errorf("finished %q", finished)
		}
	})
}

// A catalog that does not even refuse is away: the daemon tries again, and stops
// when it is told to.
func TestCatalogHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{Catalog: new(stationtest.Catalog)}
		d.work = func(ctx context.Context) error {
			if begun, _ := d.read(); len(begun) > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		defer d.run(t, "a", 0)()
		time.Sleep(3 * time.Hour)
		if begun, finished := d.read(); len(begun) != 2 || len(finished) != 1 {
			t.Errorf("cleanings were %q, finished %q", begun, finished)
		}
	})
}

// A daemon that was out of touch for longer than its lease stops when it learns
// that another one cleans.
func TestLosesTheChore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{Catalog: new(stationtest.Catalog)}
		d.work = func(ctx context.Context) error {
			if begun, _ := d.read(); len(begun) > 1 {
				return nil
			}
			mine, err := d.BeginChore(ctx, station.Chore{Name: "cleaning", Day: "2000-01-01"}, "other", time.Now().Add(time.Hour), time.Hour)
			if err != nil || !mine {
				t.Error(mine, err)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		defer d.run(t, "a", 0)()
		time.Sleep(30 * time.Minute)
		d.check(t, "a 01T00:00")
		if _, finished := d.read(); len(finished) != 0 {
			t.Errorf("finished %q", finished)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	good := janitor.Config{Catalog: new(stationtest.Catalog), Store: hls.NewMemory(), ReplayID: replayID}
	j, err := janitor.New(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Run(t.Context()); err == nil {
		t.Error("ran without a name")
	}
	for name, change := range map[string]func(*janitor.Config){
		"no catalog":     func(c *janitor.Config) { c.Catalog = nil },
		"no store":       func(c *janitor.Config) { c.Store = nil },
		"no replay ids":  func(c *janitor.Config) { c.ReplayID = nil },
		"no time of day": func(c *janitor.Config) { c.At = day },
		"negative":       func(c *janitor.Config) { c.RawRetention = -1 },
		"hasty":          func(c *janitor.Config) { c.Lease = time.Millisecond },
	} {
		cfg := good
		change(&cfg)
		if _, err := janitor.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// The report is bounded however much there is to delete; the totals are not.
func TestReportIsBounded(t *testing.T) {
	h := newHouse(t)
	h.put("live/"+h.onAir()+"/1.ts", 10)
	for range 1500 {
		h.put("live/"+uuid.NewString()+"/1.ts", 10)
	}
	for n := range 1500 {
		h.put(fmt.Sprintf("raw/%d.wav", n), 10)
	}
	h.now = h.begun.Add(8 * day)
	r := h.clean(false)
	if len(r.Items) != 1000 || r.Omitted != 500 || len(r.Left) != 1000 || r.LeftOmitted != 500 || r.Bytes() != 15_000 {
		t.Errorf("%d items, %d omitted, %d left, %s", len(r.Items), r.Omitted, len(r.Left), r.Summary())
	}
}
