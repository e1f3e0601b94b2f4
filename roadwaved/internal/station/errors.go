package station

import "errors"

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
