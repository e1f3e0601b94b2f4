package relive_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/objects"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A real object store goes down before the recording is fetched, and again before
// the replay is stored.
func TestBucketGoesDown(t *testing.T) {
	server := objectstest.Start(t)
	bucket, err := objects.Open(t.Context(), server.Bucket(t, "relive"), objects.Config{
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Attempts: 2, Stall: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	h := newHouse(t)
	raw := recorded(t, 3*time.Second)
	if err := bucket.Put(t.Context(), station.RawKey(h.live.ID), bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	h.cfg.Store = bucket
	done := make(chan struct{}, 2)
	down := func() {
		server.Stop()
		go func() {
			time.Sleep(time.Second)
			if err := server.Start(); err != nil {
				t.Error(err)
			}
			done <- struct{}{}
		}()
	}
	h.make(maker{work: func(ctx context.Context, m maker, job replay.Job) (replay.Result, error) {
		<-done
		if got, err := os.ReadFile(job.Recording); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("worked on %d bytes, want %d (%v)", len(got), len(raw), err)
		}
		down()
		return storing(ctx, m, job)
	}})
	down()
	if err := h.worker().Handle(t.Context(), h.live.ID); err != nil {
		t.Fatal(err)
	}
	<-done
	if j := h.job(); j.State != station.JobDone || j.Attempts != 1 {
		t.Errorf("job is %+v", j)
	}
}
