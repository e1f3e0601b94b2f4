package station_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A house is a station on parts in memory that can be made to fail.
type house struct {
	*station.Station
	catalog *flakyCatalog
	board   *flakyBoard
	ends    *endLog
	log     *logText
}

func newHouse(t *testing.T, cfg station.Config) *house {
	t.Helper()
	h := &house{catalog: &flakyCatalog{}, board: &flakyBoard{}, ends: &endLog{}, log: &logText{}}
	h.restart(t, cfg)
	return h
}

// restart puts another process in the place of the one that runs: it shares the
// catalog and the board with it, and nothing else.
func (h *house) restart(t *testing.T, cfg station.Config) {
	t.Helper()
	cfg.Lives, cfg.Board, cfg.OnEnd = h.catalog, h.board, h.ends.add
	cfg.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	s, err := station.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Station = s
}

// run runs the station until the end of the test's bubble.
func (h *house) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
	})
}

func (h *house) open(t *testing.T) station.Live {
	t.Helper()
	l, err := h.Open(t.Context(), station.Request{CreatorID: "léa"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (h *house) slots(t *testing.T) int {
	t.Helper()
	n, err := h.board.Board.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flaky holds the error that a part answers with, if any.
type flaky struct {
	mu  sync.Mutex
	err error
}

func (f *flaky) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *flaky) broken() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

var errAway = errors.New("connection refused")

type flakyCatalog struct {
	stationtest.Catalog
	flaky
	deaf    flaky // does the work but loses the answer
	unread  flaky // does not tell who reacted
	lookups atomic.Int64
}

func (c *flakyCatalog) Reactors(ctx context.Context, id string, r station.Reaction) ([]string, error) {
	if err := c.unread.broken(); err != nil {
		return nil, err
	}
	return c.Catalog.Reactors(ctx, id, r)
}

func (c *flakyCatalog) Live(ctx context.Context, id string) (station.Live, error) {
	c.lookups.Add(1)
	if err := c.broken(); err != nil {
		return station.Live{}, err
	}
	return c.Catalog.Live(ctx, id)
}

func (c *flakyCatalog) Record(ctx context.Context, events []station.Event, samples []station.Sample) error {
	if err := c.broken(); err != nil {
		return err
	}
	return c.Catalog.Record(ctx, events, samples)
}

func (c *flakyCatalog) StartLive(ctx context.Context, l station.Live) error {
	if err := c.broken(); err != nil {
		return err
	}
	if err := c.Catalog.StartLive(ctx, l); err != nil {
		return err
	}
	return c.deaf.broken()
}

func (c *flakyCatalog) EndLive(ctx context.Context, id string, e station.End) error {
	if err := c.broken(); err != nil {
		return err
	}
	return c.Catalog.EndLive(ctx, id, e)
}

type flakyBoard struct {
	stationtest.Board
	flaky
}

func (b *flakyBoard) Acquire(ctx context.Context, id string, limit int, lease time.Duration) error {
	if err := b.broken(); err != nil {
		return err
	}
	return b.Board.Acquire(ctx, id, limit, lease)
}

func (b *flakyBoard) Renew(ctx context.Context, lease time.Duration, ids ...string) error {
	if err := b.broken(); err != nil {
		return err
	}
	return b.Board.Renew(ctx, lease, ids...)
}

func (b *flakyBoard) Release(ctx context.Context, id string) error {
	if err := b.broken(); err != nil {
		return err
	}
	return b.Board.Release(ctx, id)
}

// A logText keeps what was logged.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An endLog hears of ends.
type endLog struct {
	mu  sync.Mutex
	ids []string
}

func (e *endLog) add(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ids = append(e.ids, id)
}

func (e *endLog) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := e.ids
	e.ids = nil
	return ids
}

func TestOpenAndClose(t *testing.T) {
	paris := time.FixedZone("Paris", 2*60*60)
	now := time.Date(2026, 7, 14, 23, 30, 0, 987654321, paris)
	h := newHouse(t, station.Config{Node: "node-1", Now: func() time.Time { return now }})

	l, err := h.Open(t.Context(), station.Request{CreatorID: "léa", Title: "Feux d'artifice 🎆", ZoneGeo: "Nice", Tags: []string{"Été"}})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := uuid.Parse(l.ID); err != nil || id.Version() != 4 {
		t.Errorf("live id %q is not a uuid v4", l.ID)
	}
	if want := now.UTC().Truncate(time.Microsecond); l.StartedAt != want {
		t.Errorf("started at %v, want %v", l.StartedAt, want)
	}
	stored, err := h.catalog.Live(t.Context(), l.ID)
	if err != nil || fmt.Sprint(stored) != fmt.Sprint(l) {
		t.Errorf("the catalog has %+v (%v), Open gave %+v", stored, err, l)
	}
	if l.Message() != "" || h.slots(t) != 1 || h.OnAir() != 1 {
		t.Errorf("on air: message %q, %d slots, %d lives here", l.Message(), h.slots(t), h.OnAir())
	}

	now = now.Add(time.Hour)
	stats := station.LiveStats{Duration: time.Hour, Packets: 180_000, Lost: 3}
	if err := h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator, Stats: stats}); err != nil {
		t.Fatal(err)
	}
	stored, err = h.catalog.Live(t.Context(), l.ID)
	if err != nil || stored.State != station.Ended || stored.EndReason != station.EndCreator || stored.Stats != stats ||
		!stored.EndedAt.Equal(now.Truncate(time.Microsecond)) || stored.Message() != station.MessageEnded || stored.CreatorMessage() != station.MessageEnded {
		t.Errorf("after the end the catalog has %+v (%v)", stored, err)
	}
	if got := h.ends.take(); !slices.Equal(got, []string{l.ID}) {
		t.Errorf("told of the end of %v, want the live that ended", got)
	}
	if h.slots(t) != 0 || h.OnAir() != 0 {
		t.Errorf("after the end: %d slots, %d lives here", h.slots(t), h.OnAir())
	}
}

func TestEndStates(t *testing.T) {
	h := newHouse(t, station.Config{})
	for reason, want := range map[station.EndReason]station.LiveState{
		station.EndCreator:  station.Ended,
		station.EndVanished: station.Ended,
		station.EndShutdown: station.Ended,
		station.EndFailed:   station.Lost,
		station.EndCrash:    station.Lost,
	} {
		l := h.open(t)
		if err := h.Close(t.Context(), l.ID, station.End{Reason: reason}); err != nil {
			t.Fatal(err)
		}
		if got, _ := h.catalog.Live(t.Context(), l.ID); got.State != want {
			t.Errorf("a live that ended by %q is %q, want %q", reason, got.State, want)
		}
	}
	l := h.open(t)
	if err := h.Close(t.Context(), l.ID, station.End{State: station.OnAir}); err == nil {
		t.Error("a live was closed as on air")
	}
	if h.OnAir() != 1 {
		t.Error("the refused end was kept")
	}
}

func TestCloseTwice(t *testing.T) {
	h := newHouse(t, station.Config{})
	l := h.open(t)
	for _, reason := range []station.EndReason{station.EndVanished, station.EndCreator} {
		if err := h.Close(t.Context(), l.ID, station.End{Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := h.catalog.Live(t.Context(), l.ID); got.EndReason != station.EndVanished {
		t.Errorf("the live ended by %q, want the first end", got.EndReason)
	}
	if err := h.Close(t.Context(), uuid.NewString(), station.End{}); !errors.Is(err, station.ErrNotFound) {
		t.Errorf("closing an unknown live: %v, want ErrNotFound", err)
	}
}

// A request whose creator has hung up must still end the live.
func TestCloseWithEndedContext(t *testing.T) {
	h := newHouse(t, station.Config{})
	l := h.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Close(ctx, l.ID, station.End{Reason: station.EndCreator}); err != nil {
		t.Fatal(err)
	}
	if h.slots(t) != 0 || len(h.ends.take()) != 1 {
		t.Error("the end was not carried through")
	}
}

func TestFull(t *testing.T) {
	h := newHouse(t, station.Config{MaxLives: 2})
	first := h.open(t)
	h.open(t)
	_, err := h.Open(t.Context(), station.Request{})
	if !errors.Is(err, station.ErrFull) {
		t.Fatalf("the third of two: %v, want ErrFull", err)
	}
	if all, _ := h.catalog.ListLives(t.Context(), station.LiveQuery{}); len(all) != 2 {
		t.Errorf("the catalog has %d lives, want the two that were let in", len(all))
	}
	if err := h.Close(t.Context(), first.ID, station.End{}); err != nil {
		t.Fatal(err)
	}
	h.open(t)
}

// The limit is that of all daemons: the board says so when this one has room.
func TestFullElsewhere(t *testing.T) {
	h := newHouse(t, station.Config{MaxLives: 1})
	if err := h.board.Acquire(t.Context(), "on another node", 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if h.OnAir() != 0 {
		t.Error("the refused live is counted")
	}
}

func TestOpenMany(t *testing.T) {
	h := newHouse(t, station.Config{MaxLives: 10})
	var wg sync.WaitGroup
	var mu sync.Mutex
	in, out := 0, 0
	for range 50 {
		wg.Go(func() {
			_, err := h.Open(t.Context(), station.Request{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				in++
			case errors.Is(err, station.ErrFull):
				out++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in != 10 || out != 40 || h.slots(t) != 10 || h.OnAir() != 10 {
		t.Errorf("%d in, %d refused, %d slots, %d on air; want 10, 40, 10, 10", in, out, h.slots(t), h.OnAir())
	}
}

func TestCatalogAwayAtStart(t *testing.T) {
	h := newHouse(t, station.Config{})
	h.catalog.fail(errAway)
	if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, errAway) {
		t.Fatalf("got %v, want the catalog's error", err)
	}
	if h.OnAir() != 0 {
		t.Error("a live nobody wrote down is on air")
	}
	h.catalog.fail(nil)
	h.open(t)
}

// The catalog wrote the live but its answer was lost. Nobody broadcasts: the live
// must not stay on air in the lists.
func TestCatalogAnswerLost(t *testing.T) {
	h := newHouse(t, station.Config{})
	h.catalog.deaf.fail(errAway)
	if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, errAway) {
		t.Fatalf("got %v, want the catalog's error", err)
	}
	all, err := h.catalog.ListLives(t.Context(), station.LiveQuery{})
	if err != nil || len(all) != 1 || all[0].State != station.Lost {
		t.Errorf("the catalog has %+v (%v), want one live that is lost", all, err)
	}
	if h.slots(t) != 0 {
		t.Error("it kept its slot")
	}
}

func TestCatalogAwayAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{})
		h.run(t)
		l := h.open(t)
		h.catalog.fail(errAway)
		ended := time.Now()
		for _, reason := range []station.EndReason{station.EndVanished, station.EndShutdown} {
			if err := h.Close(t.Context(), l.ID, station.End{Reason: reason}); !errors.Is(err, errAway) {
				t.Fatalf("got %v, want the catalog's error", err)
			}
		}
		time.Sleep(5 * time.Minute)
		if h.OnAir() != 0 || len(h.ends.take()) != 0 {
			t.Error("the live is over, but its job is not open yet")
		}
		h.catalog.fail(nil)
		time.Sleep(time.Minute)
		got, err := h.catalog.Live(t.Context(), l.ID)
		if err != nil || got.EndReason != station.EndVanished || !got.EndedAt.Equal(ended.Truncate(time.Microsecond)) {
			t.Errorf("the catalog has %+v (%v), want the first end, at its own time", got, err)
		}
		if ids := h.ends.take(); !slices.Equal(ids, []string{l.ID}) || h.slots(t) != 0 {
			t.Errorf("told of the end of %v with %d slots taken, want the live and no slot", ids, h.slots(t))
		}
	})
}

func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{Lease: 30 * time.Second})
		h.run(t)
		h.open(t)
		over := h.open(t)
		time.Sleep(time.Hour)
		if h.slots(t) != 2 {
			t.Errorf("after an hour %d slots are held, want 2", h.slots(t))
		}
		if err := h.Close(t.Context(), over.ID, station.End{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if h.slots(t) != 1 {
			t.Errorf("after the end of one %d slots are held, want 1", h.slots(t))
		}
	})
}

func TestBoardAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{MaxLives: 3, Lease: 30 * time.Second})
		h.run(t)
		h.open(t)
		h.board.fail(errAway)
		time.Sleep(time.Minute)
		if h.OnAir() != 1 || h.slots(t) != 0 {
			t.Fatalf("%d lives and %d slots, want the live to go on with its slot lost", h.OnAir(), h.slots(t))
		}
		h.open(t)
		late := h.open(t)
		if _, err := h.Open(t.Context(), station.Request{}); !errors.Is(err, station.ErrFull) {
			t.Errorf("without a board the limit is this daemon's own: got %v, want ErrFull", err)
		}
		if err := h.Close(t.Context(), late.ID, station.End{}); err != nil {
			t.Error("a live could not end for want of the board:", err)
		}
		h.board.fail(nil)
		time.Sleep(time.Minute)
		if h.slots(t) != 2 {
			t.Errorf("%d slots, want those of the two lives on air", h.slots(t))
		}
	})
}

// A board that answers slowly keeps a creator waiting for two seconds at most.
func TestBoardHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := station.New(station.Config{Lives: &stationtest.Catalog{}, Board: hangingBoard{}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		l, err := s.Open(t.Context(), station.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context(), l.ID, station.End{}); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited > 5*time.Second {
			t.Errorf("waited for %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Open(ctx, station.Request{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a creator who left: got %v, want the context's error", err)
		}
		if s.OnAir() != 0 {
			t.Error("the creator who left is on air")
		}
	})
}

type hangingBoard struct{ station.Board }

func (hangingBoard) Acquire(ctx context.Context, _ string, _ int, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangingBoard) Release(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// A live that ends while its slot is being renewed must not get it back.
func TestEndDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{})
		slow := &slowBoard{Board: &h.board.Board, entered: make(chan struct{}), leave: make(chan struct{})}
		s, err := station.New(station.Config{Lives: h.catalog, Board: slow})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Open(t.Context(), station.Request{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		<-slow.entered
		if err := s.Close(t.Context(), l.ID, station.End{}); err != nil {
			t.Fatal(err)
		}
		close(slow.leave)
		synctest.Wait()
		if h.slots(t) != 0 {
			t.Error("a live that is over holds a slot")
		}
		cancel()
		<-done
	})
}

type slowBoard struct {
	*stationtest.Board
	entered, leave chan struct{}
}

func (b *slowBoard) Renew(ctx context.Context, lease time.Duration, ids ...string) error {
	close(b.entered)
	<-b.leave
	return b.Board.Renew(ctx, lease, ids...)
}

func TestCloseOrphans(t *testing.T) {
	h := newHouse(t, station.Config{Node: "node-1", MaxLives: 500})
	var before []string
	for range station.MaxPage + 3 { // more than one page
		before = append(before, h.open(t).ID)
	}
	h.restart(t, station.Config{Node: "node-2", MaxLives: 500})
	elsewhere := h.open(t)
	h.restart(t, station.Config{Node: "node-1", MaxLives: 500})
	fresh := h.open(t)
	h.ends.take()

	orphans, err := h.CloseOrphans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, l := range orphans {
		found = append(found, l.ID)
	}
	slices.Sort(before)
	slices.Sort(found)
	if !slices.Equal(found, before) {
		t.Errorf("found %d orphans, want the %d lives of the process before", len(found), len(before))
	}
	if n := len(h.ends.take()); n != len(before) {
		t.Errorf("told of %d ends, want %d", n, len(before))
	}
	got, err := h.catalog.Live(t.Context(), before[0])
	if err != nil || got.State != station.Lost || got.EndReason != station.EndCrash || got.Message() != station.MessageLost || got.CreatorMessage() != station.MessageCut {
		t.Errorf("an orphan is %+v (%v)", got, err)
	}
	for _, l := range []station.Live{elsewhere, fresh} {
		if got, _ := h.catalog.Live(t.Context(), l.ID); got.State != station.OnAir {
			t.Errorf("the live of %s was closed", l.Node)
		}
	}
	if h.slots(t) != 2 {
		t.Errorf("%d slots are taken, want 2", h.slots(t))
	}
	if again, err := h.CloseOrphans(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("the second time found %v (%v)", again, err)
	}
}

func TestCloseOrphansCatalogAway(t *testing.T) {
	h := newHouse(t, station.Config{})
	h.open(t)
	h.restart(t, station.Config{})
	h.catalog.fail(errAway)
	if _, err := h.CloseOrphans(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("got %v, want the catalog's error", err)
	}
	h.catalog.fail(nil)
	if orphans, err := h.CloseOrphans(t.Context()); err != nil || len(orphans) != 1 {
		t.Errorf("got %v (%v), want the orphan", orphans, err)
	}
}

// Lives open and close, twice and at the same time, while leases are renewed and
// the catalog comes and goes. Every one of them ends once, with a job.
func TestRush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, station.Config{MaxLives: 1000, Lease: 3 * time.Second})
		h.run(t)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				l, err := h.Open(t.Context(), station.Request{})
				if err != nil {
					return // the catalog was away
				}
				time.Sleep(time.Duration(i%7) * time.Second)
				wg.Go(func() { h.Close(t.Context(), l.ID, station.End{Reason: station.EndCreator}) })
				h.Close(t.Context(), l.ID, station.End{Reason: station.EndVanished})
			})
		}
		for range 20 {
			h.catalog.fail(errAway)
			h.board.fail(errAway)
			time.Sleep(100 * time.Millisecond)
			h.catalog.fail(nil)
			h.board.fail(nil)
			time.Sleep(300 * time.Millisecond)
		}
		wg.Wait()
		time.Sleep(10 * time.Second)
		lives, err := h.catalog.ListLives(t.Context(), station.LiveQuery{Limit: station.MaxPage})
		if err != nil || len(lives) < 50 {
			t.Fatalf("%d lives were started (%v)", len(lives), err)
		}
		for _, l := range lives {
			if l.State == station.OnAir {
				t.Errorf("live %s is on air", l.ID)
			}
			if _, err := h.catalog.Job(t.Context(), l.ID); err != nil {
				t.Errorf("live %s has no job: %v", l.ID, err)
			}
		}
		if h.OnAir() != 0 || h.slots(t) != 0 {
			t.Errorf("%d lives and %d slots are left", h.OnAir(), h.slots(t))
		}
	})
}

func TestNewRefuses(t *testing.T) {
	good := station.Config{Lives: &stationtest.Catalog{}, Board: &stationtest.Board{}}
	if _, err := station.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*station.Config){
		"no lives":    func(c *station.Config) { c.Lives = nil },
		"no board":    func(c *station.Config) { c.Board = nil },
		"hasty watch": func(c *station.Config) { c.NodePatience = time.Second },
		"no capacity": func(c *station.Config) { c.MaxLives = -1 },
		"short lease": func(c *station.Config) { c.Lease = time.Second },
	} {
		cfg := good
		change(&cfg)
		if _, err := station.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
