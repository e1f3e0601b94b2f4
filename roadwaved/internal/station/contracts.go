package station

import (
	"context"
	"errors"
	"time"
)

// What a contract answers; adapters wrap them, callers test with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrFull     = errors.New("maximum number of lives reached")
	ErrClaimed  = errors.New("another worker holds this job")
	ErrJobOver  = errors.New("this job is over")
	ErrFenced   = errors.New("the claim on this job was lost to another worker")
)

// MaxPage is the most that one list query gives.
const MaxPage = 200

// defaultPage is what a list query gives that sets no limit.
const defaultPage = 50

// PageSize is the number of rows that the Limit of a query stands for: the
// default for zero, MaxPage for more than that.
func PageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, MaxPage)
}

// A Queue delivers jobs to workers at least once. It may lose everything: the
// catalog remembers and the [Reconciler] enqueues again.
type Queue interface {
	// Enqueue asks for the replay of a live. A live already waiting or being
	// worked on is not enqueued twice; that is no error.
	Enqueue(ctx context.Context, liveID string) error
	// Work gives jobs to handle, at most n at a time, until ctx ends; it
	// cancels the handlers, waits for them and returns nil. An error or a panic
	// of handle means: deliver it again later, with growing delays; when ctx
	// has ended, as soon as there is a worker. The queue away is no reason to
	// return, nor to cancel a handler.
	Work(ctx context.Context, n int, handle func(ctx context.Context, liveID string) error) error
}

// A Board holds what all daemons must agree on while lives run: the slots of
// the capacity limit, leased so that a dead daemon's slots come back (M13).
type Board interface {
	// Acquire takes a slot for a live, or [ErrFull] when limit are taken.
	// A live that has a slot keeps it.
	Acquire(ctx context.Context, liveID string, limit int, lease time.Duration) error
	// Renew extends the leases of lives that are on air here. A lease that was
	// lost is taken again, beyond the limit if need be: no live is cut for it.
	Renew(ctx context.Context, lease time.Duration, liveIDs ...string) error
	Release(ctx context.Context, liveID string) error
	// Count is the number of slots taken.
	Count(ctx context.Context) (int, error)
}
