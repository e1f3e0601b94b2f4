package station

import (
	"context"
	"time"
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
