package station_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

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

var errAway = fmt.Errorf("connection refused: %w", station.ErrAway)

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

func (c *flakyCatalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	if err := c.broken(); err != nil {
		return nil, err
	}
	return c.Catalog.ListLives(ctx, q)
}

func (c *flakyCatalog) Sign(ctx context.Context, n station.Node, place string, now time.Time) (string, error) {
	if err := c.broken(); err != nil {
		return "", err
	}
	return c.Catalog.Sign(ctx, n, place, now)
}

func (c *flakyCatalog) ListSigns(ctx context.Context, now time.Time) ([]station.Sign, error) {
	if err := c.broken(); err != nil {
		return nil, err
	}
	return c.Catalog.ListSigns(ctx, now)
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
