package janitor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	// hands is how many objects are deleted at the same time.
	hands = 8
	// enoughErrors is after how many deletions that failed the rest is left.
	enoughErrors = 10
)

// A bin deletes the objects that are thrown into it, a few at a time; in a dry
// run it deletes nothing.
type bin struct {
	ctx     context.Context // of the one cleaning that it serves
	store   hls.Store
	dryRun  bool
	slots   chan struct{}
	pending sync.WaitGroup

	mu   sync.Mutex
	errs []error
	full bool // of errors
}

func (r *round) newBin(ctx context.Context) *bin {
	return &bin{ctx: ctx, store: r.Store, dryRun: r.dryRun, slots: make(chan struct{}, hands)}
}

// throw takes an object and calls gone when it is deleted, not always from the
// goroutine of the caller. It is false when too much failed to go on.
func (b *bin) throw(object hls.Info, gone func()) bool {
	if b.dryRun {
		gone()
		return true
	}
	b.slots <- struct{}{}
	if b.refuses() {
		<-b.slots
		return false
	}
	b.pending.Go(func() {
		defer func() { <-b.slots }()
		if err := b.store.Delete(b.ctx, object.Key); err != nil {
			b.note(err)
			return
		}
		gone()
	})
	return true
}

func (b *bin) refuses() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full || b.ctx.Err() != nil
}

func (b *bin) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.errs) < enoughErrors {
		b.errs = append(b.errs, err)
	}
	b.full = b.full || len(b.errs) == enoughErrors || errors.Is(err, station.ErrAway)
}

// empty waits until all is deleted and tells what was not.
func (b *bin) empty() error {
	b.pending.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return errors.Join(append(b.errs, fmt.Errorf("the rest is left for the next time after %d errors", len(b.errs)))...)
	}
	return errors.Join(b.errs...)
}
