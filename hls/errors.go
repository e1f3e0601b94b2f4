package hls

import "fmt"

// A StoreError is a failed write to a live's Store, given to OnError at each
// attempt. The live goes on in memory.
type StoreError struct {
	Key string
	// Dropped says that no further attempt will be made. A segment is dropped
	// when so much waits behind it that players have moved on, and becomes a gap in
	// the stored playlist; a playlist is followed by a newer one.
	Dropped bool
	Err     error
}

func (e StoreError) Error() string {
	if e.Dropped {
		return fmt.Sprintf("hls: store %s, given up: %v", e.Key, e.Err)
	}
	return fmt.Sprintf("hls: store %s, will try again: %v", e.Key, e.Err)
}

func (e StoreError) Unwrap() error { return e.Err }

// A LadderError is what stopped the ladder; it starts again after a pause.
type LadderError struct{ Err error }

func (e LadderError) Error() string { return fmt.Sprintf("hls: ladder, will start again: %v", e.Err) }
func (e LadderError) Unwrap() error { return e.Err }

// A SegmentError is a segment that could not be packaged and is missing.
type SegmentError struct{ Err error }

func (e SegmentError) Error() string { return "hls: " + e.Err.Error() }
func (e SegmentError) Unwrap() error { return e.Err }
