// Package relive is the worker: it takes the job of a live that ended, fetches
// its recording from the object store, makes the replay and publishes it. Killed
// at any moment and started again, here or elsewhere, it ends with exactly one
// replay.
//
// A service that is away is nobody's failure: the worker waits for it with its
// work in hand, and what it gives back at last does not count against the job. A
// job that fails by itself is parked after a few attempts.
package relive
