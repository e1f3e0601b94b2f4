package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/objects"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// The real store goes away while large recordings are on their way, and comes
// back.
func TestOutageOfS3(t *testing.T) {
	server := objectstest.Start(t)
	store, err := objects.Open(t.Context(), server.Bucket(t, "house"), objects.Config{
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Attempts: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := newHouse(t)
	h.store.Store = store
	var sums [][32]byte
	random := rand.NewChaCha8([32]byte{})
	ids := []string{"a", "b", "c", "d"}
	for _, id := range ids {
		sound := make([]byte, 20<<20)
		_, _ = random.Read(sound)
		sums = append(sums, sha256.Sum256(sound))
		h.live(id, string(sound))
		h.end(id, time.Minute)
	}
	uploaded := func() (n int) {
		for _, id := range ids {
			if j, err := h.catalog.Job(t.Context(), id); err == nil && j.State == station.JobPending {
				n++
			}
		}
		return n
	}
	wait := func(what string, until func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !until(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("waited for too long: ", what)
			}
		}
	}
	a := h.archive(func(c *Config) { c.Interval = time.Second })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.Run(ctx)
	}()
	defer func() { stop(); <-done }()
	wait("the first upload", func() bool { return uploaded() > 0 })
	server.Stop()
	wait("a failure", func() bool { return a.Pending().Failing > 0 })
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	wait("all uploads", func() bool { return uploaded() == len(ids) && a.Pending().Recordings == 0 })
	for i, id := range ids {
		o, err := store.Open(t.Context(), station.RawKey(id))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		_, err = io.Copy(sum, o)
		o.Close()
		if err != nil || !bytes.Equal(sum.Sum(nil), sums[i][:]) {
			t.Errorf("what was uploaded of %s is not what was recorded: %v", id, err)
		}
	}
	stop()
	<-done
	if log := h.log.String(); strings.Contains(log, server.SecretKey) {
		t.Error("the log tells the secret")
	}
}
