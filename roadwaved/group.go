package main

import (
	"context"
	"errors"
	"sync"
)

// A group runs the parts of a program side by side; when one fails, all stop.
type group struct {
	cancel context.CancelCauseFunc
	ctx    context.Context
	wg     sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

// newGroup gives the context that ends with ctx and when a part fails.
func newGroup(ctx context.Context) (context.Context, *group) {
	g := &group{}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g.ctx, g
}

// start runs a part until ctx ends.
func (g *group) start(ctx context.Context, part func(context.Context) error) {
	g.wg.Go(func() {
		if err := part(ctx); err != nil {
			g.mu.Lock()
			g.errs = append(g.errs, err)
			g.mu.Unlock()
			g.cancel(err)
		}
	})
}

// wait waits for all parts and gives what failed.
func (g *group) wait() error {
	g.wg.Wait()
	g.cancel(nil)
	return errors.Join(g.errs...)
}
