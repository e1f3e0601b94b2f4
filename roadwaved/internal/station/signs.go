package station

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Sign is the last sign of life that a daemon left in the catalog.
type Sign struct {
	Node
	Place string        // where it ran: no two daemons at work have the same
	At    time.Time     // by the catalog's clock
	Age   time.Duration // how long ago that is, by the same clock
}

// Signs is the part of the catalog that says which daemons live: one that only
// the board does not hear of is not dead. A catalog that serves several machines
// may use its own clock instead of now.
type Signs interface {
	// Sign notes that a daemon is alive, and gives the place of the sign before,
	// empty when there is none.
	Sign(ctx context.Context, n Node, place string, now time.Time) (before string, err error)
	// Unsign takes it back, when a daemon stops. A sign from another place stays.
	Unsign(ctx context.Context, name, place string) error
	// ListSigns gives the last sign of every daemon, by name. Those that are
	// [SignRetention] old may be forgotten, when another one signs.
	ListSigns(ctx context.Context, now time.Time) ([]Sign, error)
}

// SignRetention is for how long a catalog remembers a daemon that is gone.
const SignRetention = 30 * 24 * time.Hour

// ErrTwin is a second daemon of the same name that is alive.
var ErrTwin = errors.New("two daemons have the same name, so that each would end the lives of the other: a data folder was copied")

// sign leaves a sign of life. Who finds the sign of another place after its own,
// and again, is not alone under its name.
func (s *Station) sign(ctx context.Context) {
	cctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	before, err := s.cfg.Signs.Sign(cctx, s.self(), s.cfg.Place, s.cfg.Now())
	switch {
	case err != nil:
		if ctx.Err() == nil {
			s.cfg.Logger.Warn("no sign of life left in the catalog, trying again", "node", s.cfg.Node, "err", err)
		}
		return
	case before == "" || before == s.cfg.Place || !s.signed:
		s.twins = 0
	default:
		s.twins++
	}
	s.signed = true
	if s.twins == 2 { // one may have been on its way when its daemon died
		s.cfg.Logger.Error("this daemon is not alone under its name", "err", s.twinError())
	}
}

func (s *Station) twinError() error {
	return fmt.Errorf("station: node %s: %w: if this daemon is on the copy, stop it, delete %s and start it again; if not, do so with the other one",
		s.cfg.Node, ErrTwin, s.cfg.NodeFile)
}

func (s *Station) unsign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardPatience)
	defer cancel()
	if err := s.cfg.Signs.Unsign(ctx, s.cfg.Node, s.cfg.Place); err != nil {
		s.cfg.Logger.Warn("the catalog says for one more lease that this daemon lives", "node", s.cfg.Node, "err", err)
	}
}

// takeOver tells when the daemon whose name this one has was last alive. If that
// was in another place a moment ago it waits for up to one lease: the lives of
// one that lives on must not be closed, [ErrTwin].
func (s *Station) takeOver(ctx context.Context) (last time.Time, err error) {
	var seen Sign
	for {
		signs, err := s.signs(ctx)
		if err != nil {
			return last, err
		}
		mine := signs[s.cfg.Node]
		switch {
		case mine.Place == s.cfg.Place || !s.alive(mine):
			return s.left(mine), nil
		case seen.Place == "":
			seen = mine
			s.cfg.Logger.Warn("a daemon of this name was alive elsewhere a moment ago: waiting to see whether it still is",
				"node", s.cfg.Node, "ago", mine.Age, "wait", s.cfg.Lease-mine.Age)
		case !mine.At.Equal(seen.At):
			return last, s.twinError()
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// signs gives the last sign of every daemon, by name; none without a catalog for
// them.
func (s *Station) signs(ctx context.Context) (map[string]Sign, error) {
	if s.cfg.Signs == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	list, err := s.cfg.Signs.ListSigns(ctx, s.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("station: listing signs of life: %w", err)
	}
	signs := make(map[string]Sign, len(list))
	var nodes []Node
	for _, sign := range list {
		signs[sign.Name] = sign
		if s.alive(sign) {
			nodes = append(nodes, sign.Node)
		}
	}
	s.elsewhere.setNodes(nodes)
	return signs, nil
}

// addAlive adds those whose sign is fresh to those that are up by the board.
func (s *Station) addAlive(up map[string]bool, signs map[string]Sign) {
	for name, sign := range signs {
		if s.alive(sign) {
			up[name] = true
		}
	}
}

// left is when a sign was left by the clock of this machine, which lives start by.
func (s *Station) left(sign Sign) time.Time {
	if sign.At.IsZero() {
		return time.Time{}
	}
	return s.cfg.Now().Add(-sign.Age)
}

// alive tells whether a sign is a fresh one; the zero sign is not, and neither is
// one from before the catalog's clock was set back.
func (s *Station) alive(sign Sign) bool { return sign.Name != "" && sign.Age.Abs() < s.cfg.Lease }

// crash is the end of a live whose daemon died, as of its last sign of life; as
// of now where there is none.
func (s *Station) crash(l Live, last time.Time) End {
	if last.IsZero() {
		return End{Reason: EndCrash}
	}
	if now := s.cfg.Now(); last.After(now) { // by the clock of another machine
		last = now
	}
	if last.Before(l.StartedAt) {
		last = l.StartedAt
	}
	return End{At: last, Reason: EndCrash, Stats: LiveStats{Duration: micro(last).Sub(l.StartedAt)}}
}
