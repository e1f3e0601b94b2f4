package stationtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Attendance = (*Attendance)(nil)

// An Attendance is a [station.Attendance] in memory. Its zero value is empty and
// ready.
type Attendance struct {
	mu    sync.Mutex
	away  error
	lives map[string]*attended
	shown map[string]shownCounters
}

// attended is what is known of the audience of one live.
type attended struct {
	until     time.Time // when it is forgotten
	dismissed bool
	known     bool
	visits    int64
	open      map[string]*station.Departure
	closed    map[string]bool
	reactors  map[station.Reaction]map[string]string // users, and where they were
}

type shownCounters struct {
	station.Counters
	until time.Time
}

// memory is how long a live is remembered after it was last touched.
const memory = time.Hour

// Forget loses everything, as a Redis that restarts does.
func (a *Attendance) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lives, a.shown = nil, nil
}

// SetAway makes every call fail with err, until it is set to nil. Nothing is lost.
func (a *Attendance) SetAway(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = err
}

// Touch implements [station.Attendance].
func (a *Attendance) Touch(ctx context.Context, v station.Visit, perOrigin int) error {
	return a.do(ctx, func(now time.Time) error {
		l := a.live(v.LiveID, now)
		if l.closed[v.ID] {
			return station.ErrGone
		}
		if d := l.open[v.ID]; d != nil {
			d.LastHeard = now
			return nil
		}
		if perOrigin > 0 && v.Origin != "" && l.openFrom(v.Origin) >= perOrigin {
			return station.ErrCrowded
		}
		v.JoinedAt = micro(v.JoinedAt)
		l.open[v.ID] = &station.Departure{Visit: v, LastHeard: now}
		l.visits++
		return nil
	})
}

func (l *attended) openFrom(origin string) (n int) {
	for _, d := range l.open {
		if d.Origin == origin {
			n++
		}
	}
	return n
}

// Silent implements [station.Attendance].
func (a *Attendance) Silent(ctx context.Context, liveID string, silence time.Duration) (silent []station.Departure, err error) {
	err = a.do(ctx, func(now time.Time) error {
		if l := a.lives[liveID]; l != nil {
			for _, d := range l.open {
				if !d.LastHeard.After(now.Add(-silence)) {
					silent = append(silent, *d)
				}
			}
		}
		return nil
	})
	slices.SortFunc(silent, func(a, b station.Departure) int {
		return cmp.Or(a.LastHeard.Compare(b.LastHeard), cmp.Compare(a.ID, b.ID))
	})
	return silent[:min(len(silent), silentPage)], err
}

// silentPage is the most that Silent gives at a time.
const silentPage = 1000

// CloseVisits implements [station.Attendance].
func (a *Attendance) CloseVisits(ctx context.Context, liveID string, ids ...string) error {
	return a.do(ctx, func(now time.Time) error {
		l := a.live(liveID, now)
		for _, id := range ids {
			delete(l.open, id)
			l.closed[id] = true
		}
		return nil
	})
}

// React implements [station.Attendance].
func (a *Attendance) React(ctx context.Context, liveID string, r station.Reaction, userID, origin string, perOrigin int) (first bool, err error) {
	err = a.do(ctx, func(now time.Time) error {
		if err := reaction(r); err != nil {
			return err
		}
		users := a.live(liveID, now).users(r)
		if _, has := users[userID]; has {
			return nil
		}
		there := 0
		for _, o := range users {
			if o == origin {
				there++
			}
		}
		if perOrigin > 0 && origin != "" && there >= perOrigin {
			return station.ErrCrowded
		}
		users[userID], first = origin, true
		return nil
	})
	return first, err
}

// Seed implements [station.Attendance].
func (a *Attendance) Seed(ctx context.Context, liveID string, r station.Reaction, userIDs ...string) error {
	return a.do(ctx, func(now time.Time) error {
		if err := reaction(r); err != nil {
			return err
		}
		l := a.live(liveID, now)
		l.known = true
		for _, u := range userIDs {
			if _, has := l.users(r)[u]; !has {
				l.users(r)[u] = ""
			}
		}
		return nil
	})
}

func reaction(r station.Reaction) error {
	if r != station.Like && r != station.Report {
		return fmt.Errorf("there is no reaction %q", r)
	}
	return nil
}

func (l *attended) users(r station.Reaction) map[string]string {
	if l.reactors[r] == nil {
		l.reactors[r] = make(map[string]string)
	}
	return l.reactors[r]
}

// Count implements [station.Attendance].
func (a *Attendance) Count(ctx context.Context, liveID string) (c station.Counters, known bool, err error) {
	err = a.do(ctx, func(now time.Time) error {
		if a.lives[liveID] == nil {
			return nil
		}
		l := a.live(liveID, now)
		known = l.known
		c = station.Counters{
			Listeners: int64(len(l.open)),
			Likes:     int64(len(l.reactors[station.Like])),
			Reports:   int64(len(l.reactors[station.Report])),
			Visits:    l.visits,
		}
		return nil
	})
	return c, known, err
}

// Show implements [station.Attendance].
func (a *Attendance) Show(ctx context.Context, liveID string, c station.Counters) error {
	return a.do(ctx, func(now time.Time) error {
		if a.shown == nil {
			a.shown = make(map[string]shownCounters)
		}
		c.Visits = 0 // has no key
		a.shown[liveID] = shownCounters{c, now.Add(memory)}
		return nil
	})
}

// Shown implements [station.Attendance].
func (a *Attendance) Shown(ctx context.Context, liveIDs ...string) (map[string]station.Counters, error) {
	shown := make(map[string]station.Counters, len(liveIDs))
	err := a.do(ctx, func(time.Time) error {
		for _, id := range liveIDs {
			shown[id] = a.shown[id].Counters
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return shown, nil
}

// Dismiss implements [station.Attendance].
func (a *Attendance) Dismiss(ctx context.Context, liveID string) error {
	return a.do(ctx, func(now time.Time) error {
		if a.lives[liveID] != nil {
			a.live(liveID, now).dismissed = true
		}
		return nil
	})
}

// live gives what is known of a live, which is remembered from now on.
func (a *Attendance) live(id string, now time.Time) *attended {
	l := a.lives[id]
	if l == nil {
		l = &attended{
			open:     make(map[string]*station.Departure),
			closed:   make(map[string]bool),
			reactors: make(map[station.Reaction]map[string]string),
		}
		if a.lives == nil {
			a.lives = make(map[string]*attended)
		}
		a.lives[id] = l
	}
	if !l.dismissed {
		l.until = now.Add(memory)
	}
	return l
}

// do runs f without what is over.
func (a *Attendance) do(ctx context.Context, f func(now time.Time) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := cmp.Or(ctx.Err(), a.away); err != nil {
		return err
	}
	now := time.Now().UTC()
	for id, l := range a.lives {
		if !l.until.After(now) {
			delete(a.lives, id)
		}
	}
	for id, s := range a.shown {
		if !s.until.After(now) {
			delete(a.shown, id)
		}
	}
	return f(now)
}
