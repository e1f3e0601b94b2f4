package stationtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestOutbox checks an outbox. Every call of open opens the outbox in a folder,
// which has been closed when it was open before.
func TestOutbox(t *testing.T, open func(t *testing.T, dir string) (o station.Outbox, close func())) {
	for name, test := range map[string]func(t *testing.T, o station.Outbox){
		"empty":                   outboxEmpty,
		"round trip":              outboxRoundTrip,
		"oldest first":            outboxOrder,
		"given until dropped":     outboxDrop,
		"a late drop":             outboxLateDrop,
		"a cancelled append":      outboxCancelled,
		"filled and drained":      outboxBusy,
		"appended to by many":     outboxMany,
		"nothing to append":       outboxNothing,
		"the same event, as told": outboxTwice,
	} {
		t.Run(name, func(t *testing.T) {
			o, close := open(t, t.TempDir())
			defer close()
			test(t, o)
		})
	}

	t.Run("opened again", func(t *testing.T) {
		dir := t.TempDir()
		var want []string
		for round := range 4 { // one batch more and half a batch less each time
			o, close := open(t, dir)
			waiting(t, o, len(want))
			events := joins(fmt.Sprint(round), noon, 10)
			ok(t, o.Append(t.Context(), events, nil))
			want = append(want, eventIDs(events)...)
			got, _, through := next(t, o, 5)
			same(t, eventIDs(got), want[:5])
			ok(t, o.Drop(t.Context(), through))
			want = want[5:]
			waiting(t, o, len(want))
			close()
		}
		o, close := open(t, dir)
		defer close()
		got, _, _ := next(t, o, 100)
		same(t, eventIDs(got), want)
	})
}

func next(t *testing.T, o station.Outbox, n int) ([]station.Event, []station.Sample, int64) {
	t.Helper()
	events, samples, through, err := o.Next(t.Context(), n)
	ok(t, err)
	return events, samples, through
}

func waiting(t *testing.T, o station.Outbox, want int) {
	t.Helper()
	n, err := o.Len(t.Context())
	ok(t, err)
	if n != want {
		t.Errorf("%d records wait, want %d", n, want)
	}
}

func outboxEmpty(t *testing.T, o station.Outbox) {
	waiting(t, o, 0)
	events, samples, through := next(t, o, 10)
	if len(events) != 0 || len(samples) != 0 {
		t.Errorf("an empty outbox gave %v and %v", events, samples)
	}
	ok(t, o.Drop(t.Context(), through))
}

func outboxNothing(t *testing.T, o station.Outbox) {
	ok(t, o.Append(t.Context(), nil, nil))
	waiting(t, o, 0)
}

func outboxRoundTrip(t *testing.T, o station.Outbox) {
	events := []station.Event{
		{
			ID: uuid.NewString(), Kind: station.EventJoin, At: micro(noon), LiveID: uuid.NewString(), UserID: "zoé 🚗 \" \x00 o'neil",
			ZoneGeo: "Rhône-Alpes", Position: &station.Position{Lat: 43.123456789012, Lon: -179.98765432101}, Category: "<propos> & co",
			Listened: 49*time.Hour + 123456*time.Microsecond,
			Stats: station.LiveStats{
				Duration: time.Hour + time.Microsecond, Packets: 1 << 40, Lost: 3, Visits: 10_001, PeakListeners: 9_999, Likes: 12, Reports: 1,
			},
		},
		{ID: uuid.NewString(), Kind: station.EventJoin, At: micro(noon), Position: &station.Position{}},
		{ID: uuid.NewString(), Kind: station.EventLeave, At: micro(noon)},
	}
	samples := []station.Sample{{
		LiveID: uuid.NewString(), At: micro(noon.Truncate(time.Second)),
		Counters: station.Counters{Listeners: 10_000, Likes: 1 << 40, Reports: 3, Visits: 12_345},
	}}
	ok(t, o.Append(t.Context(), events, samples))
	waiting(t, o, 4)
	gotEvents, gotSamples, _ := next(t, o, 10)
	same(t, gotEvents, events)
	same(t, gotSamples, samples)
}

func outboxOrder(t *testing.T, o station.Outbox) {
	var want []string
	for i := range 12 {
		events := joins("", noon.Add(-time.Duration(i)*time.Hour), i%4) // what happened when does not matter
		ok(t, o.Append(t.Context(), events, []station.Sample{{LiveID: fmt.Sprint(i), At: noon}}))
		want = append(append(want, eventIDs(events)...), fmt.Sprint(i))
	}
	var got []string
	for len(got) < len(want) {
		events, samples, through := next(t, o, 1)
		if len(events)+len(samples) != 1 {
			t.Fatalf("asked for one record: %v and %v", events, samples)
		}
		for _, s := range samples {
			got = append(got, s.LiveID)
		}
		got = append(got, eventIDs(events)...)
		ok(t, o.Drop(t.Context(), through))
	}
	same(t, got, want)
	waiting(t, o, 0)
}

func outboxDrop(t *testing.T, o station.Outbox) {
	events := joins("", noon, 10)
	ok(t, o.Append(t.Context(), events, nil))
	first, _, through := next(t, o, 4)
	again, _, _ := next(t, o, 4)
	same(t, eventIDs(first), eventIDs(events[:4]))
	same(t, eventIDs(again), eventIDs(first))

	more := joins("", noon, 3)
	ok(t, o.Append(t.Context(), more, nil)) // between Next and Drop
	for range 2 {
		ok(t, o.Drop(t.Context(), through))
		waiting(t, o, 9)
	}
	rest, _, through := next(t, o, 100)
	same(t, eventIDs(rest), append(eventIDs(events[4:]), eventIDs(more)...))
	ok(t, o.Drop(t.Context(), through))
	waiting(t, o, 0)
}

// A drop that comes twice must not hit what came after the outbox was empty.
func outboxLateDrop(t *testing.T, o station.Outbox) {
	ok(t, o.Append(t.Context(), joins("", noon, 5), nil))
	_, _, through := next(t, o, 5)
	ok(t, o.Drop(t.Context(), through))
	ok(t, o.Append(t.Context(), joins("", noon, 5), nil))
	ok(t, o.Drop(t.Context(), through))
	waiting(t, o, 5)
}

func outboxCancelled(t *testing.T, o station.Outbox) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Append(ctx, joins("", noon, 5), nil); err == nil {
		t.Error("a cancelled append succeeded")
	}
	waiting(t, o, 0)
	ok(t, o.Append(t.Context(), joins("", noon, 1), nil))
	waiting(t, o, 1)
}

// An outbox does not know what is the same: the catalog does.
func outboxTwice(t *testing.T, o station.Outbox) {
	events := joins("", noon, 1)
	ok(t, o.Append(t.Context(), events, nil))
	ok(t, o.Append(t.Context(), events, nil))
	got, _, _ := next(t, o, 10)
	same(t, eventIDs(got), []string{events[0].ID, events[0].ID})
}

func outboxMany(t *testing.T, o station.Outbox) {
	atOnce(t, 20, func(i int) error { return o.Append(t.Context(), joins(fmt.Sprint(i), noon, 5), nil) })
	waiting(t, o, 100)
	events, _, _ := next(t, o, 200)
	for i := range 20 {
		var times []time.Time
		for _, e := range events {
			if e.LiveID == fmt.Sprint(i) {
				times = append(times, e.At)
			}
		}
		if len(times) != 5 || !slices.IsSortedFunc(times, time.Time.Compare) {
			t.Errorf("five events appended together came back as %v", times)
		}
	}
}

// Appending and draining go on side by side: everything comes out once.
func outboxBusy(t *testing.T, o station.Outbox) {
	const writers, batches, each = 4, 25, 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for b := range batches {
				events := joins(fmt.Sprint(w), noon.Add(time.Duration(b)*time.Hour), each)
				if err := o.Append(t.Context(), events, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	last := make(map[string]time.Time)
	deadline := time.Now().Add(patience)
	for n := 0; n < writers*batches*each; {
		events, _, through := next(t, o, 30)
		for _, e := range events {
			if !e.At.After(last[e.LiveID]) {
				t.Fatalf("writer %s: %v came after %v", e.LiveID, e.At, last[e.LiveID])
			}
			last[e.LiveID] = e.At
		}
		ok(t, o.Drop(t.Context(), through))
		if n += len(events); time.Now().After(deadline) {
			t.Fatalf("%d records came out", n)
		}
	}
	wg.Wait()
	waiting(t, o, 0)
}
