package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// work is the command that makes replays and nothing else.
func work(ctx context.Context, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) error {
	cfg := defaultConfig()
	cfg.AdminListen = "127.0.0.1:0" // several may run on one machine
	err := cfg.parseAll(args, getenv, noFlags)
	if err == nil {
		err = cfg.scaledOut("a worker")
	}
	if err == nil && cfg.Workers == 0 {
		err = errors.New("--workers is 0: a worker needs 1 or more")
	}
	if err != nil {
		return usageError{err}
	}
	d := newParts(cfg, cfg.logger(stderr))
	if err := d.openWorkerProcess(ctx); err != nil {
		return errors.Join(err, d.close())
	}
	return errors.Join(d.runWorker(ctx, stdout), d.close())
}

// scaledOut names the settings without which another process cannot share the
// work of a daemon.
func (c *Config) scaledOut(who string) error {
	var missing []string
	for _, s := range []setting{{"database-url", c.DatabaseURL}, {"redis-url", c.RedisURL}, {"storage-url", c.StorageURL}} {
		if s.value == "" {
			missing = append(missing, fmt.Sprintf("--%s (%s)", s.name, envName(s.name)))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s shares catalog, queue and recordings with the daemons, so these must be set as they are there: %s; "+
		"without them one roadwaved does everything in one process", who, strings.Join(missing, ", "))
}

func (d *daemon) openWorkerProcess(ctx context.Context) error {
	return d.openAll(ctx, d.openAuth, d.openCatalog, d.openRedis, d.openObjects, d.openReconciler, d.openWorker, d.listenAdmin)
}

func (d *daemon) runWorker(ctx context.Context, out io.Writer) error {
	ctx, parts := newGroup(ctx)
	parts.start(ctx, d.lookOut(
		"replays in the making wait for it, no others are begun",
		"replays in the making go on, no others are begun",
		"replays in the making wait for it, no others are begun"))
	parts.start(ctx, d.reconciler.Run)
	parts.start(ctx, d.workQueue)
	admin := d.adminServer()
	parts.start(ctx, func(context.Context) error { return serveHTTP(admin, d.admin) })
	fmt.Fprintf(out, "RoadWave worker: %d at a time\n  admin   http://%s/readyz\n", d.cfg.Workers, d.admin.Addr())
	<-ctx.Done()
	d.log.Info("stopping: replays in the making are given back")
	return errors.Join(shutdown(admin), parts.wait())
}

// workQueue makes replays until ctx ends.
func (d *daemon) workQueue(ctx context.Context) error {
	return d.queue.Work(ctx, d.cfg.Workers, d.worker.Handle)
}

func (d *daemon) openReconciler(context.Context) (err error) {
	d.reconciler, err = station.NewReconciler(station.ReconcilerConfig{Jobs: d.catalog, Queue: d.queue, Interval: reconcileInterval, Logger: d.log})
	return err
}

// encoderNice lets FFmpeg have what lives leave of the processors.
const encoderNice = 10

// openWorker is what both a daemon and a lone worker need to make replays.
func (d *daemon) openWorker(ctx context.Context) error {
	temp, release, err := claimTemp(d.cfg.Data)
	if err != nil {
		return err
	}
	d.onClose(release)
	newMaker := func(ctx context.Context, log *slog.Logger, progress func(replay.Progress)) (relive.Maker, error) {
		return replay.New(ctx, replay.Config{
			FFmpeg:           d.cfg.FFmpeg,
			SilenceThreshold: d.cfg.SilenceThreshold,
			TempDir:          temp,
			Nice:             encoderNice,
			Progress:         progress,
			Logger:           log,
		})
	}
	if _, err := newMaker(ctx, d.log, nil); err != nil {
		if !errors.Is(err, replay.ErrFFmpeg) {
			return err
		}
		d.log.Error("no replay can be made here until this is mended", "err", err)
	}
	d.worker, err = relive.New(relive.Config{
		Lives: d.catalog, Jobs: d.catalog, NewMaker: newMaker, Store: d.objects,
		TempDir: temp,
		Lease:   jobLease,
		Logger:  d.log,
	})
	return err
}
