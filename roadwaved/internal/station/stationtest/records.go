package stationtest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestRecords checks the audit log and the samples of a catalog. Every call of
// open gives an empty one, closed by the end of its test.
func TestRecords(t *testing.T, open func(t *testing.T) station.Records) {
	for name, test := range map[string]func(t *testing.T, r station.Records){
		"events/round trip":         eventRoundTrip,
		"events/written again":      eventsAgain,
		"events/at another time":    eventsAnotherTime,
		"events/batches overlap":    eventsOverlap,
		"events/all or nothing":     eventsAllOrNothing,
		"events/queries":            eventQueries,
		"events/pages":              eventPages,
		"events/limits":             eventLimits,
		"events/reactors":           eventReactors,
		"events/forget days":        eventsForgotten,
		"events/forget many":        eventsForgottenMany,
		"samples/round trip":        sampleRoundTrip,
		"samples/written again":     samplesAgain,
		"samples/with their events": samplesWithEvents,
		"nothing":                   recordNothing,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func join(liveID string, at time.Time) station.Event {
	return station.Event{ID: uuid.NewString(), Kind: station.EventJoin, At: at, LiveID: liveID, UserID: "auditeur"}
}

func joins(liveID string, at time.Time, n int) []station.Event {
	events := make([]station.Event, n)
	for i := range events {
		events[i] = join(liveID, at.Add(time.Duration(i)*time.Second))
	}
	return events
}

// all turns the pages of a query; there must be no more than 20.
func all(t *testing.T, r station.Records, q station.EventQuery) []station.Event {
	t.Helper()
	var events []station.Event
	for range 20 {
		page, err := r.ListEvents(t.Context(), q)
		ok(t, err)
		events = append(events, page...)
		if len(page) < station.PageSize(q.Limit) {
			return events
		}
		q.After, q.AfterID = page[len(page)-1].At, page[len(page)-1].ID
	}
	t.Fatalf("the pages do not end: %d events so far", len(events))
	return nil
}

func eventIDs(events []station.Event) []string {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func eventRoundTrip(t *testing.T, r station.Records) {
	live := uuid.NewString()
	at := func(i int) time.Time { return micro(noon.Add(time.Duration(i) * time.Microsecond)) }
	want := []station.Event{
		{ID: uuid.NewString(), Kind: station.EventLiveStart, At: at(0), LiveID: live, UserID: "créateur 🚗 o'neil", ZoneGeo: "Rhône-Alpes"},
		{ID: uuid.NewString(), Kind: station.EventJoin, At: at(1), LiveID: live, UserID: "a", Position: &station.Position{Lat: 43.123456789, Lon: -179.987654321}},
		{ID: uuid.NewString(), Kind: station.EventJoin, At: at(2), LiveID: live, UserID: "b", Position: &station.Position{}}, // a place, off Ghana
		{ID: uuid.NewString(), Kind: station.EventJoin, At: at(3), LiveID: live},
		{ID: uuid.NewString(), Kind: station.EventLike, At: at(4), LiveID: live, UserID: "a"},
		{ID: uuid.NewString(), Kind: station.EventReport, At: at(5), LiveID: live, UserID: "a", Category: "propos haineux % \\ \"'"},
		{ID: uuid.NewString(), Kind: station.EventLeave, At: at(6), LiveID: live, UserID: "a", Listened: 49*time.Hour + 123456*time.Microsecond},
		{ID: uuid.NewString(), Kind: station.EventLiveEnd, At: at(7), LiveID: live, UserID: "créateur 🚗 o'neil", ZoneGeo: "Rhône-Alpes", Stats: station.LiveStats{
			Duration: 2*time.Hour + 654321*time.Microsecond, Packets: 1 << 40, Lost: 3, Visits: 10_001, PeakListeners: 9_999, Likes: 12, Reports: 1,
		}},
	}
	given := slices.Clone(want)
	for i := range given {
		given[i].At = noon.Add(time.Duration(i) * time.Microsecond) // in Paris, with nanoseconds
	}
	ok(t, r.Record(t.Context(), given, nil))
	got, err := r.ListEvents(t.Context(), station.EventQuery{LiveID: live})
	ok(t, err)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range want {
		same(t, got[i], want[i])
	}
}

func eventsAgain(t *testing.T, r station.Records) {
	live := uuid.NewString()
	events := joins(live, noon, 30)
	atOnce(t, 8, func(int) error { return r.Record(t.Context(), events, nil) })
	ok(t, r.Record(t.Context(), events, nil))
	ok(t, r.Record(t.Context(), append(slices.Clone(events), events...), nil)) // within one batch
	same(t, eventIDs(all(t, r, station.EventQuery{LiveID: live})), eventIDs(events))
}

// What happened once may be seen by several, each with a clock of its own: the
// first to write it is believed, whether the times are of one day or of many.
func eventsAnotherTime(t *testing.T, r station.Records) {
	live := uuid.NewString()
	first := joins(live, noon, 5)
	again := func(later time.Duration) []station.Event {
		events := slices.Clone(first)
		for i := range events {
			events[i].At = events[i].At.Add(later)
		}
		return events
	}
	unchanged := func(when string, want []station.Event) {
		t.Helper()
		got := all(t, r, station.EventQuery{})
		if len(got) != len(want) {
			t.Fatalf("%s: %d events, want %d", when, len(got), len(want))
		}
		for i := range want {
			if got[i].ID != want[i].ID || !got[i].At.Equal(micro(want[i].At)) {
				t.Errorf("%s: %s at %v, want %s at %v", when, got[i].ID, got[i].At, want[i].ID, want[i].At)
			}
		}
	}
	ok(t, r.Record(t.Context(), append(slices.Clone(first), again(3*time.Second)...), nil))
	unchanged("in the same batch", first)
	for _, later := range []time.Duration{time.Microsecond, 5 * time.Second, 20 * time.Hour, 40 * 24 * time.Hour, -40 * 24 * time.Hour} {
		ok(t, r.Record(t.Context(), again(later), nil))
		unchanged("in a batch "+later.String()+" later", first)
	}
	late := join(live, noon.Add(time.Hour))
	ok(t, r.Record(t.Context(), append(again(time.Minute), late), nil))
	unchanged("with a new one", append(slices.Clone(first), late))

	other := joins(uuid.NewString(), noon.Add(48*time.Hour), 20)
	atOnce(t, 8, func(i int) error {
		batch := slices.Clone(other)
		for j := range batch {
			batch[j].At = batch[j].At.Add(time.Duration(i) * 5 * time.Hour)
		}
		if i%2 == 1 {
			slices.Reverse(batch)
		}
		return r.Record(t.Context(), batch, nil)
	})
	got := eventIDs(all(t, r, station.EventQuery{LiveID: other[0].LiveID}))
	want := eventIDs(other)
	slices.Sort(got)
	slices.Sort(want)
	same(t, got, want)
}

// Batches that share events come at the same time and in different orders, as
// when a daemon is not sure what it has shipped: no deadlock, no duplicate.
func eventsOverlap(t *testing.T, r station.Records) {
	live := uuid.NewString()
	events := joins(live, noon, 60)
	atOnce(t, 10, func(i int) error {
		batch := slices.Clone(events[i*5 : i*5+15])
		if i%2 == 1 {
			slices.Reverse(batch)
		}
		return r.Record(t.Context(), batch, []station.Sample{{LiveID: live, At: noon.Truncate(time.Minute)}})
	})
	same(t, eventIDs(all(t, r, station.EventQuery{LiveID: live})), eventIDs(events))
}

func eventsAllOrNothing(t *testing.T, r station.Records) {
	live := uuid.NewString()
	events := joins(live, noon, 10)
	events[7].ID = "" // what has no identity cannot be kept once
	samples := []station.Sample{{LiveID: live, At: noon.Truncate(time.Second)}}
	if err := r.Record(t.Context(), events, samples); err == nil {
		t.Error("an event without an id was taken")
	}
	if got := all(t, r, station.EventQuery{}); len(got) != 0 {
		t.Errorf("%d events of a batch that failed are there", len(got))
	}
	kept, err := r.ListSamples(t.Context(), live)
	ok(t, err)
	if len(kept) != 0 {
		t.Errorf("%d samples of a batch that failed are there", len(kept))
	}
}

func eventQueries(t *testing.T, r station.Records) {
	a, b := uuid.NewString(), uuid.NewString()
	names := make(map[string]string)
	var events []station.Event
	add := func(name, live, user string, kind station.EventKind, after time.Duration) {
		e := station.Event{ID: uuid.NewString(), Kind: kind, At: noon.Add(after), LiveID: live, UserID: user}
		names[e.ID] = name
		events = append(events, e)
	}
	add("3", a, "zoé", station.EventLeave, 2*time.Hour)
	add("1", a, "zoé", station.EventJoin, 0)
	add("5", b, "max", station.EventLeave, 48*time.Hour)
	add("2", a, "max", station.EventJoin, time.Hour)
	add("4", b, "zoé", station.EventJoin, 3*time.Hour)
	ok(t, r.Record(t.Context(), events, nil))

	for _, tt := range []struct {
		name string
		q    station.EventQuery
		want string
	}{
		{"all", station.EventQuery{}, "12345"},
		{"live", station.EventQuery{LiveID: a}, "123"},
		{"user", station.EventQuery{UserID: "zoé"}, "134"},
		{"kind", station.EventQuery{Kind: station.EventJoin}, "124"},
		{"live, user", station.EventQuery{LiveID: a, UserID: "zoé"}, "13"},
		{"user, kind", station.EventQuery{UserID: "max", Kind: station.EventLeave}, "5"},
		{"since", station.EventQuery{Since: noon.Add(2 * time.Hour)}, "345"},
		{"until", station.EventQuery{Until: noon.Add(2 * time.Hour)}, "12"},
		{"since, until, live", station.EventQuery{Since: noon.Add(time.Minute), Until: noon.Add(24 * time.Hour), LiveID: a}, "23"},
		{"limit", station.EventQuery{Limit: 2}, "12"},
		{"live nobody knows", station.EventQuery{LiveID: uuid.NewString()}, ""},
	} {
		got, err := r.ListEvents(t.Context(), tt.q)
		ok(t, err)
		found := ""
		for _, e := range got {
			found += names[e.ID]
		}
		if found != tt.want {
			t.Errorf("%s: found %q, want %q", tt.name, found, tt.want)
		}
	}
}

func eventPages(t *testing.T, r station.Records) {
	live := uuid.NewString()
	var events []station.Event
	for i := range 9 {
		events = append(events, join(live, noon.Add(time.Duration(i/4)*time.Microsecond)))
	}
	ok(t, r.Record(t.Context(), events, nil))
	slices.SortFunc(events, func(a, b station.Event) int { return orderAsc(a.At, b.At, a.ID, b.ID) })
	for _, q := range []station.EventQuery{{}, {LiveID: live}, {UserID: "auditeur", Kind: station.EventJoin}} {
		q.Limit = 2
		same(t, eventIDs(all(t, r, q)), eventIDs(events))
	}
}

func eventLimits(t *testing.T, r station.Records) {
	ok(t, r.Record(t.Context(), joins(uuid.NewString(), noon, station.MaxPage+5), nil))
	for limit, want := range map[int]int{0: 50, 1: 1, 60: 60, 100_000: station.MaxPage, -1: 50} {
		got, err := r.ListEvents(t.Context(), station.EventQuery{Limit: limit})
		ok(t, err)
		if len(got) != want {
			t.Errorf("limit %d gave %d events, want %d", limit, len(got), want)
		}
	}
}

func eventReactors(t *testing.T, r station.Records) {
	live, other := uuid.NewString(), uuid.NewString()
	var events []station.Event
	for i, s := range []struct {
		live string
		kind station.EventKind
		user string
	}{
		{live, station.EventLike, "zoé"}, {live, station.EventLike, "max"}, {live, station.EventLike, "zoé"},
		{live, station.EventReport, "zoé"}, {live, station.EventJoin, "léa"}, {other, station.EventLike, "tom"},
	} {
		events = append(events, station.Event{ID: uuid.NewString(), Kind: s.kind, At: noon.Add(time.Duration(i) * time.Hour), LiveID: s.live, UserID: s.user})
	}
	ok(t, r.Record(t.Context(), events, nil))
	for _, tt := range []struct {
		live     string
		reaction station.Reaction
		want     []string
	}{
		{live, station.Like, []string{"max", "zoé"}},
		{live, station.Report, []string{"zoé"}},
		{other, station.Like, []string{"tom"}},
		{other, station.Report, nil},
		{uuid.NewString(), station.Like, nil},
	} {
		got, err := r.Reactors(t.Context(), tt.live, tt.reaction)
		ok(t, err)
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.reaction, got, tt.want)
		}
	}
	// More of them than any page has: all are given.
	events = events[:0]
	want := make(map[string]bool)
	for i := range 3 * station.MaxPage {
		e := join(live, noon.Add(time.Duration(i)*time.Second))
		e.Kind, e.UserID = station.EventReport, fmt.Sprint("user ", i)
		want[e.UserID] = true
		events = append(events, e)
	}
	want["zoé"] = true
	ok(t, r.Record(t.Context(), events, nil))
	got, err := r.Reactors(t.Context(), live, station.Report)
	ok(t, err)
	slices.Sort(got)
	same(t, got, slices.Sorted(maps.Keys(want)))
}

// Only days that are over, by the clock of UTC, are forgotten.
func eventsForgotten(t *testing.T, r station.Records) {
	live := uuid.NewString()
	midnight := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	times := []time.Time{
		midnight.AddDate(0, 0, -40),
		midnight.AddDate(0, 0, -1),
		midnight.Add(-time.Microsecond),
		midnight,
		midnight.Add(30 * time.Minute),
		midnight.Add(24*time.Hour - time.Microsecond),
		midnight.Add(24 * time.Hour),
	}
	var events []station.Event
	for _, at := range times {
		events = append(events, join(live, at))
	}
	ok(t, r.Record(t.Context(), events, nil))
	forget := func(before time.Time, dryRun bool, want int64, left int) {
		t.Helper()
		n, err := r.ForgetEvents(t.Context(), before, dryRun)
		ok(t, err)
		if n != want {
			t.Errorf("before %v (dry run: %v): %d events, want %d", before, dryRun, n, want)
		}
		same(t, eventIDs(all(t, r, station.EventQuery{})), eventIDs(events[len(events)-left:]))
	}
	paris := time.FixedZone("Paris", 2*60*60)
	forget(midnight.AddDate(0, 0, -60), false, 0, 7)
	forget(midnight.Add(23*time.Hour+59*time.Minute), true, 3, 7)
	forget(midnight.Add(time.Hour).In(paris), true, 3, 7)
	// Already the next day in Paris, and not yet in UTC.
	forget(midnight.Add(-time.Hour).In(paris), false, 1, 6)
	forget(midnight.Add(23*time.Hour+59*time.Minute), false, 2, 4)
	forget(midnight, false, 0, 4)
	forget(midnight.Add(24*time.Hour), true, 3, 4)
	forget(midnight.Add(24*time.Hour), false, 3, 1)
	// What comes late, of a day that was forgotten, is taken like everything else.
	late := join(live, times[0])
	ok(t, r.Record(t.Context(), []station.Event{late}, nil))
	events = append([]station.Event{late}, events[6:]...)
	forget(midnight.AddDate(0, 0, 2), true, 2, 2)
}

// More events than are deleted at a time, most of them in the same microsecond.
func eventsForgottenMany(t *testing.T, r station.Records) {
	const n = 6_000
	events := make([]station.Event, n)
	for i := range events {
		events[i] = join("", noon.Add(time.Duration(i/5_500)*time.Second))
		events[i].LiveID = events[i].ID
	}
	for batch := range slices.Chunk(events, 2000) {
		ok(t, r.Record(t.Context(), batch, nil))
	}
	keep := join(uuid.NewString(), noon.Add(48*time.Hour))
	ok(t, r.Record(t.Context(), []station.Event{keep}, nil))
	for _, dryRun := range []bool{true, false} {
		got, err := r.ForgetEvents(t.Context(), noon.Add(24*time.Hour), dryRun)
		ok(t, err)
		if got != n {
			t.Errorf("%d events forgotten, want %d", got, n)
		}
	}
	same(t, eventIDs(all(t, r, station.EventQuery{})), []string{keep.ID})
}

func sampleRoundTrip(t *testing.T, r station.Records) {
	live := uuid.NewString()
	second := noon.Truncate(time.Second)
	var given, want []station.Sample
	for i := range 3 {
		c := station.Counters{Listeners: 10_000 + int64(i), Likes: 1 << 40, Reports: int64(i), Visits: 12_345}
		given = append(given, station.Sample{LiveID: live, At: second.Add(time.Duration(i) * time.Minute), Counters: c})
		want = append(want, station.Sample{LiveID: live, At: micro(given[i].At), Counters: c})
	}
	given = append(given, station.Sample{LiveID: uuid.NewString(), At: second})
	slices.Reverse(given)
	ok(t, r.Record(t.Context(), nil, given))
	got, err := r.ListSamples(t.Context(), live)
	ok(t, err)
	same(t, got, want)
	got, err = r.ListSamples(t.Context(), uuid.NewString())
	ok(t, err)
	if len(got) != 0 {
		t.Errorf("a live nobody knows has samples: %v", got)
	}
}

func samplesAgain(t *testing.T, r station.Records) {
	at := micro(noon.Truncate(time.Second))
	s := station.Sample{LiveID: uuid.NewString(), At: at, Counters: station.Counters{Listeners: 1, Likes: 2, Reports: 3, Visits: 4}}
	last := s
	last.Counters = station.Counters{Listeners: 5, Likes: 6, Reports: 7, Visits: 8}
	ok(t, r.Record(t.Context(), nil, []station.Sample{s}))
	ok(t, r.Record(t.Context(), nil, []station.Sample{last}))
	got, err := r.ListSamples(t.Context(), s.LiveID)
	ok(t, err)
	same(t, got, []station.Sample{last})

	ok(t, r.Record(t.Context(), nil, []station.Sample{last, s})) // within one batch
	got, err = r.ListSamples(t.Context(), s.LiveID)
	ok(t, err)
	same(t, got, []station.Sample{s})

	atOnce(t, 8, func(int) error { return r.Record(t.Context(), nil, []station.Sample{s, last}) })
	got, err = r.ListSamples(t.Context(), s.LiveID)
	ok(t, err)
	same(t, got, []station.Sample{last})
}

func samplesWithEvents(t *testing.T, r station.Records) {
	live := uuid.NewString()
	events := joins(live, noon, 3)
	samples := []station.Sample{{LiveID: live, At: micro(noon.Truncate(time.Second)), Counters: station.Counters{Listeners: 3}}}
	ok(t, r.Record(t.Context(), events, samples))
	same(t, eventIDs(all(t, r, station.EventQuery{LiveID: live})), eventIDs(events))
	got, err := r.ListSamples(t.Context(), live)
	ok(t, err)
	same(t, got, samples)
}

func recordNothing(t *testing.T, r station.Records) {
	ok(t, r.Record(t.Context(), nil, nil))
	got, err := r.ListEvents(t.Context(), station.EventQuery{})
	ok(t, err)
	if len(got) != 0 {
		t.Errorf("an empty log lists %v", got)
	}
	n, err := r.ForgetEvents(t.Context(), noon, false)
	if n != 0 || err != nil {
		t.Errorf("an empty log forgot %d events (%v)", n, err)
	}
}
