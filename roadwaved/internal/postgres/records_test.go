package postgres

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// visits makes n events of one live, a second from one another.
func visits(at time.Time, n int) []station.Event {
	live := uuid.NewString()
	events := make([]station.Event, n)
	for i := range events {
		events[i] = station.Event{
			ID:       uuid.NewString(),
			Kind:     station.EventJoin,
			At:       at.Add(time.Duration(i) * time.Second),
			LiveID:   live,
			UserID:   fmt.Sprint("auditeur-", i),
			ZoneGeo:  "Provence-Alpes-Côte d'Azur",
			Position: &station.Position{Lat: 43.5, Lon: 7.1},
		}
	}
	return events
}

func eventCount(t *testing.T, c *Catalog) int64 {
	t.Helper()
	n, err := one(t.Context(), c, pgx.RowTo[int64], "SELECT count(*) FROM audit_events")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func partitions(t *testing.T, c *Catalog) []string {
	t.Helper()
	names, err := c.partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Eight daemons write the same batches of the same days, of which no partition
// is there, in any order: each event is kept once.
func TestRecordByMany(t *testing.T) {
	databaseURL := empty(t)
	var batches [][]station.Event
	for d := range 5 {
		batches = append(batches, visits(newestStart.Add(time.Duration(d)*day), 200))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		c := openAt(t, databaseURL)
		wg.Go(func() {
			for j := range batches {
				batch := slices.Clone(batches[(i+j)%len(batches)])
				if i%2 == 1 {
					slices.Reverse(batch)
				}
				if err := c.Record(t.Context(), batch, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c := openAt(t, databaseURL)
	if n := eventCount(t, c); n != 1000 {
		t.Errorf("%d events, want 1000", n)
	}
	if names := partitions(t, c); len(names) != 6 { // and the day after
		t.Errorf("partitions are %v", names)
	}
}

// All of a batch or nothing.
func TestRecordWhole(t *testing.T) {
	c := fresh(t)
	events := visits(newestStart, 3)
	samples := []station.Sample{{LiveID: "not a uuid", At: newestStart}}
	if err := c.Record(t.Context(), events, samples); err == nil {
		t.Error("a sample of no live was recorded")
	}
	events[2].LiveID = "not a uuid"
	if err := c.Record(t.Context(), events, nil); err == nil || !strings.Contains(err.Error(), events[2].ID) {
		t.Errorf("an event of no live: %v", err)
	}
	if n := eventCount(t, c); n != 0 {
		t.Errorf("%d events of batches that were refused", n)
	}
	if err := c.Record(t.Context(), nil, nil); err != nil {
		t.Error(err)
	}
}

// One odd event must not keep the rest of a batch out for ever.
func TestRecordOddities(t *testing.T) {
	c := fresh(t)
	e := visits(newestStart, 1)[0]
	e.UserID, e.Category, e.Kind = "nul \x00 and \xff", "\xed\xa0\x80", "unheard of"
	e.Position = &station.Position{Lat: math.NaN(), Lon: math.Inf(1)}
	e.Listened = math.MaxInt64
	e.Stats.Packets = math.MaxInt64
	e.LiveID = ""
	if err := c.Record(t.Context(), []station.Event{e, e}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := c.ListEvents(t.Context(), station.EventQuery{UserID: e.UserID})
	if err != nil || len(got) != 1 {
		t.Fatalf("%v (%v)", got, err)
	}
	if got[0].UserID != "nul \ufffd and \ufffd" || got[0].Stats.Packets != math.MaxInt64 || !math.IsNaN(got[0].Position.Lat) {
		t.Errorf("read %+v", got[0])
	}
}

// Days that are over go as partitions, and come back for whoever still has an
// event of theirs to write, though its program believes the partition is there.
func TestForgetDropsPartitions(t *testing.T) {
	databaseURL := empty(t)
	c, other := openAt(t, databaseURL), openAt(t, databaseURL)
	for d := range 4 {
		if err := other.Record(t.Context(), visits(newestStart.Add(time.Duration(d)*day), 10), nil); err != nil {
			t.Fatal(err)
		}
	}
	before := newestStart.Add(2 * day)
	for _, dry := range []bool{true, true, false} {
		if n, err := c.ForgetEvents(t.Context(), before, dry); err != nil || n != 20 {
			t.Errorf("dry run %v: %d events forgotten (%v), want 20", dry, n, err)
		}
	}
	want := []string{"audit_events_20261103", "audit_events_20261104", "audit_events_20261105"}
	if names := partitions(t, c); !slices.Equal(names, want) {
		t.Errorf("partitions are %v, want %v", names, want)
	}
	if err := other.Record(t.Context(), visits(newestStart, 10), nil); err != nil {
		t.Errorf("an event of a day that was dropped: %v", err)
	}
	if n := eventCount(t, c); n != 30 {
		t.Errorf("%d events, want 30", n)
	}
}

// A copy of the database is being made, say: the error names who holds the log,
// and is none that would have all the rest of the daemon wait for the database.
func TestForgetWhileRead(t *testing.T) {
	c := openAt(t, empty(t))
	if err := c.Record(t.Context(), visits(newestStart, 3), nil); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"audit_events", "audit_ids"} {
		tx, err := c.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "SET LOCAL application_name = 'pg_dump'; SELECT count(*) FROM "+table); err != nil {
			t.Fatal(err)
		}
		_, err = c.ForgetEvents(t.Context(), newestStart.Add(day), false)
		if err == nil || errors.Is(err, station.ErrAway) || !regexp.MustCompile(`"pg_dump" \(user roadwave, server process \d+, since \d\d:\d\d:\d\d UTC\)`).MatchString(err.Error()) ||
			!strings.Contains(err.Error(), "audit_events_20261101") {
			t.Errorf("while %s is read: %v", table, err)
		}
		if n, err := c.ForgetEvents(t.Context(), newestStart.Add(day), true); n != 3 || err != nil {
			t.Errorf("a dry run meanwhile: %d events (%v)", n, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.ForgetEvents(t.Context(), newestStart.Add(day), false); n != 3 || err != nil {
		t.Errorf("afterwards: %d events (%v)", n, err)
	}
}

// What is known of events goes with them: their ids, and of which live those
// were.
func TestForgetIDs(t *testing.T) {
	c := openAt(t, empty(t))
	old, young := visits(newestStart, 3), visits(newestStart.Add(2*day), 3)
	batch := append(slices.Clone(old), young...)
	for range 2 {
		if err := c.Record(t.Context(), batch, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ForgetEvents(t.Context(), newestStart.Add(day), false); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int64{"audit_events": 3, "audit_ids": 3, "audit_lives": 1} {
			if n, err := one(t.Context(), c, pgx.RowTo[int64], "SELECT count(*) FROM "+table); n != want || err != nil {
				t.Errorf("%d rows in %s (%v), want %d", n, table, err, want)
			}
		}
	}
	// Somebody dropped what the live is said to be in.
	if _, err := c.pool.Exec(t.Context(), "DROP TABLE audit_ids_20261103"); err != nil {
		t.Fatal(err)
	}
	late := visits(newestStart.Add(4*day), 1)
	late[0].LiveID = young[0].LiveID
	if err := c.Record(t.Context(), late, nil); err != nil {
		t.Error(err)
	}
}

// Events go on being written while days are forgotten.
func TestForgetWhileRecording(t *testing.T) {
	databaseURL := empty(t)
	c := openAt(t, databaseURL)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20 {
				if err := c.Record(t.Context(), visits(newestStart.Add(time.Duration(i-10)*day), 5), nil); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	forgetter := openAt(t, databaseURL)
	for range 20 {
		if _, err := forgetter.ForgetEvents(t.Context(), newestStart, false); err != nil && !errors.Is(err, station.ErrAway) {
			t.Error(err)
		}
	}
	wg.Wait()
	if _, err := forgetter.ForgetEvents(t.Context(), newestStart, false); err != nil {
		t.Fatal(err)
	}
	if n := eventCount(t, c); n != 4*10*5 {
		t.Errorf("%d events from the days that are kept, want %d", n, 4*10*5)
	}
}

// Fifty workers want fifty jobs: each gets claimed once.
func TestFiftyClaims(t *testing.T) {
	c := fresh(t)
	ids := make([]string, 50)
	for i := range ids {
		ids[i] = pendingJob(t, c)
	}
	claimed := make(chan string, 50*50)
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for i := range ids {
				id := ids[(w+i)%len(ids)]
				_, err := c.Claim(t.Context(), id, fmt.Sprint("w", w), newestStart, time.Minute)
				if err == nil {
					claimed <- id
				} else if !errors.Is(err, station.ErrClaimed) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(claimed)
	got := slices.Sorted(func(yield func(string) bool) {
		for id := range claimed {
			if !yield(id) {
				return
			}
		}
	})
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		t.Errorf("%d claims for 50 jobs", len(got))
	}
}
