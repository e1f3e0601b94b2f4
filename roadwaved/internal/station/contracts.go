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
	ErrBusy     = errors.New("this creator has too many lives on air")
	ErrClaimed  = errors.New("another worker holds this job")
	ErrJobOver  = errors.New("this job is over")
	ErrFenced   = errors.New("the claim on this job was lost to another worker")
	// ErrAway is a service that does not answer now and may later: tell people
	// to come back, not that they did something wrong.
	ErrAway = errors.New("a service this needs does not answer")
	// ErrGone is a listener who left, or was counted out: they must join again.
	ErrGone = errors.New("this listener is not listening any more")
	// ErrCrowded is one network address that stands for too many people.
	ErrCrowded = errors.New("too many from one address")
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
	// worked on is not enqueued twice; that is no error. The priority of a live
	// must be the same every time.
	Enqueue(ctx context.Context, liveID string, p Priority) error
	// Work gives jobs to handle, at most n at a time, until ctx ends; it
	// cancels the handlers, waits for them and returns nil. An error or a panic
	// of handle means: deliver it again later, with growing delays; when ctx
	// has ended, as soon as there is a worker. The queue away is no reason to
	// return, nor to cancel a handler.
	Work(ctx context.Context, n int, handle func(ctx context.Context, liveID string) error) error
}

// A Priority says which jobs come first when there are more than workers. Those
// of a lower priority still move on.
type Priority int

// The priorities of jobs.
const (
	PriorityNormal Priority = iota
	PriorityHigh            // of Premium creators
)

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

// A Node is a daemon that is up.
type Node struct {
	Name string
	URL  string // where other daemons reach its public listener; empty: nowhere
}

// Nodes tells the daemons of one house about each other.
type Nodes interface {
	// Present notes that a daemon is up, for one lease.
	Present(ctx context.Context, n Node, lease time.Duration) error
	// Absent takes it back, when a daemon stops.
	Absent(ctx context.Context, name string) error
	// Node finds a daemon, [ErrNotFound] when its lease is over.
	Node(ctx context.Context, name string) (Node, error)
	// ListNodes gives those that are up, by name.
	ListNodes(ctx context.Context) ([]Node, error)
}

// A Wire carries small messages to every daemon of the house, the sender too.
// What is sent while a daemon is cut off does not reach it: nothing that must
// not be lost goes this way.
type Wire interface {
	Send(ctx context.Context, message []byte) error
	// Receive gives each message to f, one after the other, until ctx ends;
	// then it returns nil. It connects again by itself.
	Receive(ctx context.Context, f func(message []byte)) error
}
