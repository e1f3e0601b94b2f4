package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/transcode"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/archive"
	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/endings"
	"github.com/roadwave/roadwave/roadwaved/internal/janitor"
	"github.com/roadwave/roadwave/roadwaved/internal/onair"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
	"github.com/roadwave/roadwave/roadwaved/internal/sqlite"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/web"
)

// A daemon is every part of the program, wired. A command opens those parts that
// it needs.
type daemon struct {
	services

	lookout    *lookout
	node       string // the name of this daemon in the catalog
	place      string // where it runs, see folderPlace
	auth       auth.Authenticator
	journal    *station.Journal
	audience   *station.Audience
	station    *station.Station
	reconciler *station.Reconciler
	desk       *onair.Desk
	archive    *archive.Archive
	worker     *relive.Worker
	janitor    *janitor.Janitor
	hub        *api.Hub
	whip       *whip.Server
	api        *api.API

	public, admin net.Listener
}

func newParts(cfg Config, log *slog.Logger) *daemon {
	l := &lookout{log: log}
	return &daemon{services: services{cfg: cfg, log: l.logger()}, lookout: l}
}

// openAll opens parts in order, up to the first that fails.
func (d *daemon) openAll(ctx context.Context, parts ...func(context.Context) error) error {
	for _, open := range parts {
		if err := open(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) openDaemon(ctx context.Context) error {
	return d.openAll(ctx,
		d.openData, d.openAuth, d.listenPublic, d.listenAdmin,
		d.openCatalog, d.openRedis, d.openObjects,
		d.openJournal, d.openHub, d.openAudience, d.openStation, d.openDesk,
		d.openArchive, d.openReconciler, d.openWorker, d.openJanitor, d.openWHIP, d.openAPI)
}

// openData takes the data folder for this process alone.
func (d *daemon) openData(context.Context) error {
	if err := os.MkdirAll(d.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	lock, err := lockFolder(d.cfg.Data)
	if err != nil {
		return err
	}
	d.onClose(lock.Close)
	d.place = "this folder" // with a catalog of its own: nobody else can be in that
	if d.cfg.DatabaseURL != "" {
		if d.place, err = folderPlace(lock); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	d.node, err = nodeName(d.cfg.Data, d.shared())
	return err
}

func (d *daemon) openAuth(context.Context) (err error) {
	d.auth, err = auth.Open(d.cfg.Auth, auth.Config{Audience: d.cfg.AuthAudience, Issuer: d.cfg.AuthIssuer, Logger: d.log})
	if err != nil {
		return usageError{fmt.Errorf("--auth (%s): %w", envName("auth"), err)}
	}
	d.onClose(d.auth.Close)
	return nil
}

func (d *daemon) openJournal(ctx context.Context) error {
	outbox, err := sqlite.OpenOutbox(ctx, d.path("outbox.sqlite"))
	if err != nil {
		return err
	}
	d.onClose(outbox.Close)
	if moved := outbox.Damaged(); moved != "" {
		saved, _ := outbox.Len(ctx)
		d.log.Error("the outbox of audit events was damaged: what could be read was taken over", "moved_to", moved, "saved", saved)
	}
	d.journal, err = station.NewJournal(station.JournalConfig{Outbox: outbox, Records: d.catalog, Logger: d.log})
	return err
}

func (d *daemon) openHub(context.Context) error {
	cfg := api.HubConfig{Logger: d.log}
	if d.shared() {
		cfg.Wire = d.redis.Wire()
	}
	d.hub = api.NewHub(cfg)
	return nil
}

func (d *daemon) openAudience(ctx context.Context) error {
	key, err := d.catalog.Secret(ctx, "listeners")
	if err != nil {
		return err
	}
	d.audience, err = station.NewAudience(station.AudienceConfig{
		Attendance: d.redis.Attendance(), Journal: d.journal, Records: d.catalog, Lives: d.catalog,
		Key:             key,
		OnAirElsewhere:  func(id string) bool { return d.station.OnAirElsewhere(id) },
		OnAir:           func() []string { return d.station.Lives() },
		OnCounters:      d.counted,
		PerOriginVisits: orNone(d.cfg.PerAddress.Listeners), PerOriginReactions: orNone(d.cfg.PerAddress.Reactors),
		Logger: d.log,
	})
	return err
}

func (d *daemon) openStation(context.Context) error {
	ends, err := endings.Open(d.path("endings"))
	if err != nil {
		return err
	}
	d.onClose(ends.Close)
	d.station, err = station.New(station.Config{
		Lives: d.catalog, Board: d.redis.Board(), Nodes: d.redis.Nodes(), Signs: d.catalog,
		Audience: d.audience, Journal: d.journal, Endings: ends,
		Node: d.node, NodeFile: nodeFile(d.cfg.Data), Place: d.place, NodeURL: d.nodeURL(), NodePatience: d.cfg.NodePatience,
		Linger: linger, MaxLives: d.cfg.MaxLives, MaxLivesPerCreator: d.cfg.MaxLivesPerCreator,
		OnEnd:  d.ended,
		OnLost: d.hangUp,

		LastRecorded: d.lastRecorded,

		Logger: d.log,
	})
	return err
}

// linger is how long the media of a live that is over are served: to listeners
// who are behind, wherever they ask.
const linger = 2 * time.Minute

func (d *daemon) openDesk(ctx context.Context) (err error) {
	rungs := aac.Ladder()
	d.desk, err = onair.NewDesk(onair.Config{
		Recordings: d.recordings(),
		Lives:      d.station,
		Store:      d.liveObjects,
		Playlists:  d.cfg.StorageURL != "", // the store is an origin of its own
		Linger:     linger,
		NewTranscoder: func() (hls.Transcoder, error) {
			return transcode.New(transcode.Config{Rungs: rungs})
		},
		Rungs:     transcode.Tracks(rungs),
		Ladder:    d.ladder(),
		OnWarning: d.warned,
		Logger:    d.log,
	})
	if err != nil {
		return err
	}
	d.onClose(d.desk.Close)
	if d.cfg.StorageURL != "" {
		return nil // other daemons' media are there too
	}
	return d.desk.Sweep(ctx)
}

// ladder says when the AAC renditions are made. Whoever reads the object store
// cannot start them, so that there they are always made.
func (d *daemon) ladder() hls.Ladder {
	if d.cfg.Ladder == "always" || d.cfg.Ladder == "auto" && d.cfg.StorageURL != "" {
		return hls.Always
	}
	return hls.OnDemand
}

func (d *daemon) recordings() string { return d.path("recordings") }

// lastRecorded is when the last page of a recording came onto the disk.
func (d *daemon) lastRecorded(liveID string) time.Time {
	info, err := os.Stat(filepath.Join(d.recordings(), station.RawFile(liveID)))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func (d *daemon) openArchive(context.Context) (err error) {
	d.archive, err = archive.New(archive.Config{
		Store: d.objects, Jobs: d.catalog, Lives: d.catalog, Queue: d.queue,
		Recordings: d.recordings(), Node: d.node,
		Recording: d.desk.Recording,
		Logger:    d.log,
	})
	return err
}

// The catalog lets go of the job of a worker that died after jobLease. The queue
// delivers it again after 71 s at most; what the queue does not know is asked for
// at the next reconcileInterval.
const (
	jobLease          = 30 * time.Second
	reconcileInterval = 15 * time.Second
)

func (d *daemon) openWHIP(context.Context) (err error) {
	var servers []whip.ICEServer
	if len(d.cfg.ICEServers) > 0 {
		servers = []whip.ICEServer{{URLs: d.cfg.ICEServers, Username: d.cfg.TURNUsername, Credential: d.cfg.TURNPassword}}
	}
	d.whip, err = whip.NewServer(whip.Config{
		Admit:       d.admit,
		Authorize:   d.authorize,
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
	if err != nil {
		return fmt.Errorf("--media-udp or --media-host: %w", err)
	}
	d.onClose(d.whip.Close)
	return nil
}

// spareSessions are beyond the limit on lives, which the station keeps and
// explains in French; they leave room for sessions that are just ending.
const spareSessions = 100

func (d *daemon) openAPI(ctx context.Context) error {
	origins, err := d.catalog.Secret(ctx, "origins")
	if err != nil {
		return err
	}
	limits := d.cfg.PerAddress
	pages, err := web.New(web.Config{PublicURL: d.cfg.PublicURL})
	if err != nil {
		return err
	}
	files := http.NewServeMux()
	files.Handle("/live/", d.desk)
	files.Handle("/replay/", hls.NewHandler(d.objects))
	d.api, err = api.New(api.Config{
		Lives: d.station, Replays: d.catalog, Audience: d.audience, Events: d.hub,
		WHIP: d.whip, Media: files, Pages: pages,
		Identify:       d.auth.Identify,
		LoopbackOnly:   d.cfg.Auth == auth.OpenMode,
		Here:           d.here,
		Peer:           d.peer,
		TrustedProxies: d.cfg.Proxies,
		OriginKey:      origins,
		Limits: api.Limits{
			Joins: orNone(limits.Joins), Beats: orNone(limits.Beats), Reactions: orNone(limits.Reactions),
			Publishes: orNone(limits.Publishes), Streams: orNone(limits.Streams),
		},
		PublicURL: d.cfg.PublicURL, Version: version(), Logger: d.log,
	})
	return err
}

// here tells whether this daemon has the media of a live.
func (d *daemon) here(liveID string) bool {
	_, ok := d.desk.Get(liveID)
	return ok
}

// peer is where the daemon that has a live on air is.
func (d *daemon) peer(ctx context.Context, liveID string) (*url.URL, bool) {
	node, ok := d.station.Peer(ctx, liveID)
	if !ok {
		return nil, false
	}
	u, err := url.Parse(node.URL)
	return u, err == nil
}

// newDaemon opens all that goes on air. When it fails, what was opened is closed.
func newDaemon(ctx context.Context, cfg Config, log *slog.Logger) (*daemon, error) {
	d := newParts(cfg, log)
	if err := d.openDaemon(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}
