package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/opusrec"
	"github.com/roadwave/roadwave/roadwaved/internal/objects"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Lives that end at once, three workers, one of them killed in the middle, and a
// recording that cannot be made into anything: each replay is published once.
func TestWorkersShareJobs(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	d := s.daemon(crowded...)
	victim := s.worker()
	s.worker()
	s.worker()
	poisoned := s.recordedLive(bytes.Repeat([]byte("not Ogg "), 1000))
	lives := d.endAtOnce(12, 10*time.Second)
	catalog := s.catalog()
	d.eventually("the victim has a job", time.Minute, func() bool {
		list, err := catalog.ListJobs(t.Context(), station.JobQuery{States: []station.JobState{station.JobDone}})
		return err == nil && len(list) > 0
	})
	victim.kill()
	s.allPublished(lives, 4*time.Minute)
	d.eventually("what cannot be made is given up", 3*time.Minute, func() bool {
		job, err := catalog.Job(t.Context(), poisoned)
		return err == nil && (job.State == station.JobParked || job.State == station.JobEmpty)
	})
}

// crowded lets many creators in from one address, without the ladder, which two
// processors do not carry for all of them.
var crowded = []string{"--ladder", "ondemand", "--per-address", "publishes=0"}

// endAtOnce has creators go live and hang up together once the last of them has
// spoken for a while.
func (d *testDaemon) endAtOnce(lives int, length time.Duration) (ids []string) {
	d.t.Helper()
	packets := spoken(length + time.Minute) // they hang up before its end
	creators := make([]*publication, lives)
	for i := range creators {
		creators[i] = d.publish(mediatest.Packets(packets...), "title=Live", func(cfg *whip.PublishConfig) { cfg.Token = fmt.Sprintf("creator-%d", i) })
		ids = append(ids, creators[i].id)
	}
	last := creators[lives-1]
	d.eventually("the last creator has spoken", length+time.Minute, func() bool { return last.age() >= length })
	for _, p := range creators {
		p.stop()
	}
	return ids
}

// recordedLives puts lives that are over into catalog and store, as daemons
// leave them.
func (s *stack) recordedLives(n int, length time.Duration) (ids []string) {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "live.opus")
	rec, err := opusrec.Create(path, opusrec.Config{})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := media.Copy(rec, programme(length)); err != nil {
		s.t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	for range n {
		ids = append(ids, s.recordedLive(raw))
	}
	return ids
}

func (s *stack) recordedLive(raw []byte) (id string) {
	s.t.Helper()
	catalog, ctx := s.catalog(), s.t.Context()
	live := station.Live{ID: uuid.NewString(), CreatorID: "ada", Title: "Live", ClassificationAge: station.AgeClasses[0],
		StartedAt: time.Now().Add(-time.Hour), State: station.OnAir, Node: "gone"}
	check := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	check(catalog.StartLive(ctx, live))
	check(s.store().Put(ctx, station.RawKey(live.ID), bytes.NewReader(raw)))
	check(catalog.EndLive(ctx, live.ID, station.End{At: time.Now(), State: station.Ended, Reason: station.EndCreator,
		Stats: station.LiveStats{Duration: 10 * time.Second}}))
	check(catalog.Deposited(ctx, live.ID, false))
	return live.ID
}

// store looks into the bucket.
func (s *stack) store() *objects.S3 {
	s.t.Helper()
	store, err := objects.Open(s.t.Context(), s.bucket, objects.Config{AccessKey: s.storage.AccessKey, SecretKey: s.storage.SecretKey})
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

// allPublished waits until every live has its one replay.
func (s *stack) allPublished(lives []string, patience time.Duration) {
	s.t.Helper()
	catalog := s.catalog()
	deadline := time.Now().Add(patience)
	for _, id := range lives {
		for {
			job, err := catalog.Job(s.t.Context(), id)
			if err != nil && !errors.Is(err, station.ErrNotFound) { // a live that has not quite ended has none
				s.t.Fatal(err)
			}
			if job.State == station.JobDone {
				break
			}
			if job.State == station.JobParked || job.State == station.JobEmpty || time.Now().After(deadline) {
				s.t.Fatalf("the job of live %s is %s: %s", id, job.State, job.Error)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if _, err := catalog.ReplayOf(s.t.Context(), id); err != nil {
			s.t.Error(err)
		}
	}
	replays, err := catalog.ListReplays(s.t.Context(), station.ReplayQuery{Limit: station.MaxPage})
	if err != nil || len(replays) != len(lives) {
		s.t.Errorf("%d replays of %d lives: %v", len(replays), len(lives), err)
	}
}
