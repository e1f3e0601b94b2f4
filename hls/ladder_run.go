package hls

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/roadwave/roadwave/media"
)

const (
	// preRoll is transcoded and thrown away before the first segment of a run
	// that does not begin with the live, so that decoder and encoder have
	// settled: an Opus decoder needs 80 ms (RFC 7845 §4.6).
	preRoll = media.SampleRate / 5
	// shortHole is the longest hole that cannot be filled with an Opus frame.
	shortHole = 120

	// aacFrame is the samples in an AAC-LC frame (ISO 14496-3 §4.5.1.1).
	aacFrame = 1024
)

// errHole ends a run whose next packet is not there: the live jumped, or the
// ladder was too slow and the packets left the window.
var errHole = errors.New("the packets it needs next are gone")

// transcode makes one run: a fresh transcoder, from somewhere in the past to
// the live edge and on. It returns nil at the end of the live and when nobody
// listens any more. A panic of the transcoder costs this run, nothing else.
func (d *ladder) transcode(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the transcoder panicked: %v\n%s", v, debug.Stack())
		}
	}()
	for !d.live.opus.begun() {
		if d.live.ended.Load() || !d.sleep(ctx) {
			return nil
		}
	}
	t, err := d.live.config.NewTranscoder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	r := d.begin()
	cursor := r.from
	begun := false
	batch := make([]media.Packet, 0, 64)
	for {
		ended := d.live.ended.Load() // before reading: nothing comes after it
		batch = d.live.opus.read(cursor, batch[:0])
		if len(batch) == 0 {
			if ended {
				return r.finish(t)
			}
			r.show()
			if !d.sleep(ctx) {
				return nil
			}
			continue
		}
		if begun && batch[0].PTS-cursor >= shortHole {
			return errHole
		}
		begun = true
		for _, p := range batch {
			if err := t.Transcode(p, r.emit); err != nil {
				return err
			}
			if r.err != nil {
				return r.err
			}
			cursor = p.End()
		}
		if ctx.Err() != nil || d.idle() {
			return nil
		}
	}
}

// sleep waits for packets; it returns false when the ladder should end.
func (d *ladder) sleep(ctx context.Context) bool {
	if d.idle() || ctx.Err() != nil {
		return false
	}
	var idle <-chan time.Time
	if d.live.config.Ladder == OnDemand {
		timer := time.NewTimer(max(d.left(), 20*time.Millisecond)) // less only while a request waits
		defer timer.Stop()
		idle = timer.C
	}
	select {
	case <-d.signal:
	case <-idle:
	case <-ctx.Done():
	}
	return true
}

// A ladderRun is one stretch of the rungs, made by one transcoder.
type ladderRun struct {
	live   *Live
	from   int64   // PTS at or after which the first packet to transcode begins
	wanted []int64 // per rung: frames that begin before it are pre-roll
	until  int64   // frames that begin there or later are past the end of the live
	shown  bool
	err    error // from packaging
}

// begin chooses where a run begins: Backfill before the live edge, but never in
// a segment that a rung already has, and with pre-roll unless it is the very
// start of the live.
func (d *ladder) begin() *ladderRun {
	l := d.live
	length := l.shape.length
	backfill := int64(l.config.Backfill / l.config.SegmentDuration)
	k := l.opus.next() - backfill
	have := int64(math.MaxInt64)
	for _, rung := range l.rungs {
		rung.hold(true)
		have = min(have, rung.next())
	}
	k = max(k, have)
	oldest, origin := l.opus.oldest(), l.origin.Load()
	r := &ladderRun{live: l, until: math.MaxInt64, wanted: make([]int64, len(l.rungs))}
	fromStart := oldest == origin && k*length <= origin
	if fromStart {
		k, r.from = origin/length, origin
	} else {
		for k*length-preRoll < oldest {
			k++
		}
		r.from = d.inPhase(k*length - preRoll)
	}
	d.phase = r.from % aacFrame
	for i, rung := range l.rungs {
		r.wanted[i] = rung.restart(k, fromStart)
	}
	return r
}

// inPhase looks a little further back than latest for a packet that is a whole
// number of frames away from where the run before began. With an encoder that
// puts its frames at a constant distance from the first packet, the frames of
// the two runs then join without a gap or an overlap.
func (d *ladder) inPhase(latest int64) int64 {
	packets := d.live.opus.read(latest-preRoll-aacFrame*15, make([]media.Packet, 0, 256))
	for _, p := range slices.Backward(packets) {
		if p.PTS <= latest && (p.PTS-d.phase)%aacFrame == 0 {
			return p.PTS
		}
	}
	return latest
}

// emit packages one frame of a rung.
func (r *ladderRun) emit(rung int, f media.Frame) {
	if rung < 0 || rung >= len(r.wanted) || len(f.Data) == 0 || f.Duration <= 0 {
		r.err = fmt.Errorf("the transcoder emitted a frame of %d bytes and %d samples for rung %d of %d", len(f.Data), f.Duration, rung, len(r.wanted))
		return
	}
	if f.PTS < r.wanted[rung] || f.PTS >= r.until {
		return
	}
	r.wanted[rung] = f.PTS
	if err := r.live.rungs[rung].write(media.Packet{PTS: f.PTS, Duration: f.Duration, Data: f.Data}); err != nil {
		r.err = err
	}
}

// show lets listeners see the rungs once they have come up to the live edge:
// a player that saw the list while it is made would begin far in the past.
func (r *ladderRun) show() {
	if r.shown {
		return
	}
	r.shown = true
	for _, rung := range r.live.rungs {
		rung.hold(false)
	}
	r.live.changes.announce()
}

// finish takes what the encoders still hold and ends the rungs. Encoders pad
// their last frame; what lies wholly past the live would be a segment that the
// Opus rendition does not have.
func (r *ladderRun) finish(t Transcoder) error {
	r.until = r.live.end.Load()
	if err := errors.Join(t.Flush(r.emit), r.err); err != nil {
		return err
	}
	r.live.endRungs()
	return nil
}

func (l *Live) endRungs() {
	for _, rung := range l.rungs {
		if err := rung.end(); err != nil {
			l.report(SegmentError{err})
		}
	}
	l.changes.announce()
}
