package station

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// closeVisits counts out who has been silent for that long; everybody for 0.
// Who is heard of until now listened until the end, if there is one.
func (a *Audience) closeVisits(ctx context.Context, liveID string, silence time.Duration, end time.Time) error {
	for {
		var silent []Departure
		err := a.board.do(ctx, func(ctx context.Context) (err error) {
			silent, err = a.cfg.Attendance.Silent(ctx, liveID, silence)
			return err
		})
		if err != nil || len(silent) == 0 {
			return err
		}
		events := make([]Event, len(silent))
		for i, d := range silent {
			events[i] = d.leaveEvent(d.until(end, a.cfg.Silence))
		}
		a.owe(liveID, silent)
		a.cfg.Journal.Add(events, nil)
		if err := a.settle(ctx, liveID); err != nil || len(silent) < silentPage {
			return err
		}
	}
}

// owe notes visits that are over by the log: the leave that was written down
// stands, for the first one counts. They are closed as soon as disk and board
// let it be, even when the listener is heard of again meanwhile: who is there
// then is told to join again, as anybody who was counted out, and the log has
// both visits as they were.
func (a *Audience) owe(liveID string, over []Departure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.owed[liveID] == nil {
		a.owed[liveID] = make(map[string]bool)
	}
	for _, d := range over {
		a.owed[liveID][d.ID] = true
	}
}

// settle closes the visits to a live that are over by the log. They are on disk
// first: a visit that is closed is never seen again.
func (a *Audience) settle(ctx context.Context, liveID string) error {
	a.mu.Lock()
	ids := slices.Collect(maps.Keys(a.owed[liveID]))
	a.mu.Unlock()
	if err := a.cfg.Journal.Flush(ctx); err != nil {
		return err
	}
	err := a.board.do(ctx, func(ctx context.Context) error {
		return a.cfg.Attendance.CloseVisits(ctx, liveID, ids...)
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		delete(a.owed[liveID], id)
	}
	if len(a.owed[liveID]) == 0 {
		delete(a.owed, liveID)
	}
	return nil
}

// settleAll closes what could not be closed before.
func (a *Audience) settleAll(ctx context.Context) {
	a.mu.Lock()
	lives := slices.Collect(maps.Keys(a.owed))
	a.mu.Unlock()
	for _, id := range lives {
		if a.board.isDown() || ctx.Err() != nil {
			return
		}
		if err := a.settle(ctx, id); err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("listeners who left by the audit log are still counted, trying again", "live_id", id, "err", err)
			if later(err) {
				return
			}
		}
	}
}

// until is when the listener left.
func (d Departure) until(end time.Time, silence time.Duration) time.Time {
	if !end.IsZero() && end.Sub(d.LastHeard) < silence {
		return end
	}
	return d.LastHeard
}

// closeForgotten ends the visits to a live of which the board has forgotten and
// the log has the beginning only: process and board died together. They lasted
// until the live was last known to be on air.
func (a *Audience) closeForgotten(ctx context.Context, liveID string, until time.Time) error {
	left := make(map[string]bool)
	err := a.eachEvent(ctx, EventQuery{LiveID: liveID, Kind: EventLeave}, func(e Event) { left[e.ID] = true })
	if err != nil {
		return err
	}
	var leaves []Event
	err = a.eachEvent(ctx, EventQuery{LiveID: liveID, Kind: EventJoin}, func(e Event) {
		if leave := e.leave(until); !left[leave.ID] {
			leaves = append(leaves, leave)
		}
	})
	if err != nil || len(leaves) == 0 {
		return err
	}
	a.cfg.Logger.Info("visits that only the audit log remembers are over", "live_id", liveID, "visits", len(leaves))
	a.cfg.Journal.Add(leaves, nil)
	return a.cfg.Journal.Flush(ctx)
}

// eachEvent goes through all pages of a list.
func (a *Audience) eachEvent(ctx context.Context, q EventQuery, f func(e Event)) error {
	q.Limit = MaxPage
	return eachPage(
		func() ([]Event, error) { return a.listEvents(ctx, q) },
		func(last Event) { q.After, q.AfterID = last.At, last.ID },
		func(e Event) error { f(e); return nil })
}

func (a *Audience) listEvents(ctx context.Context, q EventQuery) ([]Event, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	page, err := a.cfg.Records.ListEvents(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("station: listing the listeners of live %s: %w", q.LiveID, err)
	}
	return page, nil
}
