package station

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// MessageFull is what a creator reads who is refused for want of a slot (M13).
const MessageFull = "Capacité maximale atteinte. Veuillez réessayer dans quelques minutes"

// The longest a call may take. A creator waits for the first two while the
// phone negotiates, so a board that hangs must not keep them from going on air.
const (
	openPatience    = 5 * time.Second
	boardPatience   = 2 * time.Second
	catalogPatience = 15 * time.Second
)

// Config makes a [Station].
type Config struct {
	Lives Lives // required
	Board Board // required
	// OnEnd hears of each live that was on air here, or on this node before it
	// started again, once its end is in the catalog: its recording may go where
	// workers find it. It must not block. After a crash, and when a live is
	// closed twice, it may hear of one never or twice: the jobs that are
	// [JobUploading] in the catalog are the truth.
	OnEnd func(liveID string)
	// Node is this daemon's name in the catalog. Two daemons that run at the
	// same time must not share one; a daemon that restarts should keep its own.
	// Default "local".
	Node string
	// MaxLives is the capacity limit of all daemons together. Default 100.
	MaxLives int
	// Lease is how long the slot of a daemon that died stays taken, 3 s or more.
	// Default 30 s. Slots are renewed three times in that time.
	Lease time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger hears of what went wrong and was survived. Default: nothing.
	Logger *slog.Logger
}

func (c *Config) fill() error {
	if c.Lives == nil || c.Board == nil {
		return errors.New("station: Config needs Lives and Board")
	}
	c.Node = cmp.Or(c.Node, "local")
	c.MaxLives = cmp.Or(c.MaxLives, 100)
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	if c.MaxLives < 1 {
		return fmt.Errorf("station: MaxLives is %d, it must be 1 or more", c.MaxLives)
	}
	if c.Lease < 3*time.Second {
		return fmt.Errorf("station: Lease is %v, it must be 3 s or more", c.Lease)
	}
	if c.OnEnd == nil {
		c.OnEnd = func(string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// A Station lets lives go on air and closes them. Its methods may be called at
// the same time.
//
// The catalog must answer for a live to start. Board and queue need not: without
// the board each daemon keeps to MaxLives by itself, without the queue the
// [Reconciler] delivers later. No live on air is ever cut for either.
type Station struct {
	cfg Config

	mu   sync.Mutex
	here map[string]*broadcast // by live id, from before its slot until its end is in the catalog
}

// A broadcast is a live this process answers for.
type broadcast struct {
	admitted bool // it has its slot: until then it must not be renewed into one
	end      *End // set once it is over, for as long as the catalog does not know
}

// New makes a station. It starts nothing: call [Station.Run].
func New(cfg Config) (*Station, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	return &Station{cfg: cfg, here: make(map[string]*broadcast)}, nil
}

// Open puts a live on air: it takes a slot and writes the live into the catalog.
// The error is an [*InvalidError] when the request cannot be met, and [ErrFull]
// when every slot is taken (tell the creator [MessageFull]).
//
// A creator may have several lives at once: a phone that crashed must be able to
// start again before its old live is found to be over.
func (s *Station) Open(ctx context.Context, r Request) (Live, error) {
	r, err := r.normal()
	if err != nil {
		return Live{}, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Live{}, fmt.Errorf("station: making a live id: %w", err)
	}
	l := Live{
		ID:                id.String(),
		CreatorID:         r.CreatorID,
		Title:             r.Title,
		StartedAt:         s.cfg.Now().UTC().Truncate(time.Microsecond),
		ZoneGeo:           r.ZoneGeo,
		Tags:              r.Tags,
		ClassificationAge: r.ClassificationAge,
		Premium:           r.Premium,
		State:             OnAir,
		Node:              s.cfg.Node,
	}
	if err := s.takeSlot(ctx, l.ID); err != nil {
		return Live{}, err
	}
	cctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	if err := s.cfg.Lives.StartLive(cctx, l); err != nil {
		// It may have been written all the same: the answer can be what got lost.
		s.undo(ctx, l.ID)
		return Live{}, fmt.Errorf("station: writing the new live into the catalog: %w", err)
	}
	s.cfg.Logger.Info("live on air", "live_id", l.ID, "creator_id", l.CreatorID, "zone_geo", l.ZoneGeo)
	return l, nil
}

// takeSlot counts the live in, on the board and here.
func (s *Station) takeSlot(ctx context.Context, id string) error {
	s.mu.Lock()
	full := s.onAirLocked() >= s.cfg.MaxLives
	if !full {
		s.here[id] = &broadcast{}
	}
	s.mu.Unlock()
	if full {
		return fmt.Errorf("station: %d lives on air: %w", s.cfg.MaxLives, ErrFull)
	}
	bctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	err := s.cfg.Board.Acquire(bctx, id, s.cfg.MaxLives, s.cfg.Lease)
	switch {
	case errors.Is(err, ErrFull):
		s.forget(id)
		return fmt.Errorf("station: %d lives on air: %w", s.cfg.MaxLives, ErrFull)
	case err != nil && ctx.Err() != nil:
		s.forget(id)
		s.releaseSlot(ctx, id)
		return fmt.Errorf("station: the creator left before going on air: %w", ctx.Err())
	case err != nil:
		s.cfg.Logger.Warn("the board does not answer: live admitted by this daemon's own count", "live_id", id, "err", err)
	}
	s.mu.Lock()
	s.here[id].admitted = true
	s.mu.Unlock()
	return nil
}

// undo makes a live that could not be started be over wherever it got to.
func (s *Station) undo(ctx context.Context, id string) {
	err := s.Close(ctx, id, End{Reason: EndFailed})
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.cfg.Logger.Warn("a live that could not start is still to be closed", "live_id", id, "err", err)
	}
}

// Close ends a live: in the catalog, which opens its replay job at the same
// time, on the board and, so that a worker starts at once, in the queue. It
// does its work even when ctx has ended. The first end of a live is the one that
// counts; to close it again changes nothing. A live nobody knows is
// [ErrNotFound].
//
// When the catalog does not answer, Close returns the error and Run tries again
// until the end is written.
func (s *Station) Close(ctx context.Context, id string, e End) error {
	if e.At.IsZero() {
		e.At = s.cfg.Now()
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	e.State = cmp.Or(e.State, e.Reason.State())
	if e.State != Ended && e.State != Lost {
		return fmt.Errorf("station: %q is not how a live ends", e.State)
	}
	s.mu.Lock()
	b, ok := s.here[id]
	if ok && b.end == nil {
		b.end = &e
	} else if ok {
		e = *b.end
	}
	s.mu.Unlock()
	return s.writeEnd(ctx, id, e)
}

func (s *Station) writeEnd(ctx context.Context, id string, e End) error {
	ctx = context.WithoutCancel(ctx)
	cctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	err := s.cfg.Lives.EndLive(cctx, id, e)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("station: writing the end of live %s into the catalog: %w", id, err)
	}
	first := s.forget(id)
	s.releaseSlot(ctx, id)
	if err != nil {
		return fmt.Errorf("station: ending live %s: %w", id, err)
	}
	if first {
		s.cfg.Logger.Info("live over", "live_id", id, "state", e.State, "reason", e.Reason, "duration", e.Stats.Duration)
	}
	s.cfg.OnEnd(id)
	return nil
}

func (s *Station) releaseSlot(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardPatience)
	defer cancel()
	if err := s.cfg.Board.Release(ctx, id); err != nil {
		s.cfg.Logger.Warn("slot not given back: its lease will end", "live_id", id, "lease", s.cfg.Lease, "err", err)
	}
}

func (s *Station) forget(id string) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known = s.here[id]
	delete(s.here, id)
	return known
}

// OnAir is the number of lives on air in this process.
func (s *Station) OnAir() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.onAirLocked()
}

func (s *Station) onAirLocked() int {
	n := 0
	for _, b := range s.here {
		if b.end == nil {
			n++
		}
	}
	return n
}
