package onair

import (
	"cmp"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Recording is where the raw Opus of a live is kept.
func Recording(folder, liveID string) string {
	return filepath.Join(folder, station.RawFile(liveID))
}

// A Broadcast is one live of this process.
type Broadcast struct {
	Live station.Live

	desk *Desk
	log  *slog.Logger
	hls  *hls.Live // from the start: players that come early wait there

	mu     sync.Mutex
	heard  bool
	over   bool // Run has returned: nothing writes the recording any more
	stats  station.LiveStats
	reason station.EndReason
}

// SetReason notes why the live ended.
func (b *Broadcast) SetReason(r station.EndReason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reason = r
}

// Reason is why the live ended. As long as nothing is noted it is
// [station.EndVanished]: the creator was admitted and never heard.
func (b *Broadcast) Reason() station.EndReason {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cmp.Or(b.reason, station.EndVanished)
}

// Run records and packages what src gives until it ends. A live without a
// recording would have no replay, so that failing to create it is an error; a
// recording that fails later does not end the live, the creator is warned.
func (b *Broadcast) Run(src media.Source) error {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.over = true
	}()
	rec, err := opusrec.Create(Recording(b.desk.cfg.Recordings, b.Live.ID), opusrec.Config{
		Tags:   opusrec.Tags{Title: b.Live.Title, Artist: b.Live.CreatorID, Date: b.Live.StartedAt},
		Logger: b.log,
	})
	if err != nil {
		return errors.Join(err, src.Close())
	}
	b.mu.Lock()
	b.heard = true
	b.mu.Unlock()
	fan := media.NewFan(media.FanConfig{OnFailure: b.failed, Logger: b.log},
		media.Branch{Name: branchRecording, Sink: rec},
		media.Branch{Name: branchHLS, Sink: b.hls},
	)
	err = media.Copy(fan, src)
	final := rec.Stats()
	b.mu.Lock()
	b.stats = station.LiveStats{
		Duration: final.Duration.Truncate(time.Microsecond),
		Packets:  final.Packets - final.Lost,
		Lost:     final.Lost,
	}
	b.mu.Unlock()
	return err
}

// The names under which the fan reports the two sinks.
const (
	branchRecording = "recording"
	branchHLS       = "hls"
)

func (b *Broadcast) failed(branch string, err error) {
	warning := WarnHLS
	if branch == branchRecording {
		warning = WarnRecording
	}
	b.Warn(warning)
}

// Warn tells the creator that something is wrong.
func (b *Broadcast) Warn(w Warning) {
	b.log.Warn("creator warned", "code", w.Code)
	b.desk.cfg.OnWarning(b.Live.ID, w)
}

// Stats are the figures of the live, complete once Run has returned.
func (b *Broadcast) Stats() station.LiveStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// wasHeard tells whether there is anything to play.
func (b *Broadcast) wasHeard() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard
}

// recording tells whether the recording may still be written to.
func (b *Broadcast) recording() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard && !b.over
}

// A Warning is told to the creator of a live while it runs.
type Warning struct {
	Code    string // for programs
	Message string // for people
}

// The warnings of this package; the daemon adds those of the network.
var (
	WarnRecording = Warning{"recording_failed", "L'enregistrement s'est interrompu : le replay sera incomplet"}
	WarnHLS       = Warning{"broadcast_failed", "La diffusion s'est interrompue : vos auditeurs ne vous entendent plus"}
)
