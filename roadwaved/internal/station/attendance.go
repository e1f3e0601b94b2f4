package station

import (
	"context"
	"time"
)

// Counters are the figures of a live that everybody sees (M20).
type Counters struct {
	Listeners int64 // heard of in the last 30 s
	Likes     int64
	Reports   int64
	Visits    int64 // listeners who joined so far, each time they did
}

// A Visit is one listener on one live, from join to leave.
type Visit struct {
	ID       string // the listener's: a uuid, new with every join
	LiveID   string
	UserID   string
	Origin   string // stands for the network address, is not one
	JoinedAt time.Time
}

// A Departure is a visit that is over, or seems so.
type Departure struct {
	Visit
	LastHeard time.Time
}

// A Reaction is what a listener says about a live, once.
type Reaction string

// The reactions.
const (
	Like   Reaction = "like"
	Report Reaction = "report"
)

// Attendance is the part of the board that knows who listens. It may lose
// everything: heartbeats bring listeners back, [Attendance.Seed] the reactions.
type Attendance interface {
	// Touch notes that a listener is heard of now. One that the board does not
	// know is counted in: who joins, and who listened when the board lost its
	// memory. [ErrGone] when the visit was closed; [ErrCrowded] when perOrigin
	// visits (0: no limit) from the same origin are on the live already.
	Touch(ctx context.Context, v Visit, perOrigin int) error
	// Silent gives the visits that were not heard of for that long, 0 for all,
	// at most 1000 of them.
	Silent(ctx context.Context, liveID string, silence time.Duration) ([]Departure, error)
	// CloseVisits counts visits out for good. Unknown and closed ones are no error.
	CloseVisits(ctx context.Context, liveID string, ids ...string) error
	// React notes a reaction of a user and tells whether it is their first.
	// [ErrCrowded] when perOrigin users (0: no limit) reacted from there already.
	React(ctx context.Context, liveID string, r Reaction, userID, origin string, perOrigin int) (first bool, err error)
	// Seed adds users to those who reacted, without an origin, and makes the
	// live known, even with no users.
	Seed(ctx context.Context, liveID string, r Reaction, userIDs ...string) error
	// Count counts. known is false until the live was seeded, and again when the
	// board lost its memory: seed it then.
	Count(ctx context.Context, liveID string) (c Counters, known bool, err error)
	// Show writes the counters where everybody reads them: the keys
	// live:<live_id>:listeners, :likes and :reports (M20).
	Show(ctx context.Context, liveID string, c Counters) error
	// Shown reads those keys; a live without them has zeros.
	Shown(ctx context.Context, liveIDs ...string) (map[string]Counters, error)
	// Dismiss forgets a live that is over, an hour from now.
	Dismiss(ctx context.Context, liveID string) error
}
