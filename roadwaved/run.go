package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// run works until ctx ends or a part fails, then stops in order: nobody new is
// let in, lives end and are written down, replays in the making are given back.
func (d *daemon) run(ctx context.Context, out io.Writer) error {
	if lost, err := d.station.CloseOrphans(ctx); err != nil {
		return err
	} else if len(lost) > 0 {
		d.log.Warn("lives cut by a crash were closed, their replays will be made", "lives", len(lost))
	}
	ctx, parts := newGroup(ctx)
	// The parts that write down what happens go on until everything is over.
	last, stopLast := context.WithCancel(context.WithoutCancel(ctx))
	parts.start(ctx, d.lookOut(
		"lives go on, new ones are refused, the audit log and ends wait on this machine",
		"lives go on, listeners are counted when it is back",
		"lives go on, recordings wait on this disk"))
	for _, part := range []func(context.Context) error{d.station.Run, d.audience.Run, d.journal.Run, d.hub.Run} {
		parts.start(last, part)
	}
	parts.start(ctx, d.reconciler.Run)
	parts.start(last, d.archive.Run)
	parts.start(ctx, d.janitor.Run)
	if d.cfg.Workers > 0 {
		parts.start(ctx, d.workQueue)
	}
	public, admin := d.publicServer(), d.adminServer()
	parts.start(ctx, func(context.Context) error { return serveHTTP(public, d.public) })
	parts.start(ctx, func(context.Context) error { return serveHTTP(admin, d.admin) })
	d.banner(out)

	<-ctx.Done()
	d.log.Info("stopping", "lives", d.station.OnAir())
	err := errors.Join(d.whip.Close(), d.api.Close(), shutdown(public), shutdown(admin))
	d.drain()
	stopLast()
	err = errors.Join(err, parts.wait())
	flush, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	return errors.Join(err, d.journal.Flush(flush)) // after the last who had something to say
}

// drain waits until the recordings of this daemon are in the object store: its
// disk may go with the process. What does not make it is uploaded after the next
// start on this data folder.
func (d *daemon) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	mine := station.JobQuery{Node: d.node, States: []station.JobState{station.JobUploading}}
	for {
		left, err := d.catalog.ListJobs(ctx, mine)
		switch {
		case err == nil && len(left) == 0:
			return
		case err != nil || ctx.Err() != nil:
			d.log.Warn("stopping with recordings that are not in the object store yet: start again on this data folder", "recordings", len(left), "err", err)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// drainPatience leaves room within the 30 s that a process is usually given.
const drainPatience = 15 * time.Second

// shutdownPatience is how long a request in progress may go on.
const shutdownPatience = 5 * time.Second
