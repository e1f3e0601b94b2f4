package station_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A studio is an audience on parts in memory, to be used in a bubble.
type studio struct {
	*station.Audience
	board   *stationtest.Attendance
	catalog *flakyCatalog
	outbox  *outbox
	journal *station.Journal
	log     *logText

	mu    sync.Mutex
	onAir []string // here
	told  []station.Counters
}

// newStudio makes one with a live on air, "here", that runs.
func newStudio(t *testing.T, cfg station.AudienceConfig) *studio {
	t.Helper()
	s := beside(t, &stationtest.Attendance{}, &flakyCatalog{}, cfg)
	s.goOnAir(t, "here")
	running(t, s.Run)
	return s
}

// beside makes another daemon of the same house, with nothing on air.
func beside(t *testing.T, board *stationtest.Attendance, catalog *flakyCatalog, cfg station.AudienceConfig) *studio {
	t.Helper()
	s := &studio{board: board, catalog: catalog, outbox: &outbox{}, log: &logText{}}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	var err error
	s.journal, err = station.NewJournal(station.JournalConfig{Outbox: s.outbox, Records: catalog, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	running(t, s.journal.Run)
	cfg.Attendance, cfg.Journal, cfg.Records, cfg.Lives, cfg.Logger = s.board, s.journal, s.catalog, s.catalog, logger
	cfg.Key = bytes.Repeat([]byte{1}, 32)
	cfg.OnAir = func() []string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Clone(s.onAir)
	}
	cfg.OnCounters = func(_ string, c station.Counters) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, c)
	}
	s.Audience, err = station.NewAudience(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *studio) goOnAir(t *testing.T, id string) {
	t.Helper()
	if err := s.catalog.StartLive(t.Context(), station.Live{ID: id, StartedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onAir = append(s.onAir, id)
}

// end ends the live of newStudio as a station does.
func (s *studio) end(t *testing.T) station.Figures {
	t.Helper()
	s.mu.Lock()
	s.onAir = nil
	s.mu.Unlock()
	f := s.Finish(t.Context(), "here")
	if err := s.catalog.EndLive(t.Context(), "here", station.End{At: time.Now(), State: station.Ended}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (s *studio) join(t *testing.T, user string) string {
	t.Helper()
	ticket, err := s.Join(t.Context(), station.Join{LiveID: "here", UserID: user, Origin: "origin of " + user})
	if err != nil {
		t.Fatal(err)
	}
	return ticket.ListenerID
}

// listen sends heartbeats for that long.
func (s *studio) listen(t *testing.T, d time.Duration, listeners ...string) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(station.HeartbeatInterval) {
		for _, id := range listeners {
			if err := s.Beat(t.Context(), "here", id, "o"); err != nil {
				t.Fatalf("after %v: %v", d-time.Until(end), err)
			}
		}
	}
}

func (s *studio) counters(t *testing.T) station.Counters {
	t.Helper()
	return s.Counters(t.Context(), "here")["here"]
}

// events gives what is in the catalog once the journal had time.
func (s *studio) events(t *testing.T, kind station.EventKind) []station.Event {
	t.Helper()
	time.Sleep(2 * time.Second)
	var all []station.Event
	q := station.EventQuery{Kind: kind, Limit: station.MaxPage}
	for {
		page, err := s.catalog.ListEvents(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if len(page) < station.MaxPage {
			return all
		}
		q.After, q.AfterID = page[len(page)-1].At, page[len(page)-1].ID
	}
}

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

// The board is away: nobody notices, and nobody is counted out who could not be
// heard of.
func TestBoardAwayForListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		before := s.join(t, "before")
		gone := s.join(t, "gone")
		s.listen(t, 3*time.Minute, before, gone)
		s.board.SetAway(errAway)
		during := s.join(t, "during")
		s.react(t, "before", station.Like, true)
		s.react(t, "before", station.Like, true) // nobody can tell
		s.listen(t, 5*time.Minute, before, during)
		if c := s.counters(t); c.Listeners != 2 {
			t.Errorf("the last counters known are %+v, want two listeners", c)
		}
		s.board.SetAway(nil)
		time.Sleep(9 * time.Second)
		if c := s.counters(t); c.Listeners != 2 || c.Likes != 1 {
			t.Errorf("right after: %+v, want nobody counted out, and the like", c)
		}
		s.listen(t, time.Minute, before, during)
		if c := s.counters(t); c.Listeners != 2 || c.Visits != 3 || c.Likes != 1 {
			t.Errorf("a minute after: %+v, want the two who listen", c)
		}
		if likes := s.events(t, station.EventLike); len(likes) != 1 {
			t.Errorf("%d likes are in the log, want one", len(likes))
		}
		leaves := s.events(t, station.EventLeave)
		if len(leaves) != 1 || leaves[0].UserID != "gone" || leaves[0].Listened != 170*time.Second {
			t.Errorf("the log has %+v, want who left during it", leaves)
		}
	})
}

// A board that hangs costs a listener two seconds, the next ones nothing.
func TestBoardHangsForListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog := &flakyCatalog{}
		if err := catalog.StartLive(t.Context(), station.Live{ID: "here"}); err != nil {
			t.Fatal(err)
		}
		a, err := station.NewAudience(station.AudienceConfig{
			Attendance: hangingAttendance{}, Journal: quietLog{}, Records: catalog, Lives: catalog,
			Key: make([]byte, 32), OnAir: func() []string { return []string{"here"} },
		})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for range 1000 {
			if _, err := a.Join(t.Context(), station.Join{LiveID: "here"}); err != nil {
				t.Fatal(err)
			}
		}
		a.Finish(t.Context(), "here")
		if waited := time.Since(begin); waited > 5*time.Second {
			t.Errorf("waited for %v", waited)
		}
	})
}

type hangingAttendance struct{ station.Attendance }

func (hangingAttendance) Touch(ctx context.Context, _ station.Visit, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangingAttendance) Count(ctx context.Context, _ string) (station.Counters, bool, error) {
	<-ctx.Done()
	return station.Counters{}, false, ctx.Err()
}

type quietLog struct{}

func (quietLog) Add([]station.Event, []station.Sample) {}
func (quietLog) Flush(context.Context) error           { return nil }

// The board loses its memory: heartbeats bring the listeners back and the log
// the reactions; nothing that everybody sees goes down but for the listeners.
func TestBoardForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		left := s.join(t, "left")
		var all []string
		for i := range 50 {
			user := fmt.Sprint("user ", i)
			all = append(all, s.join(t, user))
			s.react(t, user, station.Like, true)
		}
		s.react(t, "user 1", station.Report, true)
		if err := s.Leave(t.Context(), "here", left); err != nil {
			t.Fatal(err)
		}
		s.listen(t, 2*time.Minute, all...)
		before := s.counters(t)
		s.board.Forget()
		time.Sleep(3 * time.Second)
		if c := s.counters(t); c.Likes != 50 || c.Reports != 1 || c.Visits != 51 {
			t.Errorf("right after: %+v, want the reactions and visits of before", c)
		}
		s.listen(t, 3*time.Minute, all...)
		if c := s.counters(t); c != before {
			t.Errorf("three minutes after: %+v, want %+v", c, before)
		}
		s.react(t, "user 1", station.Like, false)
		s.react(t, "user 51", station.Like, true)
		s.join(t, "user 51")
		time.Sleep(3 * time.Second)
		if c := s.counters(t); c.Likes != 51 || c.Visits != 52 || c.Listeners != 51 {
			t.Errorf("with one more: %+v", c)
		}
		if leaves := s.events(t, station.EventLeave); len(leaves) != 1 {
			t.Errorf("%d leaves are in the log, want one", len(leaves))
		}
	})
}

// The live ends with the board away: the last figures known count, and the
// listeners leave when it is back.
func TestFinishBoardAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		a := s.join(t, "a")
		s.listen(t, time.Minute, a)
		s.board.SetAway(errAway)
		time.Sleep(10 * time.Second)
		s.react(t, "a", station.Like, true)
		f := s.end(t)
		if want := (station.Figures{Counters: station.Counters{Listeners: 1, Visits: 1, Likes: 1}, Peak: 1}); f != want {
			t.Errorf("the figures are %+v, want %+v", f, want)
		}
		if leaves := s.events(t, station.EventLeave); len(leaves) != 0 {
			t.Errorf("the log has %+v, nobody can know who left", leaves)
		}
		time.Sleep(10 * time.Minute)
		s.board.SetAway(nil)
		time.Sleep(time.Minute)
		if leaves := s.events(t, station.EventLeave); len(leaves) != 1 || leaves[0].Listened != 70*time.Second {
			t.Errorf("the log has %+v, want one leave at the end of the live", leaves)
		}
		if d, err := s.board.Silent(t.Context(), "here", 0); err != nil || len(d) != 0 {
			t.Errorf("the board still has %v (%v)", d, err)
		}
	})
}

// The process dies under a live: the one that closes it finds the visits on the
// board, or at least in the log, and the figures in the samples.
func TestFinishOfTheDead(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprint("board lost too: ", lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, station.AudienceConfig{})
				a, b := s.join(t, "a"), s.join(t, "b")
				s.react(t, "a", station.Like, true)
				s.listen(t, 70*time.Second, a, b)
				if err := s.Leave(t.Context(), "here", b); err != nil {
					t.Fatal(err)
				}
				s.listen(t, 70*time.Second, a)
				s.mu.Lock()
				s.onAir = nil // it counts no more
				s.mu.Unlock()
				time.Sleep(5 * time.Minute)
				if lost {
					s.board.Forget()
				}
				other := beside(t, s.board, s.catalog, station.AudienceConfig{})
				running(t, other.Run)
				f := other.Finish(t.Context(), "here")
				if err := s.catalog.EndLive(t.Context(), "here", station.End{At: time.Now(), State: station.Lost}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if f.Peak != 2 || f.Visits != 2 || f.Likes != 1 {
					t.Errorf("the figures are %+v, want two visits and a like", f)
				}
				leaves := s.events(t, station.EventLeave)
				if len(leaves) != 2 {
					t.Errorf("the log has %+v, want both leaves", leaves)
				}
				// Of a board that forgot, the last sample is left.
				until := map[bool]time.Duration{false: 130 * time.Second, true: 120 * time.Second}[lost]
				for _, e := range leaves {
					if want := map[string]time.Duration{"a": until, "b": 70 * time.Second}[e.UserID]; e.Listened != want {
						t.Errorf("%s listened for %v, want %v", e.UserID, e.Listened, want)
					}
				}
			})
		})
	}
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

func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{PerOriginVisits: 3, PerOriginReactions: 2})
		for i := range 5 {
			_, err := s.Join(t.Context(), station.Join{LiveID: "here", Origin: "one address"})
			if want := i >= 3; errors.Is(err, station.ErrCrowded) != want {
				t.Errorf("visit %d: %v", i, err)
			}
			_, err = s.React(t.Context(), station.Reacting{LiveID: "here", UserID: fmt.Sprint(i), Origin: "one address", Reaction: station.Like})
			if want := i >= 2; errors.Is(err, station.ErrCrowded) != want {
				t.Errorf("like %d: %v", i, err)
			}
		}
		s.board.SetAway(errAway)
		time.Sleep(3 * time.Second)
		for i := range 5 {
			_, err := s.React(t.Context(), station.Reacting{LiveID: "here", UserID: fmt.Sprint(i), Origin: "another", Reaction: station.Like})
			if want := i >= 2; errors.Is(err, station.ErrCrowded) != want {
				t.Errorf("like %d with the board away: %v", i, err)
			}
		}
		for _, id := range []string{"", "x", uuid.NewString(), strings.Repeat("A", 5000)} {
			if err := s.Beat(t.Context(), "here", id, "o"); !errors.Is(err, station.ErrNotFound) {
				t.Errorf("a heartbeat of %.40q: %v, want ErrNotFound", id, err)
			}
			if err := s.Leave(t.Context(), "here", id); !errors.Is(err, station.ErrNotFound) {
				t.Errorf("%.40q leaves: %v, want ErrNotFound", id, err)
			}
		}
		id := s.join(t, "léa")
		if err := s.Beat(t.Context(), "there", id, "o"); !errors.Is(err, station.ErrNotFound) {
			t.Errorf("a heartbeat on another live: %v, want ErrNotFound", err)
		}
	})
}

func (s *studio) react(t *testing.T, user string, r station.Reaction, want bool) {
	t.Helper()
	category := ""
	if r == station.Report {
		category = "spam"
	}
	first, err := s.React(t.Context(), station.Reacting{LiveID: "here", UserID: user, Origin: "o", Reaction: r, Category: category})
	if err != nil || first != want {
		t.Errorf("%s by %s: first %v (%v), want %v", r, user, first, err, want)
	}
}

func TestReact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		s.react(t, "léa", station.Like, true)
		s.react(t, " léa ", station.Like, false)
		s.react(t, "léa", station.Report, true)
		s.react(t, "tom", station.Like, true)
		time.Sleep(3 * time.Second)
		if c := s.counters(t); c.Likes != 2 || c.Reports != 1 {
			t.Errorf("the counters are %+v, want two likes and a report", c)
		}
		s.mu.Lock()
		told := slices.Clone(s.told)
		s.mu.Unlock()
		if len(told) == 0 || len(told) > 3 || told[len(told)-1].Likes != 2 {
			t.Errorf("told %+v, want each change", told)
		}
		likes, reports := s.events(t, station.EventLike), s.events(t, station.EventReport)
		if len(likes) != 2 || len(reports) != 1 || reports[0].Category != "spam" || reports[0].UserID != "léa" {
			t.Errorf("the log has %+v and %+v", likes, reports)
		}
	})
}

// Likes that are on their way to the catalog when the board forgets them are
// given back too.
func TestBoardForgetsWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		time.Sleep(2 * time.Minute)
		s.catalog.fail(fmt.Errorf("%w", station.ErrAway))
		s.react(t, "léa", station.Like, true)
		time.Sleep(3 * time.Second)
		s.board.Forget()
		time.Sleep(3 * time.Second)
		s.catalog.fail(nil)
		time.Sleep(2 * time.Minute)
		if c, known, err := s.board.Count(t.Context(), "here"); err != nil || !known || c.Likes != 1 {
			t.Errorf("the board counts %+v (%v, %v), want the like", c, known, err)
		}
	})
}

// While nobody can tell who reacted, the rest is counted.
func TestCountUnseeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog := &flakyCatalog{}
		catalog.unread.fail(fmt.Errorf("%w", station.ErrAway))
		s := beside(t, &stationtest.Attendance{}, catalog, station.AudienceConfig{})
		s.goOnAir(t, "here")
		running(t, s.Run)
		a, b := s.join(t, "a"), s.join(t, "b")
		time.Sleep(3 * time.Second)
		if err := s.Leave(t.Context(), "here", b); err != nil {
			t.Fatal(err)
		}
		s.listen(t, time.Minute, a)
		if c := s.counters(t); c.Visits != 2 || c.Listeners != 1 {
			t.Errorf("the counters are %+v, want one listener of two visits", c)
		}
	})
}

// The live is over here and the catalog cannot be told: nobody joins.
func TestFinishCatalogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		a := s.join(t, "a")
		s.mu.Lock()
		s.onAir = nil
		s.mu.Unlock()
		s.Finish(t.Context(), "here")
		for range 10 {
			if _, err := s.Join(t.Context(), station.Join{LiveID: "here"}); !errors.Is(err, station.ErrGone) {
				t.Errorf("joining: %v, want ErrGone", err)
			}
			if err := s.Beat(t.Context(), "here", a, "o"); !errors.Is(err, station.ErrGone) {
				t.Errorf("a heartbeat: %v, want ErrGone", err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// What cannot be written down is not done: the visits stay for whoever can.
func TestSilenceDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		s.join(t, "a")
		time.Sleep(time.Second)
		s.outbox.fail(errors.New("no space left on device"))
		time.Sleep(5 * time.Minute)
		if d, err := s.board.Silent(t.Context(), "here", 0); err != nil || len(d) != 1 {
			t.Errorf("the board has %v (%v), want the visit that nobody could log", d, err)
		}
		s.outbox.fail(nil)
		time.Sleep(time.Minute)
		if leaves := s.events(t, station.EventLeave); len(leaves) != 1 {
			t.Errorf("the log has %+v, want one leave", leaves)
		}
	})
}

// A process that stood still heard of nobody: that is not their silence.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		s := newStudio(t, station.AudienceConfig{Now: now})
		time.Sleep(time.Minute + time.Millisecond)
		s.join(t, "a")
		time.Sleep(24 * time.Second)
		ahead.Store(int64(time.Minute))
		time.Sleep(25 * time.Second)
		if c := s.counters(t); c.Listeners != 1 {
			t.Errorf("25 s after the standstill: %+v, want the listener", c)
		}
		time.Sleep(15 * time.Second)
		if c := s.counters(t); c.Listeners != 0 {
			t.Errorf("40 s after the standstill: %+v, want nobody", c)
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

func TestListeningRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		join := func(j station.Join) error {
			j.LiveID = "here"
			_, err := s.Join(t.Context(), j)
			return err
		}
		react := func(r station.Reacting) error {
			r.LiveID = "here"
			_, err := s.React(t.Context(), r)
			return err
		}
		long := strings.Repeat("é", station.MaxUserID+1)
		for name, tt := range map[string]struct {
			err   error
			field string
		}{
			"long user":        {join(station.Join{UserID: long}), "user_id"},
			"odd user":         {join(station.Join{UserID: "a\nb"}), "user_id"},
			"beyond the pole":  {join(station.Join{Position: &station.Position{Lat: 90.001}}), "position"},
			"around the earth": {join(station.Join{Position: &station.Position{Lon: -180.001}}), "position"},
			"NaN":              {join(station.Join{Position: &station.Position{Lat: math.NaN()}}), "position"},
			"infinity":         {join(station.Join{Position: &station.Position{Lon: math.Inf(1)}}), "position"},
			"no user":          {react(station.Reacting{Reaction: station.Like, UserID: " "}), "user_id"},
			"long reactor":     {react(station.Reacting{Reaction: station.Like, UserID: long}), "user_id"},
			"no category":      {react(station.Reacting{Reaction: station.Report, UserID: "a"}), "category"},
			"other category":   {react(station.Reacting{Reaction: station.Report, UserID: "a", Category: "ennui"}), "category"},
			"other reaction":   {react(station.Reacting{Reaction: "wow", UserID: "a"}), "reaction"},
		} {
			var invalid *station.InvalidError
			if !errors.As(tt.err, &invalid) || invalid.Field != tt.field || invalid.Message == "" {
				t.Errorf("%s: %v, want an InvalidError of %s", name, tt.err, tt.field)
			}
		}
		for _, p := range []station.Position{{}, {Lat: 90, Lon: 180}, {Lat: -90, Lon: -180}} {
			if err := join(station.Join{Position: &p}); err != nil {
				t.Errorf("%+v: %v", p, err)
			}
		}
		if _, err := s.React(t.Context(), station.Reacting{LiveID: "nowhere", UserID: "a", Reaction: station.Like}); !errors.Is(err, station.ErrNotFound) {
			t.Errorf("liking nothing: %v, want ErrNotFound", err)
		}
	})
}

func TestNewAudienceRefuses(t *testing.T) {
	catalog := &flakyCatalog{}
	good := station.AudienceConfig{
		Attendance: &stationtest.Attendance{}, Journal: quietLog{}, Records: catalog, Lives: catalog,
		Key: make([]byte, 32), OnAir: func() []string { return nil },
	}
	if _, err := station.NewAudience(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*station.AudienceConfig){
		"no board":       func(c *station.AudienceConfig) { c.Attendance = nil },
		"no journal":     func(c *station.AudienceConfig) { c.Journal = nil },
		"no records":     func(c *station.AudienceConfig) { c.Records = nil },
		"no lives":       func(c *station.AudienceConfig) { c.Lives = nil },
		"nothing on air": func(c *station.AudienceConfig) { c.OnAir = nil },
		"short key":      func(c *station.AudienceConfig) { c.Key = c.Key[:16] },
		"busy":           func(c *station.AudienceConfig) { c.CountInterval = 1 },
		"odd samples":    func(c *station.AudienceConfig) { c.SampleInterval = 1500 * time.Millisecond },
		"deaf":           func(c *station.AudienceConfig) { c.Silence = 1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := station.NewAudience(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
