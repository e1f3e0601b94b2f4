package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/transcode"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/replay"
	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/onair"
	"github.com/roadwave/roadwave/roadwaved/internal/redis"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
	"github.com/roadwave/roadwave/roadwaved/internal/sqlite"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/web"
)

// A daemon is every part of the program, wired. What it owns is closed in the
// order opposite to that in which it was opened.
type daemon struct {
	cfg Config
	log *slog.Logger

	catalog    *sqlite.Catalog
	redis      *redis.Redis
	queue      station.Queue
	station    *station.Station
	reconciler *station.Reconciler
	desk       *onair.Desk
	objects    hls.Store
	worker     *relive.Worker
	hub        *api.Hub
	whip       *whip.Server
	api        *api.API

	public, admin net.Listener
	closers       []func() error
}

// newDaemon opens everything. When it fails, what was opened is closed.
func newDaemon(ctx context.Context, cfg Config, log *slog.Logger) (d *daemon, err error) {
	d = &daemon{cfg: cfg, log: log, hub: &api.Hub{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	for _, open := range []func(context.Context) error{
		d.openData, d.openStation, d.openDesk, d.openWorker, d.openWHIP, d.openAPI, d.listen,
	} {
		if err := open(ctx); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d *daemon) path(elements ...string) string {
	return filepath.Join(append([]string{d.cfg.Data}, elements...)...)
}

func (d *daemon) onClose(f func() error) { d.closers = append(d.closers, f) }

// openData takes the data folder for this process alone.
func (d *daemon) openData(ctx context.Context) error {
	if err := os.MkdirAll(d.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	lock, err := lockFolder(d.cfg.Data)
	if err != nil {
		return err
	}
	d.onClose(lock.Close)
	if d.catalog, err = sqlite.Open(ctx, d.path("catalog.sqlite")); err != nil {
		return err
	}
	d.onClose(d.catalog.Close)
	if d.redis, err = redis.Embedded(redis.Config{Logger: d.log}); err != nil {
		return err
	}
	d.onClose(d.redis.Close)
	return nil
}

func (d *daemon) openStation(context.Context) (err error) {
	d.queue = d.redis.Queue()
	d.station, err = station.New(station.Config{
		Lives: d.catalog, Board: d.redis.Board(), Queue: d.queue,
		MaxLives: d.cfg.MaxLives, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.reconciler, err = station.NewReconciler(station.ReconcilerConfig{Jobs: d.catalog, Queue: d.queue, Interval: reconcileInterval, Logger: d.log})
	return err
}

func (d *daemon) openDesk(ctx context.Context) (err error) {
	objects, err := hls.NewDir(d.path("objects"))
	if err != nil {
		return err
	}
	d.onClose(objects.Close)
	d.objects = objects
	rungs := aac.Ladder()
	var tracks []media.Track
	for _, r := range rungs {
		tracks = append(tracks, r.Track)
	}
	ladder := hls.OnDemand
	if d.cfg.Ladder == "always" {
		ladder = hls.Always
	}
	d.desk, err = onair.NewDesk(onair.Config{
		Recordings: d.recordings(),
		Lives:      d.catalog,
		Store:      objects.WithoutSync(), // a live's segments need not survive a crash
		NewTranscoder: func() (hls.Transcoder, error) {
			return transcode.New(transcode.Config{Rungs: rungs})
		},
		Rungs:  tracks,
		Ladder: ladder,
		OnWarning: func(liveID string, w onair.Warning) {
			d.hub.Publish(liveID, api.ToCreator, api.Event{Type: api.EventWarning, Code: w.Code, Message: w.Message})
		},
		Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.onClose(d.desk.Close)
	return d.desk.Sweep(ctx)
}

func (d *daemon) recordings() string { return d.path("recordings") }

func (d *daemon) openWorker(ctx context.Context) (err error) {
	if err := d.cleanTemp(); err != nil {
		return err
	}
	if _, err := d.newMaker(ctx, nil); err != nil {
		if !errors.Is(err, replay.ErrFFmpeg) {
			return err
		}
		d.log.Error("replays will wait until this is mended", "err", err)
	}
	d.worker, err = relive.New(relive.Config{
		Lives: d.catalog, Jobs: d.catalog, NewMaker: d.newMaker, Store: d.objects,
		Recordings: func(id string) string { return onair.Recording(d.recordings(), id) },
		Lease:      jobLease,
		Logger:     d.log,
	})
	return err
}

// A job whose worker died is taken up again after at most these two together.
const (
	jobLease          = 30 * time.Second
	reconcileInterval = 15 * time.Second
)

func (d *daemon) newMaker(ctx context.Context, progress func(replay.Progress)) (relive.Maker, error) {
	return replay.New(ctx, replay.Config{
		FFmpeg:           d.cfg.FFmpeg,
		SilenceThreshold: d.cfg.SilenceThreshold,
		TempDir:          d.path("tmp"),
		Progress:         progress,
		Logger:           d.log,
	})
}

// cleanTemp removes what replays left that were cut by a crash; the lock on the
// data folder makes sure that they are not in the making. Nothing else is
// touched: --data may name a folder whose tmp is not ours.
func (d *daemon) cleanTemp() error {
	if err := os.MkdirAll(d.path("tmp"), 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	entries, err := os.ReadDir(d.path("tmp"))
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "replay-") {
			continue
		}
		if err := os.RemoveAll(d.path("tmp", e.Name())); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	return nil
}

func (d *daemon) openWHIP(context.Context) (err error) {
	var servers []whip.ICEServer
	if len(d.cfg.ICEServers) > 0 {
		servers = []whip.ICEServer{{URLs: d.cfg.ICEServers, Username: d.cfg.TURNUsername, Credential: d.cfg.TURNPassword}}
	}
	d.whip, err = whip.NewServer(whip.Config{
		Admit:       d.admit,
		OnPublish:   publish,
		OnState:     d.stateChanged,
		UDPAddress:  d.cfg.MediaUDP,
		PublicHosts: d.cfg.MediaHost,
		Loopback:    true,
		ICEServers:  servers,
		NoticeAfter: d.cfg.NoticeAfter,
		EndAfter:    d.cfg.EndAfter,
		MaxSessions: d.cfg.MaxLives + spareSessions,
		Logger:      d.log,
	})
	if err == nil {
		d.onClose(d.whip.Close)
	}
	return err
}

// spareSessions are beyond the limit on lives, which the station keeps and
// explains in French; they leave room for sessions that are just ending.
const spareSessions = 100

func (d *daemon) openAPI(context.Context) (err error) {
	pages, err := web.New(web.Config{PublicURL: d.cfg.PublicURL})
	if err != nil {
		return err
	}
	files := http.NewServeMux()
	files.Handle("/live/", d.desk)
	files.Handle("/replay/", http.StripPrefix("/", hls.NewHandler(d.objects)))
	d.api, err = api.New(api.Config{
		Lives: d.catalog, Replays: d.catalog, Events: d.hub,
		WHIP: d.whip, Media: files, Pages: pages,
		Creator:   creator,
		PublicURL: d.cfg.PublicURL, Version: version(), Logger: d.log,
	})
	return err
}

func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	d.closers = nil
	return errors.Join(errs...)
}
