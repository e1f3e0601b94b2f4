package station_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An outbox in memory outlives the journal, as one on disk does the process.
type outbox struct {
	flaky
	rows  []any
	first int64 // the number of the first row
}

func (o *outbox) Append(ctx context.Context, events []station.Event, samples []station.Sample) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := errors.Join(ctx.Err(), o.err); err != nil {
		return err
	}
	for _, e := range events {
		o.rows = append(o.rows, e)
	}
	for _, s := range samples {
		o.rows = append(o.rows, s)
	}
	return nil
}

func (o *outbox) Next(ctx context.Context, n int) (events []station.Event, samples []station.Sample, through int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n = min(n, len(o.rows))
	for _, r := range o.rows[:n] {
		switch r := r.(type) {
		case station.Event:
			events = append(events, r)
		case station.Sample:
			samples = append(samples, r)
		}
	}
	return events, samples, o.first + int64(n), errors.Join(ctx.Err(), o.err)
}

func (o *outbox) Drop(ctx context.Context, through int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := errors.Join(ctx.Err(), o.err); err != nil {
		return err
	}
	o.rows = o.rows[max(0, through-o.first):]
	o.first = max(o.first, through)
	return nil
}

func (o *outbox) Len(ctx context.Context) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows), errors.Join(ctx.Err(), o.err)
}

// records notes in which order events arrive for the first time.
type records struct {
	flaky
	refuse  func(id string) bool // for good
	deaf    func() bool          // records, but the answer is lost
	order   []string
	seen    map[string]bool
	samples []station.Sample
	calls   int
}

func (r *records) Record(ctx context.Context, events []station.Event, samples []station.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if err := errors.Join(ctx.Err(), r.err); err != nil {
		return err
	}
	for _, e := range events {
		if r.refuse != nil && r.refuse(e.ID) {
			return fmt.Errorf("event %s has a broken field", e.ID)
		}
	}
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	for _, e := range events {
		if !r.seen[e.ID] {
			r.seen[e.ID] = true
			r.order = append(r.order, e.ID)
		}
	}
	r.samples = append(r.samples, samples...)
	if r.deaf != nil && r.deaf() {
		return fmt.Errorf("connection reset: %w", station.ErrAway)
	}
	return nil
}

func (r *records) refuseFor(reason func(id string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = reason
}

func (r *records) all() (ids []string, samples []station.Sample, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.order), slices.Clone(r.samples), r.calls
}

// A desk is a journal and what is around it.
type desk struct {
	*station.Journal
	outbox  *outbox
	records *records
	log     *logText
	added   []string
	stop    func()
}

// newDesk is to be used in a bubble.
func newDesk(t *testing.T, cfg station.JournalConfig) *desk {
	d := &desk{outbox: &outbox{}, records: &records{}, log: &logText{}}
	d.start(t, cfg)
	return d
}

func (d *desk) start(t *testing.T, cfg station.JournalConfig) {
	t.Helper()
	cfg.Outbox, cfg.Records = d.outbox, d.records
	cfg.Logger = slog.New(slog.NewTextHandler(d.log, nil))
	j, err := station.NewJournal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.Journal = j
	d.stop = running(t, j.Run)
}

// running runs something until stop is called or the test ends.
func running(t *testing.T, run func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (d *desk) add(n int) {
	var events []station.Event
	for range n {
		id := fmt.Sprintf("event-%05d", len(d.added))
		d.added = append(d.added, id)
		events = append(events, station.Event{ID: id, Kind: station.EventJoin, At: time.Now(), LiveID: "live-1"})
	}
	d.Add(events, nil)
}

// arrived checks that everything arrived in its order, but what is missing.
func (d *desk) arrived(t *testing.T, missing ...string) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(d.added), func(id string) bool { return slices.Contains(missing, id) })
	if got, _, _ := d.records.all(); !slices.Equal(got, want) {
		t.Errorf("%d of %d events arrived, in order: %v", len(got), len(want), slices.IsSorted(got))
	}
	if n, _ := d.outbox.Len(context.Background()); n != 0 {
		t.Errorf("%d rows are left in the outbox", n)
	}
}
