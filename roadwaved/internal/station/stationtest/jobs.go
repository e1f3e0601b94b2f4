package stationtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func replayOf(liveID string) station.Replay {
	id := uuid.NewString()
	return station.Replay{
		ID:          id,
		LiveID:      liveID,
		Title:       station.ReplayTitle("Bouchons sur l'A7 🚗"),
		GeoType:     station.GeoNeutral,
		PublishedAt: noon,
		Duration:    8*time.Hour + 123456*time.Microsecond,
		Key:         "replay/" + id,
		Loudness:    -14.02,
		Removed:     17*time.Second + 500*time.Millisecond,
	}
}

func claim(t *testing.T, c station.Catalog, id, worker string, now time.Time) station.Claim {
	t.Helper()
	cl, err := c.Claim(t.Context(), id, worker, now, time.Minute)
	ok(t, err)
	return cl
}

func job(t *testing.T, c station.Catalog, id string) station.Job {
	t.Helper()
	j, err := c.Job(t.Context(), id)
	ok(t, err)
	if j.Updated.IsZero() || j.Updated.Location() != time.UTC {
		t.Errorf("job last changed at %v, want a time in UTC", j.Updated)
	}
	return j
}

func jobOpened(t *testing.T, c station.Catalog) {
	for _, premium := range []bool{false, true} {
		l := sample()
		l.Premium = premium
		start(t, c, l)
		_, err := c.Job(t.Context(), l.ID)
		is(t, err, station.ErrNotFound)
		_, err = c.Claim(t.Context(), l.ID, "w1", noon, time.Minute)
		is(t, err, station.ErrNotFound)
		is(t, c.Deposited(t.Context(), l.ID, false), station.ErrNotFound)

		ok(t, c.EndLive(t.Context(), l.ID, station.End{At: noon, State: station.Lost, Reason: station.EndCrash}))
		j := job(t, c, l.ID)
		j.Updated = time.Time{}
		want := station.Job{LiveID: l.ID, Node: "node-1", Opened: micro(noon), State: station.JobUploading}
		if premium {
			want.Priority = station.PriorityHigh
		}
		same(t, j, want)
		if j.Opened.Location() != time.UTC {
			t.Errorf("job opened at %v, want a time in UTC", j.Opened)
		}
	}
}

// A recording that is still on the node of its live is for no worker, and once
// deposited it stays so, whatever the job has become.
func jobDeposited(t *testing.T, c station.Catalog) {
	id := uploading(t, c, sample(), noon)
	_, err := c.Claim(t.Context(), id, "w1", noon.Add(time.Hour), time.Minute)
	is(t, err, station.ErrClaimed)
	ok(t, c.Reopen(t.Context(), id))
	is(t, c.Renew(t.Context(), station.Claim{LiveID: id}, noon, "x", 0), station.ErrFenced)
	is(t, c.Publish(t.Context(), station.Claim{LiveID: id}, replayOf(id)), station.ErrFenced)
	if j := job(t, c, id); j.State != station.JobUploading || j.Attempts != 0 {
		t.Errorf("a job without a recording became %+v", j)
	}

	ok(t, c.Deposited(t.Context(), id, false))
	if j := job(t, c, id); j.State != station.JobPending {
		t.Errorf("the job of a deposited recording is %q", j.State)
	}
	ok(t, c.Deposited(t.Context(), id, false)) // the answer was lost
	cl := claim(t, c, id, "w1", noon)
	ok(t, c.Deposited(t.Context(), id, false))
	if j := job(t, c, id); j.State != station.JobRunning {
		t.Errorf("a running job became %q", j.State)
	}
	ok(t, c.Publish(t.Context(), cl, replayOf(id)))
	ok(t, c.Deposited(t.Context(), id, false))
	if j := job(t, c, id); j.State != station.JobDone {
		t.Errorf("a job that is done became %q", j.State)
	}
}

// Only a job that is uploading can turn out to have no recording; one that did
// is opened again when the recording is found after all.
func jobNothing(t *testing.T, c station.Catalog) {
	id := uploading(t, c, sample(), noon)
	for range 2 { // the answer was lost
		ok(t, c.Deposited(t.Context(), id, true))
		if j := job(t, c, id); j.State != station.JobEmpty || j.Error != "nothing was recorded" || j.Attempts != 0 {
			t.Errorf("a job without anything recorded became %+v", j)
		}
	}
	ok(t, c.Deposited(t.Context(), id, false))
	if j := job(t, c, id); j.State != station.JobEmpty {
		t.Errorf("an empty job became %q", j.State)
	}
	_, err := c.Claim(t.Context(), id, "w1", noon, time.Minute)
	is(t, err, station.ErrJobOver)
	ok(t, c.Reopen(t.Context(), id))
	if j := job(t, c, id); j.State != station.JobPending || j.Error != "" {
		t.Errorf("an empty job that was reopened is %+v", j)
	}

	ok(t, c.Deposited(t.Context(), id, true))
	cl := claim(t, c, id, "w1", noon)
	ok(t, c.Deposited(t.Context(), id, true))
	if j := job(t, c, id); j.State != station.JobRunning || j.Error != "" {
		t.Errorf("a running job became %+v", j)
	}
	ok(t, c.Publish(t.Context(), cl, replayOf(id)))
	ok(t, c.Deposited(t.Context(), id, true))
	if j := job(t, c, id); j.State != station.JobDone {
		t.Errorf("a job that is done became %q", j.State)
	}
}

func jobList(t *testing.T, c station.Catalog) {
	young, old, middle := ended(t, c, noon.Add(2*time.Hour)), ended(t, c, noon), ended(t, c, noon.Add(time.Hour))
	twin := ended(t, c, noon.Add(time.Hour)) // ended in the same microsecond as middle
	twins := []string{middle, twin}
	slices.Sort(twins)
	elsewhere := sample()
	elsewhere.Node = "node-2"
	far := uploading(t, c, elsewhere, noon.Add(3*time.Hour))
	near := uploading(t, c, sample(), noon.Add(4*time.Hour))
	start(t, c, sample()) // on air: no job
	claim(t, c, young, "w1", noon)

	for _, tt := range []struct {
		name string
		q    station.JobQuery
		want []string
	}{
		{"all", station.JobQuery{}, []string{old, twins[0], twins[1], young, far, near}},
		{"pending", station.JobQuery{States: states(station.JobPending)}, []string{old, twins[0], twins[1]}},
		{"running", station.JobQuery{States: states(station.JobRunning)}, []string{young}},
		{"two states", station.JobQuery{States: states(station.JobRunning, station.JobPending)}, []string{old, twins[0], twins[1], young}},
		{"done", station.JobQuery{States: states(station.JobDone)}, nil},
		{"node", station.JobQuery{Node: "node-2"}, []string{far}},
		{"node, state", station.JobQuery{Node: "node-1", States: states(station.JobUploading)}, []string{near}},
		{"limit", station.JobQuery{Limit: 2}, []string{old, twins[0]}},
		{"after", station.JobQuery{After: noon.Add(time.Hour), AfterID: twins[0]}, []string{twins[1], young, far, near}},
		{"after, state, limit", station.JobQuery{After: noon, AfterID: old, States: states(station.JobPending, station.JobRunning), Limit: 2}, twins},
	} {
		jobs, err := c.ListJobs(t.Context(), tt.q)
		ok(t, err)
		if ids := jobIDs(jobs); !slices.Equal(ids, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, ids, tt.want)
		}
	}
	jobs, err := c.ListJobs(t.Context(), station.JobQuery{Node: "node-2"})
	ok(t, err)
	same(t, jobs[0], job(t, c, far))
}

func jobListPages(t *testing.T, c station.Catalog) {
	for i := range 7 {
		ended(t, c, noon.Add(time.Duration(max(i, 3))*time.Microsecond)) // four in the same one
	}
	whole, err := c.ListJobs(t.Context(), station.JobQuery{})
	ok(t, err)
	oldestFirst := slices.IsSortedFunc(whole, func(a, b station.Job) int {
		return orderAsc(a.Opened, b.Opened, a.LiveID, b.LiveID)
	})
	if len(whole) != 7 || !oldestFirst {
		t.Fatalf("7 jobs, oldest first: got %v", whole)
	}
	var paged []station.Job
	q := station.JobQuery{States: states(station.JobPending, station.JobRunning), Limit: 2}
	for range 10 {
		page, err := c.ListJobs(t.Context(), q)
		ok(t, err)
		if len(page) == 0 {
			break
		}
		// What a reconciler does: the page must not shift under it.
		claim(t, c, page[0].LiveID, "w", noon)
		paged = append(paged, page...)
		q.After, q.AfterID = page[len(page)-1].Opened, page[len(page)-1].LiveID
	}
	same(t, jobIDs(paged), jobIDs(whole))

	for range 50 {
		ended(t, c, noon)
	}
	for limit, want := range map[int]int{0: 50, 1: 1, 53: 53, 100_000: 57, -1: 50} {
		jobs, err := c.ListJobs(t.Context(), station.JobQuery{Limit: limit})
		ok(t, err)
		if len(jobs) != want {
			t.Errorf("limit %d gave %d jobs, want %d", limit, len(jobs), want)
		}
	}
}

func states(s ...station.JobState) []station.JobState { return s }

func jobIDs(jobs []station.Job) []string {
	var ids []string
	for _, j := range jobs {
		ids = append(ids, j.LiveID)
	}
	return ids
}

func jobClaim(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	first := claim(t, c, id, "worker-1", noon)
	if first.LiveID != id {
		t.Errorf("claimed live %s, want %s", first.LiveID, id)
	}
	j := job(t, c, id)
	if j.State != station.JobRunning || j.Attempts != 1 || j.Worker != "worker-1" || !j.Lease.Equal(micro(noon.Add(time.Minute))) {
		t.Errorf("claimed job is %+v", j)
	}
	for _, worker := range []string{"worker-1", "worker-2"} {
		_, err := c.Claim(t.Context(), id, worker, noon.Add(59*time.Second), time.Minute)
		is(t, err, station.ErrClaimed)
	}
	ok(t, c.Publish(t.Context(), first, replayOf(id)))
	_, err := c.Claim(t.Context(), id, "worker-2", noon.Add(time.Hour), time.Minute)
	is(t, err, station.ErrJobOver)
	j = job(t, c, id)
	if j.State != station.JobDone || j.Progress != 1 || j.Error != "" || !j.Lease.IsZero() {
		t.Errorf("published job is %+v", j)
	}
}

func jobClaimedByMany(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	errs := race(16, func(int) error {
		_, err := c.Claim(t.Context(), id, "w", noon, time.Minute)
		return err
	})
	if won, lost := count(t, errs, nil), count(t, errs, station.ErrClaimed); won != 1 || lost != 15 {
		t.Errorf("%d claims succeeded and %d were refused, want 1 and 15", won, lost)
	}
	if j := job(t, c, id); j.Attempts != 1 {
		t.Errorf("%d attempts, want 1", j.Attempts)
	}
}

func jobLease(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	first := claim(t, c, id, "w1", noon)
	_, err := c.Claim(t.Context(), id, "w2", noon.Add(time.Minute), time.Minute)
	is(t, err, station.ErrClaimed) // it ends now, it did not end before
	ok(t, c.Renew(t.Context(), first, noon.Add(5*time.Minute), "encode", 0.5))
	_, err = c.Claim(t.Context(), id, "w2", noon.Add(4*time.Minute), time.Minute)
	is(t, err, station.ErrClaimed)

	second := claim(t, c, id, "w2", noon.Add(6*time.Minute))
	if second.Fence <= first.Fence {
		t.Errorf("the fence went from %d to %d", first.Fence, second.Fence)
	}
	if j := job(t, c, id); j.Attempts != 2 || j.Worker != "w2" {
		t.Errorf("taken over job is %+v", j)
	}
}

func jobProgress(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	cl := claim(t, c, id, "w1", noon)
	ok(t, c.Renew(t.Context(), cl, noon.Add(2*time.Minute), "découpe", 0.25))
	j := job(t, c, id)
	if j.Step != "découpe" || j.Progress != 0.25 || !j.Lease.Equal(micro(noon.Add(2*time.Minute))) || j.State != station.JobRunning {
		t.Errorf("renewed job is %+v", j)
	}
}

// The lease of a worker lapses, a second one claims: whatever the first then
// tries is refused and changes nothing.
func jobFenced(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	stale := claim(t, c, id, "w1", noon)
	holder := claim(t, c, id, "w2", noon.Add(2*time.Minute))
	before := job(t, c, id)
	refused := func(when string) {
		t.Helper()
		ctx := t.Context()
		for what, err := range map[string]error{
			"Renew":         c.Renew(ctx, stale, noon.Add(time.Hour), "x", 0.9),
			"Publish":       c.Publish(ctx, stale, replayOf(id)),
			"Release":       c.Release(ctx, stale, station.JobParked, "x"),
			"Release quiet": c.Release(ctx, stale, station.JobPending, ""),
		} {
			if !errors.Is(err, station.ErrFenced) {
				t.Errorf("%s, %s of the first worker: %v, want ErrFenced", when, what, err)
			}
		}
	}
	refused("while the second works")
	same(t, job(t, c, id), before)
	_, err := c.ReplayOf(t.Context(), id)
	is(t, err, station.ErrNotFound)

	published := replayOf(id)
	ok(t, c.Publish(t.Context(), holder, published))
	refused("after the second published")
	got, err := c.ReplayOf(t.Context(), id)
	ok(t, err)
	if got.ID != published.ID {
		t.Errorf("the replay is %s, want the second worker's %s", got.ID, published.ID)
	}
	stale = holder
	refused("after its own publication")
}

func jobLate(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	cl := claim(t, c, id, "w1", noon.Add(-24*time.Hour)) // its lease ended long ago
	ok(t, c.Renew(t.Context(), cl, noon.Add(-23*time.Hour), "encode", 0.5))
	ok(t, c.Publish(t.Context(), cl, replayOf(id)))
}

func jobFailed(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	cl := claim(t, c, id, "w1", noon)
	ok(t, c.Release(t.Context(), cl, station.JobPending, "ffmpeg: l'encodeur a échoué"))
	j := job(t, c, id)
	if j.State != station.JobPending || j.Attempts != 1 || j.Error != "ffmpeg: l'encodeur a échoué" || j.Worker != "w1" || !j.Lease.IsZero() {
		t.Errorf("failed job is %+v", j)
	}
	is(t, c.Renew(t.Context(), cl, noon, "x", 0), station.ErrFenced)
	is(t, c.Publish(t.Context(), cl, replayOf(id)), station.ErrFenced)

	again := claim(t, c, id, "w2", noon) // at once: no lease is in the way
	if again.Fence <= cl.Fence {
		t.Errorf("the fence went from %d to %d", cl.Fence, again.Fence)
	}
	if j := job(t, c, id); j.Attempts != 2 || j.Error == "" {
		t.Errorf("job tried again is %+v, want the last error kept", j)
	}
}

func jobInterrupted(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	ok(t, c.Release(t.Context(), claim(t, c, id, "w1", noon), station.JobPending, "disk full"))
	stale := claim(t, c, id, "w1", noon)
	ok(t, c.Release(t.Context(), stale, station.JobPending, ""))
	if j := job(t, c, id); j.State != station.JobPending || j.Attempts != 1 || j.Error != "disk full" {
		t.Errorf("interrupted job is %+v, want the one attempt that failed", j)
	}
	next := claim(t, c, id, "w2", noon)
	if next.Fence <= stale.Fence {
		t.Errorf("the fence went from %d to %d", stale.Fence, next.Fence)
	}
	is(t, c.Publish(t.Context(), stale, replayOf(id)), station.ErrFenced)
}

func jobReopened(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	ok(t, c.Reopen(t.Context(), id)) // pending: nothing to do
	cl := claim(t, c, id, "w1", noon)
	ok(t, c.Reopen(t.Context(), id)) // running: left alone
	ok(t, c.Renew(t.Context(), cl, noon.Add(time.Minute), "encode", 0.5))
	ok(t, c.Release(t.Context(), cl, station.JobParked, "five attempts"))
	if j := job(t, c, id); j.State != station.JobParked || j.Error != "five attempts" {
		t.Errorf("parked job is %+v", j)
	}
	_, err := c.Claim(t.Context(), id, "w2", noon.Add(time.Hour), time.Minute)
	is(t, err, station.ErrJobOver)

	ok(t, c.Reopen(t.Context(), id))
	if j := job(t, c, id); j.State != station.JobPending || j.Attempts != 0 || j.Error != "" {
		t.Errorf("reopened job is %+v", j)
	}
	is(t, c.Publish(t.Context(), cl, replayOf(id)), station.ErrFenced)
	ok(t, c.Publish(t.Context(), claim(t, c, id, "w2", noon), replayOf(id)))
	is(t, c.Reopen(t.Context(), id), station.ErrJobOver)
}

func jobEmpty(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	ok(t, c.Release(t.Context(), claim(t, c, id, "w1", noon), station.JobEmpty, "nothing was recorded"))
	if j := job(t, c, id); j.State != station.JobEmpty || j.Error != "nothing was recorded" {
		t.Errorf("empty job is %+v", j)
	}
	_, err := c.Claim(t.Context(), id, "w2", noon.Add(time.Hour), time.Minute)
	is(t, err, station.ErrJobOver)
	_, err = c.ReplayOf(t.Context(), id)
	is(t, err, station.ErrNotFound)
	ok(t, c.Reopen(t.Context(), id)) // the recording was found after all
	if j := job(t, c, id); j.State != station.JobPending || j.Attempts != 0 || j.Error != "" {
		t.Errorf("reopened job is %+v", j)
	}
	ok(t, c.Publish(t.Context(), claim(t, c, id, "w2", noon), replayOf(id)))
}

func jobUnknown(t *testing.T, c station.Catalog) {
	ctx, nobody := t.Context(), station.Claim{LiveID: uuid.NewString(), Fence: 1}
	_, err := c.Job(ctx, nobody.LiveID)
	is(t, err, station.ErrNotFound)
	_, err = c.Claim(ctx, nobody.LiveID, "w", noon, time.Minute)
	is(t, err, station.ErrNotFound)
	is(t, c.Renew(ctx, nobody, noon, "", 0), station.ErrNotFound)
	is(t, c.Publish(ctx, nobody, replayOf(nobody.LiveID)), station.ErrNotFound)
	is(t, c.Release(ctx, nobody, station.JobPending, "x"), station.ErrNotFound)
	is(t, c.Reopen(ctx, nobody.LiveID), station.ErrNotFound)
	is(t, c.Deposited(ctx, nobody.LiveID, false), station.ErrNotFound)
	is(t, c.Deposited(ctx, nobody.LiveID, true), station.ErrNotFound)
}

func jobOtherStates(t *testing.T, c station.Catalog) {
	id := ended(t, c, noon)
	cl := claim(t, c, id, "w1", noon)
	for _, state := range []station.JobState{station.JobRunning, station.JobDone, "", "broken"} {
		if err := c.Release(t.Context(), cl, state, "x"); err == nil {
			t.Errorf("a job was released as %q", state)
		}
	}
	ok(t, c.Publish(t.Context(), cl, replayOf(id)))
}
