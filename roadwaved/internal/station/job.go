package station

import (
	"context"
	"time"
)

// A JobState says how far the replay of a live is.
type JobState string

// The states of a job. Done, Empty and Parked need no worker any more.
const (
	JobUploading JobState = "uploading" // the recording is not yet where workers find it
	JobPending   JobState = "pending"   // waits for a worker
	JobRunning   JobState = "running"   // a worker holds it until its lease ends
	JobDone      JobState = "done"      // the replay is published
	JobEmpty     JobState = "empty"     // nothing was recorded, there is no replay
	JobParked    JobState = "parked"    // failed too often: a human must look
)

// A Job makes one live's replay. Its identity is the live's.
type Job struct {
	LiveID   string
	Node     string    // of the live: who holds the recording while it is uploading
	Priority Priority  // from the live
	Opened   time.Time // the end of the live
	State    JobState
	Attempts int       // claims so far, but for those given back without a reason
	Worker   string    // who holds or last held it
	Lease    time.Time // until when, while running
	Step     string    // what the worker is doing
	Progress float64   // 0 to 1
	Error    string    // of the last failure
	Updated  time.Time
}

// A Claim is the right to work on a job: the fence number grows with every
// claim, so that a worker that lost its lease cannot publish.
type Claim struct {
	LiveID string
	Fence  int64
}

// Jobs is the catalog of replays to be made.
//
// A method that takes a [Claim] returns [ErrFenced] when a newer claim exists,
// when the claim was released, or when the job is over. A lease that ended does
// not fence by itself: until somebody else claims, the work is still good.
type Jobs interface {
	// Job gives the job of a live, [ErrNotFound] while the live is on air.
	Job(ctx context.Context, liveID string) (Job, error)
	// ListJobs gives the oldest first: by Opened, then by live id.
	ListJobs(ctx context.Context, q JobQuery) ([]Job, error)
	// Deposited ends uploading: the recording is where workers find it and the
	// job becomes pending, or nothing was recorded and the job becomes empty, with
	// the error "nothing was recorded". Only the node of the live can know that
	// there is nothing. Any other state is left as it is.
	Deposited(ctx context.Context, liveID string, nothing bool) error
	// Claim takes a job that is pending, or running with a lease that ended
	// before now, and counts an attempt. [ErrClaimed] means a worker (this one,
	// perhaps) holds it or it is uploading, [ErrJobOver] that there is nothing left to do.
	Claim(ctx context.Context, liveID, worker string, now time.Time, lease time.Duration) (Claim, error)
	// Renew extends the lease and reports progress.
	Renew(ctx context.Context, c Claim, until time.Time, step string, progress float64) error
	// Publish inserts the replay and ends the job, in one transaction. A replay
	// that is not of the claimed live is an error.
	Publish(ctx context.Context, c Claim, r Replay) error
	// Release gives the job back: JobPending to be tried again, JobParked or
	// JobEmpty to be left; any other state is an error. The reason is kept.
	// JobPending without a reason means interrupted, not failed (a daemon that
	// stops): the claim no longer counts as an attempt.
	Release(ctx context.Context, c Claim, state JobState, reason string) error
	// Reopen makes a parked or empty job pending again, with its attempts and its
	// error forgotten. It leaves a job that is uploading, pending or running as it
	// is; on one that is done it returns [ErrJobOver].
	Reopen(ctx context.Context, liveID string) error
}

// A JobQuery selects jobs; zero fields do not restrict.
type JobQuery struct {
	States []JobState
	Node   string
	Limit  int // 1 to 200, 0 means 50
	// After and AfterID are Opened and LiveID of the last job of the page before.
	After   time.Time
	AfterID string
}
