package station_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestListening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		joined := time.Now()
		ticket, err := s.Join(t.Context(), station.Join{LiveID: "here", UserID: " léa ", Origin: "o", Position: &station.Position{Lat: 43.7, Lon: 7.25}})
		if err != nil || ticket.UserID != "léa" || ticket.Heartbeat != 10*time.Second {
			t.Fatalf("got %+v (%v)", ticket, err)
		}
		nobody := s.join(t, "")
		s.listen(t, time.Minute, ticket.ListenerID, nobody)
		if c := s.counters(t); c.Listeners != 2 || c.Visits != 2 {
			t.Errorf("the counters are %+v, want two listeners", c)
		}
		if err := s.Leave(t.Context(), "here", ticket.ListenerID); err != nil {
			t.Fatal(err)
		}
		left := time.Now()
		if err := s.Beat(t.Context(), "here", ticket.ListenerID, "o"); !errors.Is(err, station.ErrGone) {
			t.Errorf("a heartbeat of who left: %v, want ErrGone", err)
		}
		if err := s.Leave(t.Context(), "here", ticket.ListenerID); err != nil {
			t.Error("leaving twice:", err)
		}
		time.Sleep(3 * time.Second)
		if c := s.counters(t); c.Listeners != 1 || c.Visits != 2 {
			t.Errorf("the counters are %+v, want one listener of two visits", c)
		}
		joins, leaves := s.events(t, station.EventJoin), s.events(t, station.EventLeave)
		if len(joins) != 2 || len(leaves) != 1 {
			t.Fatalf("%d joins and %d leaves are in the log, want 2 and 1", len(joins), len(leaves))
		}
		i := slices.IndexFunc(joins, func(e station.Event) bool { return e.UserID == "léa" })
		if e := joins[i]; e.LiveID != "here" || e.Position == nil || *e.Position != (station.Position{Lat: 43.7, Lon: 7.25}) || !e.At.Equal(joined.Truncate(time.Microsecond)) {
			t.Errorf("the join is %+v", e)
		}
		if e := leaves[0]; e.LiveID != "here" || e.UserID != "léa" || e.Listened != left.Sub(joined) {
			t.Errorf("the leave is %+v, want %v listened", e, left.Sub(joined))
		}
	})
}

// Who is silent for 30 s is out of the count, and the log has the time they
// were heard of.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		time.Sleep(time.Minute + time.Millisecond) // not when the sweep is
		gone, stays := s.join(t, "gone"), s.join(t, "stays")
		s.listen(t, 40*time.Second, gone, stays) // last heard of at 30 s
		s.listen(t, 10*time.Second, stays)
		time.Sleep(9 * time.Second)
		if c := s.counters(t); c.Listeners != 2 {
			t.Errorf("after 29 s of silence: %+v, want two", c)
		}
		s.listen(t, 10*time.Second, stays)
		if c := s.counters(t); c.Listeners != 1 {
			t.Errorf("after 39 s of silence: %+v, want one", c)
		}
		if err := s.Beat(t.Context(), "here", gone, "o"); !errors.Is(err, station.ErrGone) {
			t.Errorf("who was counted out: %v, want ErrGone", err)
		}
		leaves := s.events(t, station.EventLeave)
		if len(leaves) != 1 || leaves[0].UserID != "gone" || leaves[0].Listened != 30*time.Second {
			t.Errorf("the log has %+v, want one leave after 30 s", leaves)
		}
	})
}

func TestFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		a, b, c := s.join(t, "a"), s.join(t, "b"), s.join(t, "c")
		s.listen(t, 20*time.Second, a, b, c)
		if err := s.Leave(t.Context(), "here", c); err != nil {
			t.Fatal(err)
		}
		s.listen(t, 20*time.Second, a, b)
		s.react(t, "a", station.Like, true)
		s.react(t, "b", station.Report, true)
		time.Sleep(3 * time.Second)
		f := s.end(t)
		want := station.Figures{Counters: station.Counters{Listeners: 2, Likes: 1, Reports: 1, Visits: 3}, Peak: 3}
		if f != want {
			t.Errorf("the figures are %+v, want %+v", f, want)
		}
		if err := s.Beat(t.Context(), "here", a, "o"); !errors.Is(err, station.ErrGone) {
			t.Errorf("a heartbeat after the end: %v, want ErrGone", err)
		}
		if _, err := s.Join(t.Context(), station.Join{LiveID: "here"}); !errors.Is(err, station.ErrGone) {
			t.Errorf("joining after the end: %v, want ErrGone", err)
		}
		if c := s.counters(t); c.Listeners != 0 || c.Likes != 1 {
			t.Errorf("what is shown after the end is %+v", c)
		}
		for _, e := range s.events(t, station.EventLeave) {
			if want := map[string]time.Duration{"a": 43 * time.Second, "b": 43 * time.Second, "c": 20 * time.Second}[e.UserID]; e.Listened != want {
				t.Errorf("%s listened for %v, want %v", e.UserID, e.Listened, want)
			}
		}
		samples, err := s.catalog.ListSamples(t.Context(), "here")
		if err != nil || len(samples) == 0 || samples[len(samples)-1].Counters != f.Counters {
			t.Errorf("the last sample is not that of the end: %+v (%v)", samples, err)
		}
		time.Sleep(time.Hour)
		if again, err := s.Join(t.Context(), station.Join{LiveID: "here"}); !errors.Is(err, station.ErrGone) {
			t.Errorf("joining an hour after the end: %v (%v), want ErrGone", again, err)
		}
	})
}

// Every whole minute has a sample.
func TestSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(17 * time.Second)
		s := newStudio(t, station.AudienceConfig{})
		a := s.join(t, "a")
		s.listen(t, 5*time.Minute, a)
		s.board.SetAway(errAway)
		s.listen(t, 3*time.Minute, a) // nobody counts: no samples
		s.board.SetAway(nil)
		s.listen(t, 2*time.Minute, a)
		time.Sleep(2 * time.Second)
		samples, err := s.catalog.ListSamples(t.Context(), "here")
		if err != nil || len(samples) != 8 {
			t.Fatalf("%d samples (%v), want 8", len(samples), err)
		}
		for _, sample := range samples {
			if !sample.At.Equal(sample.At.Truncate(time.Minute)) || sample.Listeners != 1 || sample.LiveID != "here" {
				t.Errorf("a sample is %+v", sample)
			}
		}
	})
}

// Any daemon takes the heartbeats of a live, be the catalog away.
func TestListeningElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		other := beside(t, s.board, s.catalog, station.AudienceConfig{})
		ticket, err := other.Join(t.Context(), station.Join{LiveID: "here", UserID: "léa"})
		if err != nil {
			t.Fatal(err)
		}
		s.catalog.fail(fmt.Errorf("%w", station.ErrAway))
		if _, err := beside(t, s.board, s.catalog, station.AudienceConfig{}).Join(t.Context(), station.Join{LiveID: "here"}); !errors.Is(err, station.ErrAway) {
			t.Errorf("joining a live nobody can look up: %v, want ErrAway", err)
		}
		if _, err := s.Join(t.Context(), station.Join{LiveID: "here"}); err != nil {
			t.Error("joining a live on air here with the catalog away:", err)
		}
		other.listen(t, 5*time.Minute, ticket.ListenerID)
		if c := other.counters(t); c.Listeners != 1 {
			t.Errorf("the other daemon shows %+v, want one listener", c)
		}
		s.board.SetAway(errAway)
		if c := other.counters(t); c.Listeners != 1 {
			t.Errorf("with the board away it shows %+v, want the last known", c)
		}
		s.board.SetAway(nil)
		s.catalog.fail(nil)
		s.end(t)
		time.Sleep(5 * time.Second)
		if err := other.Beat(t.Context(), "here", ticket.ListenerID, ""); !errors.Is(err, station.ErrGone) {
			t.Errorf("a heartbeat after the end: %v, want ErrGone", err)
		}
	})
}

// A herd asks the catalog once.
func TestHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{PerOriginVisits: -1})
		other := beside(t, s.board, s.catalog, station.AudienceConfig{PerOriginVisits: -1})
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				if _, err := other.Join(t.Context(), station.Join{LiveID: "here"}); err != nil {
					t.Error(err)
				}
				if _, err := other.Join(t.Context(), station.Join{LiveID: "nowhere"}); !errors.Is(err, station.ErrNotFound) {
					t.Errorf("joining nothing: %v, want ErrNotFound", err)
				}
			})
		}
		wg.Wait()
		if n := s.catalog.lookups.Load(); n != 2 {
			t.Errorf("the catalog was asked %d times, want 2", n)
		}
	})
}

// The first of a herd hangs up while the catalog thinks: the others wait on.
func TestHerdWithoutItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		slow := &ponderous{Lives: s.catalog}
		a, err := station.NewAudience(station.AudienceConfig{
			Attendance: s.board, Journal: s.journal, Records: s.catalog, Lives: slow,
			Key: make([]byte, 32), OnAir: func() []string { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := a.Join(ctx, station.Join{LiveID: "here"}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who hung up: %v", err)
			}
		})
		wg.Go(func() {
			time.Sleep(500 * time.Millisecond)
			if _, err := a.Join(t.Context(), station.Join{LiveID: "here"}); err != nil {
				t.Errorf("who waited: %v", err)
			}
		})
		wg.Wait()
	})
}

// A ponderous catalog takes three seconds for a live.
type ponderous struct{ station.Lives }

func (p *ponderous) Live(ctx context.Context, id string) (station.Live, error) {
	select {
	case <-ctx.Done():
		return station.Live{}, ctx.Err()
	case <-time.After(3 * time.Second):
		return p.Lives.Live(ctx, id)
	}
}

// Ten thousand listen to one live from everywhere; some leave, some fall silent,
// the board forgets them once. The count is right all the time.
func TestTenThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{PerOriginVisits: -1})
		time.Sleep(time.Minute + time.Millisecond)
		all := make([]string, 10_000)
		for i := range all {
			all[i] = s.join(t, fmt.Sprint(i))
		}
		counts := func(when string, want int64) {
			t.Helper()
			if c := s.counters(t); c.Listeners != want || c.Visits != 10_000 {
				t.Errorf("%s: %+v, want %d listeners of 10 000 visits", when, c, want)
			}
		}
		s.listen(t, 20*time.Second, all...)
		counts("at first", 10_000)
		for _, id := range all[:1000] {
			if err := s.Leave(t.Context(), "here", id); err != nil {
				t.Fatal(err)
			}
		}
		all = all[1000:]
		s.listen(t, 10*time.Second, all...)
		counts("1000 left", 9000)
		silent, rest := all[:4000], all[4000:]
		s.listen(t, 40*time.Second, rest...)
		counts("4000 fell silent", 5000)
		if err := s.Beat(t.Context(), "here", silent[0], "o"); !errors.Is(err, station.ErrGone) {
			t.Errorf("one of them is back: %v, want ErrGone", err)
		}
		s.board.Forget()
		s.listen(t, 20*time.Second, rest...)
		counts("the board forgot", 5000)
		if f := s.end(t); f.Peak != 10_000 || f.Visits != 10_000 {
			t.Errorf("the figures are %+v, want 10 000 visits at once", f)
		}
		if n := len(s.events(t, station.EventLeave)); n != 10_000 {
			t.Errorf("%d leaves are in the log, want 10 000", n)
		}
	})
}

func BenchmarkBeat(b *testing.B) {
	catalog := &flakyCatalog{}
	a, err := station.NewAudience(station.AudienceConfig{
		Attendance: &stationtest.Attendance{}, Journal: quietLog{}, Records: catalog, Lives: catalog,
		Key: make([]byte, 32), OnAir: func() []string { return []string{"here"} },
	})
	if err != nil {
		b.Fatal(err)
	}
	ticket, err := a.Join(b.Context(), station.Join{LiveID: "here", UserID: "léa"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Beat(b.Context(), "here", ticket.ListenerID, "o"); err != nil {
			b.Fatal(err)
		}
	}
}
