package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A scaler is what KEDA and Kubernetes do with a ScaledObject: they ask its
// query and want as many workers.
type scaler struct {
	manifest
	db *sql.DB
}

// newScaler connects as KEDA does.
func newScaler(t *testing.T, url string) scaler {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return scaler{manifestOf(t, "ScaledObject", "roadwave-worker"), db}
}

// jobs are how many there are to make, by the query.
func (s scaler) jobs(t *testing.T) (n float64) {
	t.Helper()
	if err := s.db.QueryRowContext(t.Context(), s.Spec.Triggers[0].Metadata.Query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wants is how many workers there should be.
func (s scaler) wants(t *testing.T) int {
	t.Helper()
	target, err := strconv.ParseFloat(s.Spec.Triggers[0].Metadata.TargetQueryValue, 64)
	if err != nil {
		t.Fatal(err)
	}
	return max(s.Spec.MinReplicaCount, min(s.Spec.MaxReplicaCount, int(math.Ceil(s.jobs(t)/target))))
}

// The query counts what a worker has to do, whatever states jobs are in; it needs
// no right but the one that the README gives, and an index.
func TestKubernetesQuery(t *testing.T) {
	t.Parallel()
	url := postgrestest.Start(t, postgrestest.Options{}).Database(t)
	s := &stack{t: t, url: url}
	s.migrate()
	catalog, ctx := s.catalog(), t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	claim := func(id string, lease time.Duration) station.Claim {
		t.Helper()
		c, err := catalog.Claim(ctx, id, "worker", time.Now(), lease)
		check(err)
		return c
	}
	release := func(id string, state station.JobState) { check(catalog.Release(ctx, claim(id, time.Hour), state, "")) }
	states := []func(id string){ // from here on they count
		func(string) {},
		func(id string) { claim(id, time.Hour) },
		func(id string) { claim(id, time.Nanosecond) },
		func(id string) { release(id, station.JobPending) },
		func(id string) { release(id, station.JobParked) }, // from here on they do not
		func(id string) { release(id, station.JobEmpty) },
		func(id string) {
			check(catalog.Publish(ctx, claim(id, time.Hour), station.Replay{ID: id, LiveID: id, GeoType: station.GeoNeutral, PublishedAt: time.Now()}))
		},
	}
	for i, become := range states {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		check(s.endedLive(id))
		check(catalog.Deposited(ctx, id, false))
		become(id)
	}
	check(s.endedLive("00000000-0000-4000-8000-000000000100")) // is still with its daemon
	scaler := newScaler(t, url)
	if got := scaler.jobs(t); got != 4 {
		t.Errorf("%v jobs are counted, want 4", got)
	}
	if got := scaler.wants(t); got != 4 {
		t.Errorf("%d workers are wanted, want 4", got)
	}

	readme, err := os.ReadFile(kubernetes + "/README.md")
	check(err)
	grant := regexp.MustCompile(`GRANT SELECT [^;]+ TO keda;`).Find(readme)
	for _, statement := range []string{"SET enable_seqscan = off", "CREATE ROLE keda", string(grant)} {
		scaler.db.SetMaxOpenConns(1) // for what is set
		_, err := scaler.db.ExecContext(ctx, statement)
		check(err)
	}
	rows, err := scaler.db.QueryContext(ctx, "EXPLAIN "+scaler.Spec.Triggers[0].Metadata.Query)
	check(err)
	var plan strings.Builder
	for rows.Next() {
		var line string
		check(rows.Scan(&line))
		plan.WriteString(line + "\n")
	}
	check(rows.Err())
	if !strings.Contains(plan.String(), "replay_jobs_to_do") {
		t.Errorf("the query does not use the index of what is to do:\n%s", &plan)
	}
	_, err = scaler.db.ExecContext(ctx, "SET ROLE keda")
	check(err)
	if got := scaler.jobs(t); got != 4 {
		t.Errorf("with the right of the README %v jobs are counted", got)
	}
}

// endedLive puts a live that is over into the catalog, its recording still with
// its daemon.
func (s *stack) endedLive(id string) error {
	catalog := s.catalog()
	err := catalog.StartLive(s.t.Context(), station.Live{ID: id, CreatorID: "ada", Title: "Live", ClassificationAge: station.AgeClasses[0],
		StartedAt: time.Now().Add(-time.Hour), State: station.OnAir, Node: "gone"})
	if err == nil {
		err = catalog.EndLive(s.t.Context(), id, station.End{At: time.Now(), State: station.Ended, Reason: station.EndCreator})
	}
	return err
}

// migrate makes the tables, as the Job does.
func (s *stack) migrate() {
	s.t.Helper()
	getenv := func(name string) (string, bool) { return s.url, name == "ROADWAVE_DATABASE_URL" }
	var said strings.Builder
	if code := run(context.Background(), []string{"migrate"}, getenv, io.Discard, &said); code != 0 {
		s.t.Fatal("migrate:", said.String())
	}
}

// Workers start by themselves when lives have ended, and go when nothing is left
// (M12). This scaler is more hasty than any real one: it stops workers the moment
// that fewer are wanted, those with a replay in hand among them.
func TestWorkersStartByThemselves(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	s.migrate()
	scaler := newScaler(t, s.url)
	scaler.Spec.MaxReplicaCount = 3 // this machine is small
	if n := scaler.wants(t); n != 0 {
		t.Errorf("%d workers are wanted for nothing", n)
	}
	lives := s.recordedLives(8, 10*time.Second)
	var workers []*testProcess
	most := 0
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		want := scaler.wants(t)
		for len(workers) < want {
			workers = append(workers, s.worker())
		}
		most = max(most, len(workers))
		for len(workers) > want {
			workers[0].stop()
			workers = workers[1:]
		}
		if want == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v replays are not made yet", scaler.jobs(t))
		}
	}
	s.allPublished(lives, time.Minute)
	if most != 3 {
		t.Errorf("there were %d workers at most", most)
	}
}

// A worker that is told to stop in the middle of a replay has given it back when
// it ends, with nothing held against it, and another makes it.
func TestStoppedWorkerHandsBack(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	s.migrate()
	begun, slow := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "ffmpeg")
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *pipe:0*) : >%q; exec sleep 600;; esac\nexec %q \"$@\"\n", begun, mediatest.Tool(t, "ffmpeg"))
	if err := os.WriteFile(slow, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	lives := s.recordedLives(1, 10*time.Second)
	first := s.worker("--ffmpeg", slow)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(begun); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("the replay was not begun:", err)
		}
	}
	second := time.Now()
	first.stop()
	stopped := time.Since(second)
	job, err := s.catalog().Job(t.Context(), lives[0])
	if err != nil || job.State != station.JobPending || job.Attempts != 0 {
		t.Errorf("the worker left the job %s after %d attempts (%v)", job.State, job.Attempts, err)
	}
	s.worker()
	s.allPublished(lives, 2*time.Minute)
	t.Logf("the worker ended after %v, the replay was published after %v", stopped, time.Since(second))
}
