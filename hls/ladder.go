package hls

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Pauses before the ladder, or a write to the Store, is tried again grow
	// from one to the other.
	firstPause = 250 * time.Millisecond
	longPause  = 10 * time.Second

	// goodRun is how long a run must last for the next pause to be short again.
	goodRun = 30 * time.Second
	// maxLastTries is how often it tries to finish the rungs of a live that has
	// ended; then they end where they are.
	maxLastTries = 3
)

// A ladder makes the rungs while somebody listens. It reads packets from where
// the Opus rendition keeps them anyway, so a start in the past and a slow
// encoder cost no queue.
type ladder struct {
	live   *Live
	signal chan struct{} // a packet came, or the end
	used   atomic.Int64  // last use, Unix nanoseconds

	phase int64 // of the frames, see inPhase; of the goroutine alone

	running atomic.Bool
	mu      sync.Mutex
	done    chan struct{} // closed when the last run has ended
	cancel  context.CancelFunc
	stopped bool // for good
}

func newLadder(l *Live) *ladder {
	done := make(chan struct{})
	close(done)
	return &ladder{live: l, signal: make(chan struct{}, 1), done: done, cancel: func() {}}
}

// notify tells the ladder that there is something to read.
func (d *ladder) notify() {
	if !d.running.Load() {
		return
	}
	select {
	case d.signal <- struct{}{}:
	default:
	}
}

// touch notes that somebody listens and starts the ladder if need be.
func (d *ladder) touch() {
	now := time.Now().UnixNano()
	// Listeners ask many times a second; one note in a while is enough and
	// keeps their cores from sharing a cache line.
	if last := d.used.Load(); now-last > int64(min(time.Second, d.live.config.LadderIdle/4)) {
		d.used.Store(now)
	}
	if !d.running.Load() {
		d.start()
	}
}

// idle reports that nobody listens any more. A request that waits does.
func (d *ladder) idle() bool {
	return d.live.config.Ladder == OnDemand && d.left() <= 0 && d.live.waiting.Load() == 0
}

func (d *ladder) left() time.Duration {
	return time.Until(time.Unix(0, d.used.Load()).Add(d.live.config.LadderIdle))
}

func (d *ladder) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped || d.running.Load() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.done, d.cancel = make(chan struct{}), cancel
	d.running.Store(true)
	go d.run(ctx, d.done)
}

// wait waits until the ladder has finished the rungs of a live that ended.
func (d *ladder) wait(ctx context.Context) error {
	d.mu.Lock()
	done := d.done
	d.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hls: the ladder did not finish in time: %w", ctx.Err())
	}
}

// stop ends the ladder for good.
func (d *ladder) stop(ctx context.Context) error {
	d.mu.Lock()
	d.stopped = true
	d.cancel()
	d.mu.Unlock()
	return d.wait(ctx)
}

// run makes runs until nobody listens, the live has ended, or ctx is done.
func (d *ladder) run(ctx context.Context, done chan struct{}) {
	defer close(done)
	pause, lastTries := firstPause, 0
	for {
		began := time.Now()
		err := d.transcode(ctx)
		if err != nil {
			d.live.report(LadderError{err})
			if d.live.ended.Load() {
				lastTries++
			}
		}
		if lastTries == maxLastTries {
			d.live.endRungs()
		}
		if err == nil || ctx.Err() != nil || d.idle() || lastTries == maxLastTries {
			if d.leave(ctx) {
				return
			}
			continue
		}
		if time.Since(began) > goodRun {
			pause = firstPause
		}
		d.pause(ctx, pause)
		pause = min(2*pause, longPause)
	}
}

// pause waits before the next run: as long as told, but not long once the live
// has ended and somebody waits for the last segments.
func (d *ladder) pause(ctx context.Context, long time.Duration) {
	for waited := time.Duration(0); waited < long && ctx.Err() == nil; waited += firstPause {
		select {
		case <-time.After(firstPause):
		case <-ctx.Done():
		}
		if d.live.ended.Load() {
			return
		}
	}
}

// leave ends the ladder, for good when the rungs have their end, unless
// somebody came to listen at the last moment.
func (d *ladder) leave(ctx context.Context) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.live
	d.stopped = d.stopped || l.ended.Load() && (l.first.snap.Load().ended || !l.opus.begun())
	d.running.Store(false)
	if d.stopped || ctx.Err() != nil || d.idle() {
		d.cancel()
		return true
	}
	d.running.Store(true)
	return false
}
