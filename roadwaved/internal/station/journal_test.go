package station_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{})
		d.add(3)
		d.Add(nil, []station.Sample{{LiveID: "live-1", Counters: station.Counters{Listeners: 7}}})
		time.Sleep(2 * time.Second)
		d.arrived(t)
		if _, samples, _ := d.records.all(); len(samples) != 1 || samples[0].Listeners != 7 {
			t.Errorf("the samples are %+v", samples)
		}
		if b := d.Backlog(); b != (station.Backlog{}) {
			t.Errorf("the backlog is %+v, want nothing", b)
		}
	})
}

// PostgreSQL is away for five minutes, and then for moments in which its answers
// get lost. Nothing is lost, nothing is twice.
func TestJournalCatalogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{Batch: 100})
		d.add(10)
		time.Sleep(2 * time.Second)
		d.records.fail(fmt.Errorf("connection refused: %w", station.ErrAway))
		left := time.Now()
		for range 300 {
			d.add(20)
			time.Sleep(time.Second)
		}
		if b := d.Backlog(); b.Outbox != 6000 || b.Memory != 0 || b.Since.Sub(left).Abs() > 5*time.Second {
			t.Errorf("the backlog is %+v, want 6000 in the outbox since %v", b, left)
		}
		if _, _, calls := d.records.all(); calls > 40 {
			t.Errorf("a catalog that is away was asked %d times in five minutes", calls)
		}
		odd := rand.New(rand.NewPCG(1, 2))
		d.records.mu.Lock()
		d.records.deaf = func() bool { return odd.IntN(3) == 0 }
		d.records.mu.Unlock()
		d.records.fail(nil)
		time.Sleep(10 * time.Minute)
		d.arrived(t)
		if b := d.Backlog(); b != (station.Backlog{}) {
			t.Errorf("the backlog is %+v, want nothing", b)
		}
	})
}

// The process dies with the catalog away: the next one has what was flushed.
func TestJournalCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{})
		d.records.fail(station.ErrAway)
		d.add(700)
		if err := d.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.stop()
		d.start(t, station.JournalConfig{})
		d.add(5)
		d.records.fail(nil)
		time.Sleep(time.Minute)
		d.arrived(t)
	})
}

// Run writes what is in memory when it ends, and Flush does without Run.
func TestJournalEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{})
		d.records.fail(station.ErrAway)
		d.outbox.fail(errors.New("no space left on device"))
		d.add(5)
		time.Sleep(time.Minute)
		if !strings.Contains(d.log.String(), "look at the disk") {
			t.Error("nobody was told of the disk")
		}
		d.outbox.fail(nil)
		d.stop()
		d.add(5)
		if err := d.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := d.outbox.Len(t.Context()); n != 10 {
			t.Errorf("%d are in the outbox, want all ten", n)
		}
	})
}

// What the catalog refuses for good does not hold up the rest.
func TestJournalRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{Batch: 64})
		bad := []string{"event-00000", "event-00077", "event-00078", "event-00199"}
		d.records.refuseFor(func(id string) bool { return slices.Contains(bad, id) })
		d.add(200)
		time.Sleep(5 * time.Minute)
		d.arrived(t, bad...)
		if b := d.Backlog(); b.SetAside != 4 || b.Lost != 0 {
			t.Errorf("the backlog is %+v, want four set aside", b)
		}
		for _, id := range bad {
			if !strings.Contains(d.log.String(), "event_id="+id) {
				t.Errorf("the log does not name %s", id)
			}
		}
	})
}

// Refused entries that fill more than a batch are set aside too, as soon as
// there is one after them that the catalog takes.
func TestJournalManyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{Batch: 10})
		d.records.refuseFor(func(id string) bool { return id < "event-00025" })
		d.add(25)
		time.Sleep(time.Hour)
		if b := d.Backlog(); b.SetAside != 0 || b.Outbox != 25 {
			t.Errorf("the backlog is %+v, want everything to wait: it may be the catalog's fault", b)
		}
		d.add(30)
		time.Sleep(5 * time.Minute)
		d.arrived(t, d.added[:25]...)
	})
}

// A catalog that refuses everything is ill: nothing is thrown away for it.
func TestJournalIllCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{Batch: 20})
		d.records.fail(errors.New("permission denied for table events"))
		d.add(100)
		time.Sleep(time.Hour)
		d.records.fail(nil)
		time.Sleep(time.Minute)
		d.arrived(t)
		if b := d.Backlog(); b.SetAside != 0 {
			t.Errorf("%d entries were set aside", b.SetAside)
		}
	})
}

// The disk takes nothing: what memory cannot hold is lost, samples first, and
// who adds does not wait for long.
func TestJournalFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{Memory: 10})
		d.outbox.fail(errors.New("no space left on device"))
		d.Add(nil, make([]station.Sample, 7))
		if b := d.Backlog(); b.Memory != 5 || b.Lost != 2 {
			t.Errorf("the backlog is %+v, want half of the memory for samples", b)
		}
		begin := time.Now()
		d.add(5)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("there was room, but Add took %v", waited)
		}
		d.Add([]station.Event{{ID: "too much"}, {ID: "far too much"}}, nil)
		if waited := time.Since(begin); waited != time.Second {
			t.Errorf("Add took %v, want a second", waited)
		}
		if b := d.Backlog(); b.Memory != 10 || b.Lost != 4 || !strings.Contains(d.log.String(), "memory is full") {
			t.Errorf("the backlog is %+v, want ten and four lost", b)
		}
		go func() {
			time.Sleep(500 * time.Millisecond)
			d.outbox.fail(nil)
		}()
		d.add(3) // finds room meanwhile, after one more attempt at the disk
		time.Sleep(5 * time.Minute)
		ids, _, _ := d.records.all()
		if got := len(ids) + int(d.Backlog().Lost); got != 5+3+4 {
			t.Errorf("%d events arrived or are known to be lost, want 12", got)
		}
	})
}

// Many add at the same time while disk and catalog come and go.
func TestJournalRush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, station.JournalConfig{Batch: 50})
		var wg sync.WaitGroup
		for w := range 20 {
			wg.Go(func() {
				for i := range 100 {
					d.Add([]station.Event{{ID: fmt.Sprintf("%02d-%03d", w, i)}}, []station.Sample{{LiveID: fmt.Sprint(w), At: time.Unix(int64(i), 0)}})
					time.Sleep(time.Duration(w+i%7) * time.Millisecond)
				}
			})
		}
		for i := range 20 {
			d.outbox.fail(errAway)
			d.records.fail(fmt.Errorf("%w", station.ErrAway))
			time.Sleep(time.Duration(i) * 10 * time.Millisecond)
			d.outbox.fail(nil)
			if i%3 == 0 {
				d.records.fail(nil)
			}
			time.Sleep(20 * time.Millisecond)
		}
		d.records.fail(nil)
		wg.Wait()
		time.Sleep(5 * time.Minute)
		got, samples, _ := d.records.all()
		if len(got) != 2000 {
			t.Errorf("%d events arrived, want 2000", len(got))
		}
		last := make(map[string]string)
		for _, id := range got {
			if id <= last[id[:2]] {
				t.Fatalf("%s came after %s", id, last[id[:2]])
			}
			last[id[:2]] = id
		}
		distinct := make(map[station.Sample]bool)
		for _, s := range samples {
			distinct[s] = true
		}
		if len(distinct) != 2000 || d.Backlog().Lost != 0 {
			t.Errorf("%d samples arrived, want 2000; %d lost", len(distinct), d.Backlog().Lost)
		}
	})
}

func TestNewJournalRefuses(t *testing.T) {
	good := station.JournalConfig{Outbox: &outbox{}, Records: &records{}}
	for name, change := range map[string]func(*station.JournalConfig){
		"no outbox":  func(c *station.JournalConfig) { c.Outbox = nil },
		"no records": func(c *station.JournalConfig) { c.Records = nil },
		"no batch":   func(c *station.JournalConfig) { c.Batch = -1 },
		"no memory":  func(c *station.JournalConfig) { c.Memory = 1 },
		"too fast":   func(c *station.JournalConfig) { c.Interval = time.Millisecond },
	} {
		cfg := good
		change(&cfg)
		if _, err := station.NewJournal(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
