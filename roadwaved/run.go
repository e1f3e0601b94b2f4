package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// run works until ctx ends or a part fails, then stops in order: nobody new is
// let in, lives end and are written down, replays in the making are given back.
func (d *daemon) run(ctx context.Context, out io.Writer) error {
	if lost, err := d.station.CloseOrphans(ctx); err != nil {
		return err
	} else if len(lost) > 0 {
		d.log.Warn("lives cut by a crash were closed, their replays will be made", "lives", len(lost))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	start := func(ctx context.Context, part func(context.Context) error) {
		wg.Go(func() {
			if err := part(ctx); err != nil {
				cancel(err)
			}
		})
	}
	start(parts, d.station.Run)
	start(ctx, d.reconciler.Run)
	if d.cfg.Workers > 0 {
		start(ctx, func(ctx context.Context) error { return d.queue.Work(ctx, d.cfg.Workers, d.worker.Handle) })
	}
	public, admin := d.servers()
	start(ctx, func(context.Context) error { return serveHTTP(public, d.public) })
	start(ctx, func(context.Context) error { return serveHTTP(admin, d.admin) })
	d.banner(out)

	<-ctx.Done()
	d.log.Info("stopping", "lives", d.station.OnAir())
	var err error
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = cause
	}
	err = errors.Join(err, d.whip.Close(), d.api.Close(), shutdown(public), shutdown(admin))
	stopParts()
	wg.Wait()
	return err
}

// shutdownPatience is how long a request in progress may go on.
const shutdownPatience = 5 * time.Second
