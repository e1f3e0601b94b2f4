package station

import (
	"context"
	"time"
)

// Catalog is what a database offers.
type Catalog interface {
	Lives
	Replays
	Jobs
	Records
	Chores
	Secrets
	Signs
	// Ping tells whether the database answers.
	Ping(ctx context.Context) error
	Close() error
}

// Chores is the part of the catalog that says who does what once per day.
type Chores interface {
	// BeginChore takes a chore for who, for one lease. It is false when the
	// chore is done for that day or another one is at it. A catalog that serves
	// several machines may count leases by its own clock instead of by now.
	BeginChore(ctx context.Context, c Chore, who string, now time.Time, lease time.Duration) (bool, error)
	// FinishChore marks it done and keeps what came of it. [ErrFenced] when who
	// lost it meanwhile.
	FinishChore(ctx context.Context, c Chore, who string, now time.Time, outcome string) error
}

// A Chore is what is done once per day, whichever daemon does it.
type Chore struct {
	Name string
	Day  string // 2006-01-02, UTC
}

// Secrets is the part of the catalog that holds what all daemons of a house must
// share and nobody else may know.
type Secrets interface {
	// Secret gives the 32 random bytes kept under a name. The first to ask makes
	// them.
	Secret(ctx context.Context, name string) ([]byte, error)
}
