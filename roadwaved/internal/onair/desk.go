package onair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Config makes a [Desk].
type Config struct {
	// Recordings is the folder of raw Opus; it is created. Required.
	Recordings string
	// Lives tells what a live is whose media are not here: gone (410) when it is
	// over, unknown (404), or to be had later (503). It is asked once for each
	// request, whatever the id: a [station.Station] keeps strangers' questions
	// from the catalog. Required.
	Lives interface {
		Live(ctx context.Context, id string) (station.Live, error)
	}
	// Store gets the segments below live/<live_id>/, so that memory need not
	// hold those that left the window. Required.
	Store hls.Store
	// Playlists puts them there too, so that players can be served from the
	// store without asking us (M16).
	Playlists bool
	// NewTranscoder and Rungs make the AAC ladder; without them listeners get
	// Opus only.
	NewTranscoder func() (hls.Transcoder, error)
	Rungs         []media.Track
	Ladder        hls.Ladder
	// Linger is how long the media of a live stay readable after its end, for
	// players that are behind. Default 2 min.
	Linger time.Duration
	// OnWarning is told what the creator should hear. Default: nothing.
	OnWarning func(liveID string, w Warning)
	// Logger is for engineers. Default: nothing.
	Logger *slog.Logger
}

// A Desk holds the lives of this process and serves their media.
type Desk struct {
	cfg  Config
	ctx  context.Context // of what deletes media; Close ends it
	stop context.CancelFunc

	mu     sync.RWMutex
	closed bool
	lives  map[string]*Broadcast
	timers map[string]*time.Timer // of lives that linger

	lingering sync.WaitGroup // one for each timer and Discard, until the media are removed
}

// NewDesk makes a desk; its folder exists afterwards.
func NewDesk(cfg Config) (*Desk, error) {
	if cfg.Recordings == "" || cfg.Lives == nil || cfg.Store == nil {
		return nil, errors.New("onair: Config needs Recordings, Lives and Store")
	}
	if cfg.Linger <= 0 {
		cfg.Linger = 2 * time.Minute
	}
	if cfg.OnWarning == nil {
		cfg.OnWarning = func(string, Warning) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Recordings, 0o700); err != nil {
		return nil, fmt.Errorf("onair: making the folder of recordings: %w", err)
	}
	d := &Desk{cfg: cfg, lives: make(map[string]*Broadcast), timers: make(map[string]*time.Timer)}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d, nil
}

// window is the least that players are promised: a live holds this much in
// memory.
const window = 30 * time.Second

// Sweep deletes the media of lives that a crash left in the store. Call it
// before any live begins, and only if the store is this daemon's alone.
func (d *Desk) Sweep(ctx context.Context) error {
	return d.sweep(ctx, station.LivePrefix)
}

// Discard deletes the media of a live that another process left in the store,
// in the background: without an end in its playlist, players would wait for
// more.
func (d *Desk) Discard(liveID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.lingering.Go(func() {
		ctx, cancel := context.WithTimeout(d.ctx, discardPatience)
		defer cancel()
		if err := d.sweep(ctx, station.LivePrefix+liveID+"/"); err != nil {
			d.cfg.Logger.Warn("media of a live that was cut are left to the daily cleaning", "live_id", liveID, "err", err)
		}
	})
}

const discardPatience = time.Minute

func (d *Desk) sweep(ctx context.Context, prefix string) error {
	for info, err := range d.cfg.Store.List(ctx, prefix) {
		if err == nil {
			err = d.cfg.Store.Delete(ctx, info.Key)
		}
		if err != nil {
			return fmt.Errorf("onair: deleting the media of lives that were cut: %w", err)
		}
	}
	return nil
}

// Open makes room for a live that was admitted. Players that ask for it before
// it is heard are made to wait.
func (d *Desk) Open(live station.Live) (*Broadcast, error) {
	log := d.cfg.Logger.With("live_id", live.ID)
	packaged, err := hls.NewLive(hls.Config{
		Store:         d.cfg.Store,
		SegmentsOnly:  !d.cfg.Playlists,
		Prefix:        station.LivePrefix + live.ID,
		Window:        window,
		NewTranscoder: d.cfg.NewTranscoder,
		Rungs:         d.cfg.Rungs,
		Ladder:        d.cfg.Ladder,
		Logger:        log,
	})
	if err != nil {
		return nil, fmt.Errorf("onair: %w", err)
	}
	b := &Broadcast{Live: live, desk: d, log: log, hls: packaged}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lives[live.ID] = b
	return b, nil
}

// Release lets go of a live that is over, after Linger.
func (d *Desk) Release(b *Broadcast) {
	if !b.wasHeard() {
		d.remove(b)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lingering.Add(1)
	d.timers[b.Live.ID] = time.AfterFunc(d.cfg.Linger, func() {
		defer d.lingering.Done()
		d.remove(b)
	})
}

func (d *Desk) remove(b *Broadcast) {
	d.mu.Lock()
	delete(d.lives, b.Live.ID)
	delete(d.timers, b.Live.ID)
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(d.ctx, discardPatience)
	defer cancel()
	if err := b.hls.Remove(ctx); err != nil {
		level := slog.LevelWarn
		if d.ctx.Err() != nil { // see Close
			level = slog.LevelDebug
		}
		b.log.Log(ctx, level, "media of an ended live are left to the daily cleaning", "err", err)
	}
}

// closePatience is how long a store may take to delete what lingers when the
// daemon stops.
const closePatience = 5 * time.Second

// Close stops what lingers and removes it, unless the store is an origin of its
// own: players that are behind can still hear the end there. No live may be
// running any more.
func (d *Desk) Close() error {
	defer d.stop()
	if d.cfg.Playlists {
		d.stop()
	}
	defer time.AfterFunc(closePatience, d.stop).Stop()
	d.mu.Lock()
	d.closed = true
	var left []*Broadcast
	for id, timer := range d.timers {
		if timer.Stop() {
			left = append(left, d.lives[id])
		}
	}
	d.mu.Unlock()
	for _, b := range left {
		d.lingering.Go(func() {
			defer d.lingering.Done() // of its timer
			d.remove(b)
		})
	}
	d.lingering.Wait()
	return nil
}

// Get finds a live of this process, or one that ended less than Linger ago.
func (d *Desk) Get(liveID string) (*Broadcast, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	b, ok := d.lives[liveID]
	return b, ok
}

// Recording tells whether this process still writes the recording of a live.
func (d *Desk) Recording(liveID string) bool {
	b, ok := d.Get(liveID)
	return ok && b.recording()
}

// ServeHTTP serves /live/{live_id}/… .
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/live/"), "/")
	if !ok {
		noFile.write(w)
		return
	}
	b, ok := d.Get(id)
	if !ok {
		d.absent(w, r, id)
		return
	}
	b.hls.ServeHTTP(w, r)
}
