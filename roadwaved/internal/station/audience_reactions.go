package station

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ReportCategories are the reasons for which a live is reported.
var ReportCategories = []string{"hate", "violence", "sexual", "spam", "copyright", "danger", "other"}

// maxLate is how many reactions wait for a board that is away.
const maxLate = 10_000

// A Reacting is what a listener says about a live.
type Reacting struct {
	LiveID   string
	UserID   string // up to [MaxUserID], required
	Origin   string // stands for the network address
	Reaction Reaction
	Category string // of a report: one of [ReportCategories]
}

// React notes a reaction and tells whether it is the user's first of this kind;
// the others change nothing. While the board is away every one seems the first,
// and it is counted when the board is back. Without an error it is on disk here,
// whatever becomes of this process. The error is an [*InvalidError],
// [ErrNotFound], [ErrGone] or [ErrCrowded] as with [Audience.Join], and [ErrAway]
// also when the disk takes nothing: it may be sent again.
func (a *Audience) React(ctx context.Context, r Reacting) (first bool, err error) {
	if err := r.normalize(); err != nil {
		return false, err
	}
	if err := a.admit(ctx, r.LiveID); err != nil {
		return false, err
	}
	err = a.board.do(ctx, func(ctx context.Context) error {
		first, err = a.cfg.Attendance.React(ctx, r.LiveID, r.Reaction, r.UserID, r.Origin, a.cfg.PerOriginReactions)
		return err
	})
	switch {
	case errors.Is(err, ErrCrowded):
		return false, fmt.Errorf("station: a %s of live %s: %w", r.Reaction, r.LiveID, err)
	case err != nil && ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		if err := a.postpone(r); err != nil {
			return false, err
		}
		first = true
	}
	return first, a.writeDown(ctx, r)
}

// writeDown puts a reaction on disk. One that is not the first too: the process
// that heard of the first may have died before it was there, and the log keeps
// it once.
func (a *Audience) writeDown(ctx context.Context, r Reacting) error {
	a.cfg.Journal.Add([]Event{r.event(a.cfg.Now())}, nil)
	fctx, cancel := context.WithTimeout(ctx, diskPatience)
	defer cancel()
	err := a.cfg.Journal.Flush(fctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("station: a %s of live %s is not written down yet: %w: %w", r.Reaction, r.LiveID, ErrAway, err)
}

func (r *Reacting) normalize() (err error) {
	if r.Reaction != Like && r.Reaction != Report {
		return &InvalidError{
			Field:   "reaction",
			Message: "Cette réaction n'existe pas",
			Detail:  fmt.Sprintf("%.40q is neither %q nor %q", r.Reaction, Like, Report),
		}
	}
	if r.UserID, err = normalUser(r.UserID); err != nil {
		return err
	}
	if r.UserID == "" {
		return &InvalidError{
			Field:   "user_id",
			Message: "L'identifiant de l'utilisateur est obligatoire",
			Detail:  "it is empty: a reaction counts once for each user",
		}
	}
	if r.Reaction == Like {
		r.Category = ""
	} else if !slices.Contains(ReportCategories, r.Category) {
		all := strings.Join(ReportCategories, ", ")
		return &InvalidError{
			Field:   "category",
			Message: "Le motif du signalement doit être l'un de : " + all,
			Detail:  fmt.Sprintf("%.40q is not one of %s", r.Category, all),
		}
	}
	return nil
}

func (r Reacting) event(at time.Time) Event {
	kind := EventLike
	if r.Reaction == Report {
		kind = EventReport
	}
	return Event{
		ID: eventID(kind, r.LiveID, r.UserID), Kind: kind,
		At: micro(at), LiveID: r.LiveID, UserID: r.UserID, Category: r.Category,
	}
}

// lateReactions wait for the board, the oldest first.
type lateReactions struct {
	order   []lateReaction
	known   map[reactionKey]bool
	origins map[lateOrigin]int
}

// What the board counts once, and what it limits.
type (
	reactionKey struct {
		liveID   string
		reaction Reaction
		userID   string
	}
	lateReaction struct {
		reactionKey
		origin string
	}
	lateOrigin struct {
		liveID   string
		reaction Reaction
		origin   string
	}
)

func (l lateReaction) from() lateOrigin { return lateOrigin{l.liveID, l.reaction, l.origin} }

// postpone keeps a reaction until the board is back.
func (a *Audience) postpone(r Reacting) error {
	l := lateReaction{reactionKey{r.LiveID, r.Reaction, r.UserID}, r.Origin}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.late.known[l.reactionKey]:
		return nil
	case a.cfg.PerOriginReactions > 0 && a.late.origins[l.from()] >= a.cfg.PerOriginReactions:
		return fmt.Errorf("station: a %s of live %s: %w", r.Reaction, r.LiveID, ErrCrowded)
	case len(a.late.order) >= maxLate:
		return fmt.Errorf("station: %d reactions wait for the board: %w", maxLate, ErrAway)
	}
	if a.late.known == nil {
		a.late.known, a.late.origins = make(map[reactionKey]bool), make(map[lateOrigin]int)
	}
	a.late.order = append(a.late.order, l)
	a.late.known[l.reactionKey] = true
	a.late.origins[l.from()]++
	return nil
}

// catchUp tells the board what it missed. What it refuses is in the audit log
// all the same, and must not hold up the rest.
func (a *Audience) catchUp(ctx context.Context) {
	for {
		a.mu.Lock()
		if len(a.late.order) == 0 {
			a.late = lateReactions{}
			a.mu.Unlock()
			return
		}
		l := a.late.order[0]
		a.mu.Unlock()
		err := a.board.do(ctx, func(ctx context.Context) error {
			_, err := a.cfg.Attendance.React(ctx, l.liveID, l.reaction, l.userID, l.origin, a.cfg.PerOriginReactions)
			return err
		})
		switch {
		case err == nil || errors.Is(err, ErrCrowded):
		case later(err):
			return
		default:
			a.cfg.Logger.Error("the board (Redis) refuses a reaction: it is in the audit log and not counted",
				"live_id", l.liveID, "reaction", l.reaction, "err", err)
		}
		a.mu.Lock()
		if len(a.late.order) > 0 && a.late.order[0] == l { // Finish may be here too
			a.late.order = a.late.order[1:]
			delete(a.late.known, l.reactionKey)
		}
		a.mu.Unlock()
	}
}

// countLocked adds the reactions to a live that the board does not know of.
func (l *lateReactions) countLocked(liveID string, c *Counters) {
	for _, r := range l.order {
		switch {
		case r.liveID != liveID:
		case r.reaction == Like:
			c.Likes++
		default:
			c.Reports++
		}
	}
}
