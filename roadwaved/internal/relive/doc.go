// Package relive is the worker: it takes the job of a live that ended, makes
// the replay from its recording and publishes it. Killed at any moment and
// started again, here or elsewhere, it ends with exactly one replay.
package relive
