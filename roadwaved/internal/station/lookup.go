package station

import (
	"context"
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

// A lookup remembers for a moment what was found, so that a herd asks once. What
// does not exist is remembered too; a failure is not.
type lookup[V any] struct {
	find     func(ctx context.Context, key string) (V, error)
	keep     time.Duration
	patience time.Duration // the longest that find may take
	now      func() time.Time
	found    *lru.Cache[string, finding[V]]
	flight   singleflight.Group
}

type finding[V any] struct {
	value V
	err   error // ErrNotFound
	until time.Time
}

// lookupSize is how many findings a lookup remembers.
const lookupSize = 4096

func newLookup[V any](keep, patience time.Duration, now func() time.Time, find func(ctx context.Context, key string) (V, error)) *lookup[V] {
	found, err := lru.New[string, finding[V]](lookupSize)
	if err != nil { // only for a size below one
		panic(err)
	}
	return &lookup[V]{find: find, keep: keep, patience: patience, now: now, found: found}
}

// get finds a value. One that does not answer in time is [ErrAway].
func (l *lookup[V]) get(ctx context.Context, key string) (V, error) {
	if f, ok := l.recall(key); ok {
		return f.value, f.err
	}
	// Whoever waits has their own patience: the first to ask may hang up.
	answer := l.flight.DoChan(key, func() (any, error) {
		if f, ok := l.recall(key); ok { // found since
			return f.value, f.err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.patience)
		defer cancel()
		v, err := l.find(ctx, key)
		if err == nil || errors.Is(err, ErrNotFound) {
			l.found.Add(key, finding[V]{v, err, l.now().Add(l.keep)})
		}
		return v, awayIf(ctx.Err() != nil && err != nil, err)
	})
	select {
	case a := <-answer:
		return a.Val.(V), a.Err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

func (l *lookup[V]) recall(key string) (finding[V], bool) {
	f, ok := l.found.Get(key)
	return f, ok && l.now().Before(f.until)
}
