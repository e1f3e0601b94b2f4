package janitor_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/roadwave/roadwave/roadwaved/internal/objects"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// On a real object store: what is deleted while it is being listed makes the
// listing miss nothing. With ROADWAVE_TEST_LONG=1 there is more than one page of
// recordings and of an orphan, which takes half a minute.
func TestBucket(t *testing.T) {
	server := objectstest.Start(t)
	bucket, err := objects.Open(t.Context(), server.Bucket(t, "clean"), objects.Config{AccessKey: server.AccessKey, SecretKey: server.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	h := newHouse(t)
	h.store, h.cfg.Store, h.cfg.AbortUploads = bucket, bucket, bucket.AbortIncomplete
	kept := h.published()
	keys := []string{"replay/" + replayID(kept) + "/index.m3u8"}
	many := 30
	if os.Getenv("ROADWAVE_TEST_LONG") == "1" {
		many = 1100
	}
	orphan := replayID(h.released(station.JobParked))
	for n := range many {
		keys = append(keys, station.RawKey(h.published()), fmt.Sprintf("replay/%s/%d.ts", orphan, n))
	}
	var puts errgroup.Group
	puts.SetLimit(16)
	for _, key := range keys {
		puts.Go(func() error { return bucket.Put(t.Context(), key, bytes.NewReader([]byte("sound"))) })
	}
	h.must(puts.Wait())
	h.now = time.Now().Add(8 * day)
	r := h.clean(false)
	if got := h.keys(); len(got) != 1 || got[0] != keys[0] {
		t.Errorf("left %d objects", len(got))
	}
	if r.Bytes() != int64(2*many*5) {
		t.Errorf("reported %s", r.Summary())
	}
}
