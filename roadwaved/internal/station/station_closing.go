package station

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Close ends a live: in the catalog, which opens its replay job at the same
// time, for its listeners, and on the board. It does its work even when ctx has
// ended. The first end of a live is the one that counts; to close it again
// changes nothing. A live nobody knows is [ErrNotFound].
//
// When the catalog does not answer, Close returns the error and Run tries again
// until the end is written; this is so for lives of this process only. Should
// the process stop before, [Station.CloseOrphans] of the next one writes it.
func (s *Station) Close(ctx context.Context, id string, e End) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.complete(&e); err != nil {
		return err
	}
	b, first := s.over(id, e)
	switch {
	case b == nil:
		return s.closeStranger(ctx, id, e)
	case first:
		s.finish(ctx, b)
	default:
		<-b.final // soon: who finishes does not wait for long
	}
	return s.writeEnd(ctx, b.live, *b.end)
}

func (s *Station) complete(e *End) error {
	if e.At.IsZero() {
		e.At = s.cfg.Now()
	}
	e.At = micro(e.At)
	e.State = cmp.Or(e.State, e.Reason.State())
	if e.State != Ended && e.State != Lost {
		return fmt.Errorf("station: %q is not how a live ends", e.State)
	}
	return nil
}

// over notes the end of a live of this process.
func (s *Station) over(id string, e End) (b *broadcast, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b = s.here[id]
	if b == nil {
		return nil, false
	}
	if first = b.end == nil; first {
		b.end = &e
	}
	return b, first
}

// finish completes the end of a live of this process.
func (s *Station) finish(ctx context.Context, b *broadcast) {
	s.addFigures(ctx, b.live.ID, b.end)
	s.saveEnd(b.live.ID, *b.end)
	s.keep(ctx, b.live.endEvent(*b.end))
	close(b.final)
}

// keep writes events down before the catalog knows that the live is over: a crash
// in between leaves it on air there, and whoever closes it writes the same again.
func (s *Station) keep(ctx context.Context, events ...Event) {
	s.cfg.Journal.Add(events, nil)
	ctx, cancel := context.WithTimeout(ctx, diskPatience)
	defer cancel()
	if err := s.cfg.Journal.Flush(ctx); err != nil {
		s.cfg.Logger.Error("the end of a live is in memory only", "live_id", events[0].LiveID, "err", err)
	}
}

// addFigures closes the doors to listeners and fills in how many they were.
func (s *Station) addFigures(ctx context.Context, id string, e *End) {
	f := s.cfg.Audience.Finish(ctx, id)
	e.Stats.Visits = cmp.Or(e.Stats.Visits, f.Visits)
	e.Stats.PeakListeners = cmp.Or(e.Stats.PeakListeners, f.Peak)
	e.Stats.Likes = cmp.Or(e.Stats.Likes, f.Likes)
	e.Stats.Reports = cmp.Or(e.Stats.Reports, f.Reports)
}

// closeStranger ends a live that is not of this process.
func (s *Station) closeStranger(ctx context.Context, id string, e End) error {
	cctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	l, err := s.cfg.Lives.Live(cctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("station: ending live %s: %w", id, err)
	case l.State != OnAir:
		return nil
	}
	s.describe(ctx, l, &e)
	return s.writeEnd(ctx, l, e)
}

// describe finds out what is known of a live that is not of this process, and
// writes it down.
func (s *Station) describe(ctx context.Context, l Live, e *End) {
	s.addFigures(ctx, l.ID, e)
	// The process that died may not have written of the start: whoever does so
	// again writes the same.
	s.keep(ctx, l.startEvent(), l.endEvent(*e))
}

// writeEnd makes a live be over in the catalog and on the board.
func (s *Station) writeEnd(ctx context.Context, l Live, e End) error {
	err := s.recordEnd(ctx, l, e)
	if err == nil || errors.Is(err, ErrNotFound) && !errors.Is(err, errMissing) {
		s.releaseSlot(ctx, l.ID)
	}
	return err
}

// recordEnd makes a live be over in the catalog.
func (s *Station) recordEnd(ctx context.Context, l Live, e End) error {
	cctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	err := s.cfg.Lives.EndLive(cctx, l.ID, e)
	switch {
	case errors.Is(err, ErrNotFound):
		if s.mayAppear(l.ID) {
			return fmt.Errorf("station: ending live %s: %w", l.ID, errMissing)
		}
	case err != nil:
		return fmt.Errorf("station: writing the end of live %s into the catalog: %w", l.ID, err)
	}
	first := s.forget(l.ID)
	s.dropEnd(l.ID)
	if err != nil {
		return fmt.Errorf("station: ending live %s: %w", l.ID, err)
	}
	if first || l.Node != s.cfg.Node {
		s.cfg.Logger.Info("live over", "live_id", l.ID, "state", e.State, "reason", e.Reason, "duration", e.Stats.Duration)
	}
	s.cfg.OnEnd(l.ID)
	return nil
}

// missingPatience is how long a live of this process may be unknown to the
// catalog before its end is forgotten: the statement that starts it may still be
// on its way there when nobody waits for the answer any more.
const missingPatience = 2 * time.Minute

var errMissing = fmt.Errorf("its start may still be on its way into the catalog: %w", ErrNotFound)

// mayAppear tells whether the catalog may yet get to know a live.
func (s *Station) mayAppear(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.here[id]
	if b == nil {
		return false
	}
	now := s.cfg.Now()
	if b.missing.IsZero() {
		b.missing = now
	}
	return now.Sub(b.missing) < missingPatience
}

// undo makes a live that could not be started be over wherever it got to, and
// is done by the deadline. Of a catalog that has used up its time it asks no
// more: the rest is left to Run.
func (s *Station) undo(ctx context.Context, id string, deadline time.Time, late bool) {
	e := End{At: micro(s.cfg.Now()), State: EndFailed.State(), Reason: EndFailed}
	b, _ := s.over(id, e)
	close(b.final) // nobody has heard of it
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	s.releaseSlot(ctx, id)
	if late {
		return
	}
	if err := s.writeEnd(ctx, b.live, e); err != nil && !errors.Is(err, ErrNotFound) {
		s.cfg.Logger.Warn("a live that could not start is still to be closed", "live_id", id, "err", err)
	}
}

func (s *Station) releaseSlot(ctx context.Context, id string) (released bool) {
	ctx, cancel := context.WithTimeout(ctx, boardPatience)
	defer cancel()
	err := s.cfg.Board.Release(ctx, id)
	if err != nil {
		s.cfg.Logger.Warn("slot not given back: its lease will end", "live_id", id, "lease", s.cfg.Lease, "err", err)
	}
	return err == nil
}

func (s *Station) forget(id string) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known = s.here[id]
	delete(s.here, id)
	return known
}
