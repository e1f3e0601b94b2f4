package redis

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// The keys that everybody may read are those of M20, and plain integers.
func TestShownKeys(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		r := open(t)
		const id = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
		must(t, r.Attendance().Show(t.Context(), id, station.Counters{Listeners: 10_000, Likes: 3, Visits: 20_000}))
		for key, want := range map[string]string{
			"live:" + id + ":listeners": "10000",
			"live:" + id + ":likes":     "3",
			"live:" + id + ":reports":   "0",
		} {
			if got := r.client.Get(t.Context(), key).Val(); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
			if ttl := r.client.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Hour {
				t.Errorf("%s is kept for %v", key, ttl)
			}
		}
	})
}

// Whatever is written expires within the hour, and when the live was dismissed
// nothing that comes after makes it last.
func TestAudienceExpires(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		r := open(t)
		a, id := r.Attendance(), uuid.NewString()
		fill := func() {
			for range 2 {
				v := station.Visit{ID: uuid.NewString(), LiveID: id, Origin: "bus", JoinedAt: time.Now()}
				must(t, a.Touch(t.Context(), v, 0))
				must(t, a.CloseVisits(t.Context(), id, v.ID))
				v.ID = uuid.NewString()
				must(t, a.Touch(t.Context(), v, 0))
			}
			for _, reaction := range []station.Reaction{station.Like, station.Report} {
				_, err := a.React(t.Context(), id, reaction, uuid.NewString(), "bus", 0)
				must(t, err)
				must(t, a.Seed(t.Context(), id, reaction, uuid.NewString()))
			}
		}
		within := func(limit time.Duration) {
			t.Helper()
			keys := r.client.Keys(t.Context(), "roadwave:{"+id+"}:*").Val()
			want := audienceKeys(id)
			slices.Sort(keys)
			slices.Sort(want)
			if !slices.Equal(keys, want) {
				t.Errorf("the keys are %v, want %v", keys, want)
			}
			for _, key := range keys {
				if ttl := r.client.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > limit {
					t.Errorf("%s is kept for %v, want %v or less", key, ttl, limit)
				}
			}
		}
		fill()
		within(time.Hour)
		must(t, a.Dismiss(t.Context(), id))
		within(time.Hour)
		// As if that had been half an hour ago.
		ends := time.Now().Add(30 * time.Minute).Unix()
		must(t, r.client.HSet(t.Context(), audienceKeys(id)[audienceLive], "ends", ends).Err())
		must(t, a.Dismiss(t.Context(), id))
		fill()
		_, _, err := a.Count(t.Context(), id)
		must(t, err)
		within(30*time.Minute + 2*time.Second)
	})
}

// An hour passes on the embedded server: a live that is counted is remembered, one
// that nobody touches is not.
func TestEmbeddedForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Embedded(Config{})
		must(t, err)
		a, idle, busy := r.Attendance(), uuid.NewString(), uuid.NewString()
		for _, id := range []string{idle, busy} {
			must(t, a.Seed(t.Context(), id, station.Like, "anna"))
		}
		for range 5 {
			time.Sleep(15 * time.Minute)
			if _, known, err := a.Count(t.Context(), busy); err != nil || !known {
				t.Fatalf("a live that is counted is known: %v, %v", known, err)
			}
		}
		if c, known, err := a.Count(t.Context(), idle); err != nil || known || c.Likes != 0 {
			t.Errorf("a live that nobody touched: %+v, %v, %v", c, known, err)
		}
		must(t, r.Close())
	})
}

// Of closed visits the last ones are remembered.
func TestClosedAreBounded(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		r := open(t)
		keys := audienceKeys(uuid.NewString())
		const most = 100
		for i := range 300 {
			must(t, closeScript.Run(t.Context(), r.client, keys, memory, most, fmt.Sprintf("%03d", i)).Err())
			if n := r.client.ZCard(t.Context(), keys[audienceClosed]).Val(); n > most*11/10 || n < int64(min(i+1, most)) {
				t.Fatalf("after %d visits were closed %d are remembered", i+1, n)
			}
		}
		if err := r.client.ZScore(t.Context(), keys[audienceClosed], "299").Err(); err != nil {
			t.Error("the last one was forgotten:", err)
		}
	})
}

// Close waits for the heartbeats that are on their way, and takes no more.
func TestTouchWhileClosing(t *testing.T) {
	r, err := Embedded(Config{})
	must(t, err)
	a, v := r.Attendance(), station.Visit{ID: uuid.NewString(), LiveID: uuid.NewString()}
	answers := make(chan error, 1)
	go func() { answers <- a.Touch(t.Context(), v, 0) }()
	time.Sleep(gather / 2)
	must(t, r.Close())
	<-answers // an answer, whichever
	if err := a.Touch(t.Context(), v, 0); err == nil {
		t.Error("counted by a board that is closed")
	}
}

// A server that is short of memory drops keys as it likes. The count is right
// again once the silent were looked for and have beaten.
func TestAudienceHeals(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		for dropped := range audienceKeys("") {
			r := open(t)
			a, v := r.Attendance(), station.Visit{ID: uuid.NewString(), LiveID: uuid.NewString(), Origin: "bus", JoinedAt: time.Now()}
			must(t, a.Touch(t.Context(), v, 1))
			must(t, r.client.Del(t.Context(), audienceKeys(v.LiveID)[dropped]).Err())
			_, err := a.Silent(t.Context(), v.LiveID, 0)
			must(t, err)
			must(t, a.Touch(t.Context(), v, 2))
			if d, err := a.Silent(t.Context(), v.LiveID, 0); err != nil || len(d) != 1 || d[0].ID != v.ID {
				t.Errorf("without key %d: %v, %v", dropped, d, err)
			}
			if c, _, err := a.Count(t.Context(), v.LiveID); err != nil || c.Listeners != 1 {
				t.Errorf("without key %d: counted %+v, %v", dropped, c, err)
			}
			must(t, a.CloseVisits(t.Context(), v.LiveID, v.ID))
		}
	})
}

func FuzzPackedVisit(f *testing.F) {
	f.Add("192.0.2.0/24", int64(1_700_000_000_000_000), "anna")
	f.Add("", int64(-1), "")
	f.Add("12 3", int64(0), "4 5 6")
	f.Fuzz(func(t *testing.T, origin string, micros int64, user string) {
		v := station.Visit{Origin: origin, UserID: user, JoinedAt: time.UnixMicro(micros).UTC()}
		got, err := unpackVisit(packVisit(v))
		if err != nil || got.Visit != v {
			t.Errorf("%+v came back as %+v: %v", v, got.Visit, err)
		}
		if _, err := unpackVisit(origin + user); err != nil && err != errPacked { // whatever it is, no panic
			t.Error(err)
		}
	})
}
