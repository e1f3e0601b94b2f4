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
	"golang.org/x/time/rate"
)

// MessageFull is what a creator reads who is refused for want of a slot (M13).
const MessageFull = "Capacité maximale atteinte. Veuillez réessayer dans quelques minutes"

// The longest a call may take. A creator waits for the first ones while the
// phone negotiates, so a board that hangs must not keep them from going on air.
const (
	openPatience    = 5 * time.Second // all of Open
	startPatience   = 4 * time.Second // of it, up to the catalog's answer
	boardPatience   = 2 * time.Second
	peerPatience    = 2 * time.Second // where there is an older answer, or another place to ask
	diskPatience    = 2 * time.Second
	catalogPatience = 15 * time.Second
)

// Config makes a [Station].
type Config struct {
	Lives Lives // required
	Board Board // required
	// Nodes tells which other daemons are up, so that the lives of those that
	// died are closed. Default: this daemon is alone.
	Nodes Nodes
	// Signs is where daemons leave signs of life in the catalog. Default: what
	// the board says of them is all there is.
	Signs Signs
	// Audience gives the final figures of a live that ends. Default: no figures.
	Audience interface {
		Finish(ctx context.Context, liveID string) Figures
	}
	// Journal hears of every start and every end. Default: nothing.
	Journal EventLog
	// Endings keeps ends on this machine until the catalog has them, so that a
	// process that stops while the catalog is away does not change how its lives
	// ended. Default: they are lost with the process.
	Endings Endings
	// OnEnd hears of each live whose end this daemon wrote into the catalog: its
	// own ones, whose recording may go where workers find it, and those of
	// daemons that died. It must not block. It may hear of a live twice and,
	// after a crash, never: the jobs that are [JobUploading] are the truth.
	OnEnd func(liveID string)
	// LastRecorded is when the recording of a live that this node had on air was
	// last written to, zero where nobody knows. Default: nobody does.
	LastRecorded func(liveID string) time.Time
	// OnLost hears of each live that runs here and is over in the catalog: neither
	// board nor catalog heard of this daemon, and another one took it to be dead.
	// End its broadcast, which closes it here too. It must not block; it hears of
	// the live every minute until then. Default: nothing.
	OnLost func(liveID string)
	// Node is this daemon's name in the catalog. Two daemons that run at the
	// same time must not share one; a daemon that restarts should keep its own.
	// Default "local".
	Node string
	// NodeFile keeps that name, for the advice that is given when two share it.
	// Default "node".
	NodeFile string
	// Place is where this daemon runs: no two that run at the same time have the
	// same, and who starts in the place of one that ended may have its name at
	// once. Default: one that nobody had before.
	Place string
	// NodeURL is where other daemons reach this one. Default: nowhere.
	NodeURL string
	// NodePatience is how long another daemon must be seen to be down before
	// its lives are lost, not less than Lease. Default 90 s.
	NodePatience time.Duration
	// Linger is how long after the end of a live its daemon still has the media,
	// for listeners who are behind: others send them there. Default 0: not at all.
	Linger time.Duration
	// MaxLives is the capacity limit of all daemons together. Default 100.
	MaxLives int
	// MaxLivesPerCreator is how many lives one creator may have on air, whether
	// they are heard or not; a phone that crashed needs a second one until its
	// first is found to be over. [AnonymousCreator] is many people and may have
	// any number. Default 0: no limit.
	MaxLivesPerCreator int
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
	c.NodeFile = cmp.Or(c.NodeFile, "node")
	c.Place = cmp.Or(c.Place, uuid.NewString())
	c.NodePatience = cmp.Or(c.NodePatience, 90*time.Second)
	c.MaxLives = cmp.Or(c.MaxLives, 100)
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	if c.MaxLives < 1 {
		return fmt.Errorf("station: MaxLives is %d, it must be 1 or more", c.MaxLives)
	}
	if c.MaxLivesPerCreator < 0 {
		return fmt.Errorf("station: MaxLivesPerCreator is %d, it must be 0 or more", c.MaxLivesPerCreator)
	}
	if c.Lease < 3*time.Second {
		return fmt.Errorf("station: Lease is %v, it must be 3 s or more", c.Lease)
	}
	if c.NodePatience < c.Lease {
		return fmt.Errorf("station: NodePatience is %v, it must not be less than Lease, %v", c.NodePatience, c.Lease)
	}
	if c.Audience == nil {
		c.Audience = nobody{}
	}
	if c.Journal == nil {
		c.Journal = noLog{}
	}
	if c.Endings == nil {
		c.Endings = noEndings{}
	}
	if c.OnEnd == nil {
		c.OnEnd = func(string) {}
	}
	if c.LastRecorded == nil {
		c.LastRecorded = func(string) time.Time { return time.Time{} }
	}
	if c.OnLost == nil {
		c.OnLost = func(string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// nobody listens.
type nobody struct{}

func (nobody) Finish(context.Context, string) Figures { return Figures{} }

// A Station lets lives go on air and closes them. Its methods may be called at
// the same time.
//
// The catalog must answer for a live to start. The board need not: without it
// each daemon keeps to MaxLives by what the catalog says of the others, so that
// only lives that start in the same moment can be too many. No live on air is
// ever cut for either.
type Station struct {
	cfg       Config
	elsewhere atlas
	strangers *lookup[Live] // by id
	nodes     *lookup[Node] // by name, of those not in the atlas
	asking    *rate.Limiter // of what is asked about strangers
	watch     watch         // of Run alone
	signed    bool          // of Run alone: the last sign of life was its own
	twins     int           // of Run alone: how often it was not, one time after the other

	mu   sync.Mutex
	here map[string]*broadcast // by live id, from before its slot until its end is in the catalog
}

// A broadcast is a live this process answers for.
type broadcast struct {
	live     Live
	admitted bool          // it has its slot: until then it must not be renewed into one
	end      *End          // set once it is over, for as long as the catalog does not know
	final    chan struct{} // closed when the end has its figures
	missing  time.Time     // when the catalog first said that it does not know the live
}

// New makes a station. It starts nothing: call [Station.Run].
func New(cfg Config) (*Station, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &Station{cfg: cfg, here: make(map[string]*broadcast), watch: watch{up: make(map[string]time.Time)}, asking: rate.NewLimiter(askRate, askBurst)}
	s.strangers = newLookup(time.Second, peerPatience, cfg.Now, s.findStranger)
	if cfg.Nodes != nil {
		s.nodes = newLookup(time.Second, boardPatience, cfg.Now, cfg.Nodes.Node)
	}
	return s, nil
}

// Open puts a live on air: it takes a slot and writes the live into the catalog.
// The error is an [*InvalidError] when the request cannot be met, [ErrFull] when
// every slot is taken (tell the creator [MessageFull]), [ErrBusy] when the creator
// has too many lives on air (tell them [MessageBusy]), and [ErrAway] when the
// catalog did not answer for five seconds.
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
	begin := time.Now()
	cctx, cancel := context.WithDeadline(ctx, begin.Add(startPatience))
	defer cancel()
	late := func() bool { return cctx.Err() != nil && ctx.Err() == nil }
	elsewhere, err := s.livesOf(cctx, l.CreatorID)
	if err != nil {
		return Live{}, awayIf(late(), err)
	}
	if err := s.takeSlot(ctx, l, elsewhere); err != nil {
		return Live{}, err
	}
	if err := s.cfg.Lives.StartLive(cctx, l); err != nil {
		// It may have been written all the same: the answer can be what got lost.
		late := late()
		s.undo(ctx, l.ID, begin.Add(openPatience), late)
		return Live{}, fmt.Errorf("station: writing the new live into the catalog: %w", awayIf(late, err))
	}
	s.cfg.Journal.Add([]Event{l.startEvent()}, nil)
	s.cfg.Logger.Info("live on air", "live_id", l.ID, "creator_id", l.CreatorID, "zone_geo", l.ZoneGeo)
	return l, nil
}

// awayIf tells that a catalog did not answer in time.
func awayIf(late bool, err error) error {
	if late && !errors.Is(err, ErrAway) {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return err
}

// takeSlot counts the live in, on the board and here.
func (s *Station) takeSlot(ctx context.Context, l Live, elsewhere int) error {
	s.mu.Lock()
	err := s.admissible(l, elsewhere)
	if err == nil {
		s.here[l.ID] = &broadcast{live: l, final: make(chan struct{})}
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	bctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	err = s.acquireSlot(bctx, l.ID)
	switch {
	case errors.Is(err, ErrFull):
		s.forget(l.ID)
		return s.full()
	case err != nil && ctx.Err() != nil:
		s.forget(l.ID)
		s.releaseSlot(context.WithoutCancel(ctx), l.ID)
		return fmt.Errorf("station: the creator left before going on air: %w", ctx.Err())
	case err != nil:
		return s.admitWithoutBoard(ctx, l.ID, err)
	}
	s.mu.Lock()
	s.here[l.ID].admitted = true
	s.mu.Unlock()
	return nil
}

// OnAir is the number of lives on air in this process.
func (s *Station) OnAir() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, b := range s.here {
		if b.end == nil {
			n++
		}
	}
	return n
}

// Lives gives the ids of the lives on air in this process.
func (s *Station) Lives() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.here))
	for id, b := range s.here {
		if b.end == nil && b.admitted {
			ids = append(ids, id)
		}
	}
	return ids
}
