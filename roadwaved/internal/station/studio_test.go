package station_test

import (
	"bytes"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

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
	if cfg.Attendance == nil {
		cfg.Attendance = board
	}
	cfg.Journal, cfg.Records, cfg.Lives, cfg.Logger = s.journal, s.catalog, s.catalog, logger
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
