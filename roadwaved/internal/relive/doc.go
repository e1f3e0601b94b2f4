// Package relive is the worker: it takes the job of a live that ended, fetches
// its recording from the object store, makes the replay and publishes it. Killed
// at any moment and started again, here or elsewhere, it ends with exactly one
// replay.
//
// A service that is away is nobody's failure: the worker waits for it with its
// work in hand, and what it gives back at last does not count against the job;
// neither do a missing FFmpeg or a broken disk, and a worker that lacks one takes
// jobs ever more slowly. It stores nothing while its claim may be somebody else's.
// A job that fails by itself is parked after a few attempts; so is one whose
// recording is not in the store, for only its node knows that there is none.
package relive
