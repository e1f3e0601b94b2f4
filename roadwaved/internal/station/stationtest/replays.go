package stationtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func publish(t *testing.T, c station.Catalog, at time.Time) station.Replay {
	t.Helper()
	r := replayOf(ended(t, c, at.Add(-time.Minute)))
	r.PublishedAt = at
	ok(t, c.Publish(t.Context(), claim(t, c, r.LiveID, "w", at), r))
	return r
}

func replayRoundTrip(t *testing.T, c station.Catalog) {
	r := publish(t, c, noon)
	r.PublishedAt = micro(r.PublishedAt)
	for what, read := range map[string]func() (station.Replay, error){
		"Replay":   func() (station.Replay, error) { return c.Replay(t.Context(), r.ID) },
		"ReplayOf": func() (station.Replay, error) { return c.ReplayOf(t.Context(), r.LiveID) },
	} {
		got, err := read()
		if err != nil || got != r {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", what, err, got, r)
		}
	}
	all, err := c.ListReplays(t.Context(), station.ReplayQuery{})
	ok(t, err)
	same(t, all, []station.Replay{r})
}

func replayUnknown(t *testing.T, c station.Catalog) {
	_, err := c.Replay(t.Context(), uuid.NewString())
	is(t, err, station.ErrNotFound)
	_, err = c.ReplayOf(t.Context(), uuid.NewString())
	is(t, err, station.ErrNotFound)
	all, err := c.ListReplays(t.Context(), station.ReplayQuery{})
	ok(t, err)
	if len(all) != 0 {
		t.Errorf("an empty catalog lists %v", all)
	}
}

func replayOnce(t *testing.T, c station.Catalog) {
	r := publish(t, c, noon)
	_, err := c.Claim(t.Context(), r.LiveID, "w2", noon.Add(time.Hour), time.Minute)
	is(t, err, station.ErrJobOver)
}

// Ten rounds of workers that all believe the lease has ended: claims and
// publications come in any order, one replay comes out.
func replayPublishedByMany(t *testing.T, c station.Catalog) {
	for range 10 {
		id := ended(t, c, noon)
		published := make(chan string, 8)
		for i, err := range race(8, func(i int) error {
			cl, err := c.Claim(t.Context(), id, "w", noon.Add(time.Duration(i)*time.Hour), time.Minute)
			if errors.Is(err, station.ErrClaimed) || errors.Is(err, station.ErrJobOver) {
				return nil
			}
			if err != nil {
				return err
			}
			r := replayOf(id)
			err = c.Publish(t.Context(), cl, r)
			if err == nil {
				published <- r.ID
			}
			if errors.Is(err, station.ErrFenced) {
				return nil
			}
			return err
		}) {
			if err != nil {
				t.Errorf("worker %d: %v", i, err)
			}
		}
		close(published)
		got, err := c.ReplayOf(t.Context(), id)
		ok(t, err)
		if id, n := <-published, len(published); id != got.ID || n != 0 {
			t.Errorf("replay %s was published, %d others too; the catalog has %s", id, n, got.ID)
		}
	}
	all, err := c.ListReplays(t.Context(), station.ReplayQuery{})
	ok(t, err)
	if len(all) != 10 {
		t.Errorf("10 lives have %d replays", len(all))
	}
}

func replayOfAnotherLive(t *testing.T, c station.Catalog) {
	id, other := ended(t, c, noon), ended(t, c, noon)
	cl := claim(t, c, id, "w1", noon)
	if err := c.Publish(t.Context(), cl, replayOf(other)); err == nil {
		t.Error("the claim on one live published another's replay")
	}
	ok(t, c.Publish(t.Context(), cl, replayOf(id)))
}

func replayTakenID(t *testing.T, c station.Catalog) {
	first := publish(t, c, noon)
	id := ended(t, c, noon)
	cl := claim(t, c, id, "w1", noon)
	r := replayOf(id)
	r.ID = first.ID
	if err := c.Publish(t.Context(), cl, r); err == nil {
		t.Error("two replays have the same id")
	}
	if j := job(t, c, id); j.State != station.JobRunning {
		t.Errorf("after a publication that failed the job is %q", j.State)
	}
	ok(t, c.Publish(t.Context(), cl, replayOf(id)))
}

func replayListPages(t *testing.T, c station.Catalog) {
	for i := range 7 {
		publish(t, c, noon.Add(time.Duration(min(i, 3))*time.Microsecond))
	}
	whole, err := c.ListReplays(t.Context(), station.ReplayQuery{})
	ok(t, err)
	newestFirst := slices.IsSortedFunc(whole, func(a, b station.Replay) int {
		return orderDesc(a.PublishedAt, b.PublishedAt, a.ID, b.ID)
	})
	if len(whole) != 7 || !newestFirst {
		t.Fatalf("7 replays, newest first: got %v", whole)
	}
	var paged []station.Replay
	q := station.ReplayQuery{Limit: 2}
	for range 10 {
		page, err := c.ListReplays(t.Context(), q)
		ok(t, err)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		q.Before, q.BeforeID = page[len(page)-1].PublishedAt, page[len(page)-1].ID
	}
	same(t, paged, whole)

	page, err := c.ListReplays(t.Context(), station.ReplayQuery{Before: whole[0].PublishedAt})
	ok(t, err)
	same(t, page, whole[4:])
}
