package station

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// MaxUserID is the most characters that the id of a user has.
const MaxUserID = 200

// HeartbeatInterval is how often a listener is to be heard of (M21).
const HeartbeatInterval = 10 * time.Second

// AudienceConfig makes an [Audience].
type AudienceConfig struct {
	Attendance Attendance // required
	Journal    EventLog   // required
	// Records has what the board may have forgotten. Required.
	Records interface {
		Reactors(ctx context.Context, liveID string, r Reaction) ([]string, error)
		ListSamples(ctx context.Context, liveID string) ([]Sample, error)
		ListEvents(ctx context.Context, q EventQuery) ([]Event, error)
	}
	// Lives tells which lives are on air on other daemons. Required.
	Lives interface {
		Live(ctx context.Context, id string) (Live, error)
	}
	// Key signs listener ids: 32 bytes, the same for all daemons of a house.
	// Required.
	Key []byte
	// OnAir gives the lives on air in this process: it counts for those.
	// Required.
	OnAir func() []string
	// OnAirElsewhere tells whether a live was on air on another daemon when that
	// was last known: people may join it while the catalog is away, see
	// [Station.OnAirElsewhere]. It must not block. Default: never.
	OnAirElsewhere func(liveID string) bool
	// OnCounters hears of the counters of a live on air here when they changed.
	// It must not block. Default: nothing.
	OnCounters func(liveID string, c Counters)
	// PerOriginVisits and PerOriginReactions are how many visits, and how many
	// users' likes and reports each, one network address may have on one live;
	// below zero means no limit. Default 200 and 100.
	PerOriginVisits, PerOriginReactions int
	// CountInterval is the time between two counts, 10 ms or more. Default 2 s (M20).
	CountInterval time.Duration
	// SampleInterval is the time between two samples, a whole number of seconds.
	// They are taken at its multiples. Default 60 s (M20).
	SampleInterval time.Duration
	// SweepInterval is the time between two looks for listeners who left
	// without a word, 10 ms or more. Default 5 s.
	SweepInterval time.Duration
	// Silence is for how long a listener is not heard of who has left, 1 s or
	// more. Default 30 s (M21).
	Silence time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger hears of what went wrong and was survived. Default: nothing.
	Logger *slog.Logger
}

func (c *AudienceConfig) fill() error {
	if c.Attendance == nil || c.Journal == nil || c.Records == nil || c.Lives == nil || c.OnAir == nil {
		return errors.New("station: AudienceConfig needs Attendance, Journal, Records, Lives and OnAir")
	}
	if len(c.Key) != 32 {
		return fmt.Errorf("station: the key of listener ids has %d bytes, it must have 32", len(c.Key))
	}
	c.PerOriginVisits = max(0, cmp.Or(c.PerOriginVisits, 200))
	c.PerOriginReactions = max(0, cmp.Or(c.PerOriginReactions, 100))
	c.CountInterval = cmp.Or(c.CountInterval, 2*time.Second)
	c.SampleInterval = cmp.Or(c.SampleInterval, time.Minute)
	c.SweepInterval = cmp.Or(c.SweepInterval, 5*time.Second)
	c.Silence = cmp.Or(c.Silence, 30*time.Second)
	if min(c.CountInterval, c.SweepInterval) < 10*time.Millisecond || c.Silence < time.Second {
		return fmt.Errorf("station: CountInterval %v and SweepInterval %v must be 10 ms or more, Silence %v 1 s or more",
			c.CountInterval, c.SweepInterval, c.Silence)
	}
	if c.SampleInterval < time.Second || c.SampleInterval%time.Second != 0 {
		return fmt.Errorf("station: SampleInterval is %v, it must be a whole number of seconds", c.SampleInterval)
	}
	if c.OnAirElsewhere == nil {
		c.OnAirElsewhere = func(string) bool { return false }
	}
	if c.OnCounters == nil {
		c.OnCounters = func(string, Counters) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// An Audience knows who listens to which live, and what they think of it. Its
// methods may be called at the same time.
//
// The board is where daemons agree on it. While it is away listeners join and
// stay all the same: their ids are signed tickets, and their heartbeats bring
// them back.
type Audience struct {
	cfg   AudienceConfig
	board breaker
	lives *lookup[Live]

	mu      sync.Mutex
	tallies map[string]*tally          // of the lives on air here
	leaving map[string]leaving         // lives that are over and may have visits
	owed    map[string]map[string]bool // visits to be closed, by live
	late    lateReactions              // not on the board
	shown   shownCounters              // of the lives on air elsewhere
}

// NewAudience makes an audience. It starts nothing: call [Audience.Run].
func NewAudience(cfg AudienceConfig) (*Audience, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	cfg.Key = slices.Clone(cfg.Key)
	return &Audience{
		cfg:     cfg,
		board:   breaker{now: cfg.Now, log: cfg.Logger, gap: max(breakerGap, 3*cfg.CountInterval)},
		lives:   newLookup(2*time.Second, openPatience, cfg.Now, cfg.Lives.Live),
		tallies: make(map[string]*tally),
		leaving: make(map[string]leaving),
		owed:    make(map[string]map[string]bool),
		shown:   newShownCounters(),
	}, nil
}

// A Join is what somebody says who begins to listen.
type Join struct {
	LiveID   string
	UserID   string    // up to [MaxUserID]; empty means nobody in particular
	Origin   string    // stands for the network address
	Position *Position // where they are, if they say so
}

// A Ticket is what a listener gets who joined.
type Ticket struct {
	ListenerID string // proves to every daemon who listens to what, and since when
	UserID     string
	Heartbeat  time.Duration // how often to be heard of
}

// Join counts a listener in. The error is an [*InvalidError], [ErrNotFound] for
// a live nobody knows, [ErrGone] for one that is over, [ErrCrowded] when too many
// listen from the same origin, [ErrAway] when it cannot be known whether the
// live is on air.
func (a *Audience) Join(ctx context.Context, j Join) (Ticket, error) {
	user, err := normalUser(j.UserID)
	if err != nil {
		return Ticket{}, err
	}
	position, err := j.Position.normal()
	if err != nil {
		return Ticket{}, err
	}
	if err := a.admit(ctx, j.LiveID); err != nil {
		return Ticket{}, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Ticket{}, fmt.Errorf("station: making a listener id: %w", err)
	}
	v := Visit{ID: id.String(), LiveID: j.LiveID, UserID: user, Origin: j.Origin, JoinedAt: micro(a.cfg.Now())}
	ticket, err := v.ticket(a.cfg.Key)
	if err != nil {
		return Ticket{}, err
	}
	if err := a.touch(ctx, v); err != nil {
		return Ticket{}, err
	}
	a.cfg.Journal.Add([]Event{v.joinEvent(position)}, nil)
	return Ticket{ListenerID: ticket, UserID: user, Heartbeat: HeartbeatInterval}, nil
}

// Beat notes that a listener is there. The error is [ErrNotFound] for a listener
// id that is not one of this live, [ErrGone] for a listener who left or was
// counted out, and for a live that is over; [ErrCrowded] when the board forgot
// the listener and too many others listen from there.
func (a *Audience) Beat(ctx context.Context, liveID, listenerID, origin string) error {
	v, err := a.visit(liveID, listenerID)
	if err != nil {
		return err
	}
	// The ticket proves that there was such a live: only one that is known to be
	// over is refused, were it on another daemon and the catalog away.
	err = a.admit(ctx, liveID)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("station: live %s: %w", liveID, ErrGone)
	case errors.Is(err, ErrGone) || ctx.Err() != nil:
		return err
	}
	v.Origin = origin
	return a.touch(ctx, v)
}

// Leave counts a listener out who says goodbye. It may be said twice. The error
// is [ErrNotFound] for a listener id that is not one of this live, [ErrGone] for
// one that is too old.
func (a *Audience) Leave(ctx context.Context, liveID, listenerID string) error {
	v, err := a.visit(liveID, listenerID)
	if err != nil {
		return err
	}
	a.cfg.Journal.Add([]Event{v.leaveEvent(a.cfg.Now())}, nil)
	fctx, cancel := context.WithTimeout(ctx, diskPatience)
	defer cancel()
	// Closed before it is on disk, a crash could lose that they left. Not closed
	// they fall silent and leave once more, which counts once.
	if err := a.cfg.Journal.Flush(fctx); err != nil {
		return nil
	}
	err = a.board.do(ctx, func(ctx context.Context) error {
		return a.cfg.Attendance.CloseVisits(ctx, liveID, v.ID)
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, errBoardAway) {
		a.cfg.Logger.Debug("a listener who left is counted until their silence is noticed", "live_id", liveID, "err", err)
	}
	return nil
}

// visit reads a listener id.
func (a *Audience) visit(liveID, listenerID string) (Visit, error) {
	v, err := readTicket(a.cfg.Key, liveID, listenerID, a.cfg.Now())
	if errors.Is(err, errForged) {
		return Visit{}, fmt.Errorf("station: %w: %w", err, ErrNotFound)
	}
	if err != nil {
		return Visit{}, fmt.Errorf("station: a listener id of yesterday: %w", err)
	}
	return v, nil
}

// touch tells the board of a listener; that it is away is no error.
func (a *Audience) touch(ctx context.Context, v Visit) error {
	err := a.board.do(ctx, func(ctx context.Context) error {
		return a.cfg.Attendance.Touch(ctx, v, a.cfg.PerOriginVisits)
	})
	switch {
	case errors.Is(err, ErrGone) || errors.Is(err, ErrCrowded):
		return fmt.Errorf("station: a listener of live %s: %w", v.LiveID, err)
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	}
	return nil
}

func normalUser(id string) (string, error) {
	id = strings.TrimSpace(id)
	return id, checkText("user_id", "L'identifiant de l'utilisateur", id, MaxUserID)
}

// normal gives a copy of a position that is on earth.
func (p *Position) normal() (*Position, error) {
	if p == nil {
		return nil, nil
	}
	// NaN is not within anything.
	if !(math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180) {
		return nil, &InvalidError{
			Field:   "position",
			Message: "La position doit avoir une latitude entre -90 et 90 et une longitude entre -180 et 180",
			Detail:  fmt.Sprintf("lat %v, lon %v", p.Lat, p.Lon),
		}
	}
	return &Position{Lat: p.Lat, Lon: p.Lon}, nil
}
