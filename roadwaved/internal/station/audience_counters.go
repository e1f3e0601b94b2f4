package station

import (
	"context"
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Figures are the counters of a live and what only its end tells.
type Figures struct {
	Counters
	Peak int64 // the most listeners at the same time
}

// A tally is what this process knows of a live on air here.
type tally struct {
	Figures
	returning int64     // visits that the board forgot: they come back and are counted again
	seeded    bool      // the board has been told who reacted
	seedings  int       // how often
	seedAt    time.Time // when to tell it, zero for never
	heard     bool      // the board counted since the last sample
}

// The board is seeded twice after it forgot a live: reactions may have been on
// their way to the catalog the first time.
const (
	seedings     = 2
	seedingPause = time.Minute
)

// tallyLocked gives the tally of a live on air here.
func (a *Audience) tallyLocked(liveID string) *tally {
	t := a.tallies[liveID]
	if t == nil {
		t = &tally{seedAt: a.cfg.Now()}
		a.tallies[liveID] = t
	}
	return t
}

// update takes what the board counted.
//
// Visits and reactions do not become fewer: a board that lost its memory gets
// them back, and must not show less until then.
func (t *tally) update(c Counters, known bool, now time.Time) {
	if !known && t.seeded {
		t.seeded, t.seedings, t.seedAt = false, 0, now
		t.returning = t.Visits - t.Listeners
	}
	t.Listeners = c.Listeners
	t.Visits = max(t.Visits, t.returning+c.Visits)
	t.Likes = max(t.Likes, c.Likes)
	t.Reports = max(t.Reports, c.Reports)
	t.Peak = max(t.Peak, c.Listeners)
	t.heard = true
}

// count counts the lives on air here and tells everybody.
func (a *Audience) count(ctx context.Context) {
	onAir := a.cfg.OnAir()
	a.forgetTallies(onAir)
	for _, id := range onAir {
		if ctx.Err() != nil || a.board.isDown() {
			return
		}
		before := a.counted(id)
		c, err := a.countLive(ctx, id)
		if err == nil && c != before {
			a.cfg.OnCounters(id, c)
		}
	}
}

// forgetTallies lets go of lives that ended without [Audience.Finish].
func (a *Audience) forgetTallies(onAir []string) {
	here := make(map[string]bool, len(onAir))
	for _, id := range onAir {
		here[id] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.tallies {
		if !here[id] {
			delete(a.tallies, id)
		}
	}
}

func (a *Audience) counted(liveID string) Counters {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tallyLocked(liveID).Counters
}

// countLive counts one live and shows its counters.
func (a *Audience) countLive(ctx context.Context, liveID string) (c Counters, err error) {
	var known bool
	err = a.board.do(ctx, func(ctx context.Context) error {
		c, known, err = a.cfg.Attendance.Count(ctx, liveID)
		return err
	})
	if err != nil {
		return Counters{}, err
	}
	a.mu.Lock()
	t := a.tallyLocked(liveID)
	t.update(c, known, a.cfg.Now())
	c = t.Counters
	a.mu.Unlock()
	err = a.board.do(ctx, func(ctx context.Context) error {
		return a.cfg.Attendance.Show(ctx, liveID, c)
	})
	return c, err
}

// seed tells the board who reacted to the lives that it does not know.
func (a *Audience) seed(ctx context.Context) {
	now := a.cfg.Now()
	var due []string
	a.mu.Lock()
	for id, t := range a.tallies {
		if !t.seedAt.IsZero() && !now.Before(t.seedAt) {
			due = append(due, id)
		}
	}
	a.mu.Unlock()
	for _, id := range due {
		if a.board.isDown() || ctx.Err() != nil {
			return
		}
		err := a.seedLive(ctx, id)
		if err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("likes and reports not given back to the board, trying again", "live_id", id, "err", err)
			if later(err) {
				return // what is away for one live is away for all
			}
		}
	}
}

func (a *Audience) seedLive(ctx context.Context, liveID string) error {
	for _, r := range []Reaction{Like, Report} {
		users, err := a.reactors(ctx, liveID, r)
		if err != nil {
			return err
		}
		if err := a.seedReaction(ctx, liveID, r, users); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tallies[liveID]
	if t == nil { // over meanwhile
		return nil
	}
	t.seeded, t.seedAt = true, time.Time{}
	if t.seedings++; t.seedings < seedings {
		t.seedAt = a.cfg.Now().Add(seedingPause)
	}
	return nil
}

func (a *Audience) reactors(ctx context.Context, liveID string, r Reaction) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	return a.cfg.Records.Reactors(ctx, liveID, r)
}

// seedReaction gives users to the board, not too many at once; none at all too.
func (a *Audience) seedReaction(ctx context.Context, liveID string, r Reaction, users []string) error {
	for {
		n := min(len(users), 1000)
		err := a.board.do(ctx, func(ctx context.Context) error {
			return a.cfg.Attendance.Seed(ctx, liveID, r, users[:n]...)
		})
		if users = users[n:]; err != nil || len(users) == 0 {
			return err
		}
	}
}

// sample keeps the counters of the lives on air here, of those at least that
// the board counted since the last time.
func (a *Audience) sample(at time.Time) {
	var samples []Sample
	onAir := a.cfg.OnAir()
	a.mu.Lock()
	for _, id := range onAir {
		if t := a.tallies[id]; t != nil && t.heard {
			t.heard = false
			samples = append(samples, Sample{LiveID: id, At: at.UTC().Truncate(time.Second), Counters: t.Counters})
		}
	}
	a.mu.Unlock()
	if len(samples) > 0 {
		a.cfg.Journal.Add(nil, samples)
	}
}

// Counters gives the counters of lives, zeros for those nobody counts. While the
// board is away they are the last ones known.
func (a *Audience) Counters(ctx context.Context, liveIDs ...string) map[string]Counters {
	all := make(map[string]Counters, len(liveIDs))
	var elsewhere []string
	a.mu.Lock()
	for _, id := range liveIDs {
		if t := a.tallies[id]; t != nil {
			all[id] = t.Counters
		} else {
			elsewhere = append(elsewhere, id)
			all[id] = a.shown.get(id)
		}
	}
	a.mu.Unlock()
	if len(elsewhere) == 0 {
		return all
	}
	var shown map[string]Counters
	err := a.board.do(ctx, func(ctx context.Context) (err error) {
		shown, err = a.cfg.Attendance.Shown(ctx, elsewhere...)
		return err
	})
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, errBoardAway) {
			a.cfg.Logger.Debug("the last counters known are shown", "lives", len(elsewhere), "err", err)
		}
		return all
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range elsewhere {
		all[id] = shown[id]
		a.shown.put(id, shown[id])
	}
	return all
}

// shownCounters are the last known of lives on air elsewhere.
type shownCounters struct{ last *lru.Cache[string, Counters] }

func newShownCounters() shownCounters {
	last, err := lru.New[string, Counters](lookupSize)
	if err != nil { // only for a size below one
		panic(err)
	}
	return shownCounters{last}
}

func (s shownCounters) get(liveID string) Counters {
	c, _ := s.last.Get(liveID)
	return c
}

// put remembers a live that somebody listened to.
func (s shownCounters) put(liveID string, c Counters) {
	if c != (Counters{}) {
		s.last.Add(liveID, c)
	}
}
