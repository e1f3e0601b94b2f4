package station

import "context"

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
