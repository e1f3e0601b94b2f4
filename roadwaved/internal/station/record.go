package station

import (
	"context"
	"time"
)

// An EventKind says what happened.
type EventKind string

// What the audit log keeps (M24).
const (
	EventLiveStart EventKind = "live_start" // UserID is the creator, ZoneGeo is set
	EventJoin      EventKind = "join"       // Position is set where the listener gave one
	EventLeave     EventKind = "leave"      // Listened is set
	EventLike      EventKind = "like"
	EventReport    EventKind = "report"   // Category is set
	EventLiveEnd   EventKind = "live_end" // UserID is the creator, Stats are set
)

// An Event is one line of the audit log, kept for 90 days (M24).
//
// Its identity is ID: written again, with whatever time, it is kept once, as it
// was written first. Who makes an event derives the ID from what happened to
// which live, so that whoever sees the same thing happen makes the same event.
type Event struct {
	ID       string // a uuid
	Kind     EventKind
	At       time.Time // UTC, to the microsecond
	LiveID   string
	UserID   string
	ZoneGeo  string
	Position *Position
	Category string
	Listened time.Duration
	Stats    LiveStats
}

// A Position is a place on earth, in degrees (WGS 84).
type Position struct {
	Lat float64 // -90 to 90
	Lon float64 // -180 to 180
}

// A Sample is the counters of a live at one time (M20). Its identity is the live
// and the time: written again, the last one counts.
type Sample struct {
	LiveID string
	At     time.Time // UTC, to the second
	Counters
}

// Records is the part of the catalog that grows all the time: the audit log and
// the counters over time.
type Records interface {
	// Record writes all or nothing. What is there already is no error. An event
	// need not belong to a live that the catalog knows.
	Record(ctx context.Context, events []Event, samples []Sample) error
	// ListEvents gives the oldest first: by time, then by id.
	ListEvents(ctx context.Context, q EventQuery) ([]Event, error)
	// ListSamples gives the samples of a live, the oldest first.
	ListSamples(ctx context.Context, liveID string) ([]Sample, error)
	// Reactors gives the users, each once, who sent a reaction to a live.
	Reactors(ctx context.Context, liveID string, r Reaction) ([]string, error)
	// ForgetEvents deletes the events of all UTC days that were over at before,
	// and tells how many that were; with dryRun it only tells.
	ForgetEvents(ctx context.Context, before time.Time, dryRun bool) (int64, error)
}

// An EventQuery selects events; zero fields do not restrict.
type EventQuery struct {
	LiveID string
	UserID string
	Kind   EventKind
	Since  time.Time // then or later
	Until  time.Time // before
	Limit  int       // 1 to 200, 0 means 50
	// After and AfterID are At and ID of the last event of the page before.
	After   time.Time
	AfterID string
}

// An Outbox keeps records on this machine until the catalog has them.
type Outbox interface {
	// Append is durable when it returns.
	Append(ctx context.Context, events []Event, samples []Sample) error
	// Next gives the oldest, n in all at most, and what Drop takes to forget them.
	Next(ctx context.Context, n int) (events []Event, samples []Sample, through int64, err error)
	// Drop forgets what Next gave.
	Drop(ctx context.Context, through int64) error
	// Len is how many wait.
	Len(ctx context.Context) (int, error)
}
