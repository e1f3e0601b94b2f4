package hls

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// An uploader carries the segments of one rendition to the Store, in order, each
// before the playlist that lists it, and deletes them a window after they have
// left the list. It has one goroutine, from the first segment on.
type uploader struct {
	live      *Live
	rendition *rendition
	wake      chan struct{}
	done      chan struct{}
	ctx       context.Context
	cancel    context.CancelFunc

	mu      sync.Mutex
	queue   []upload
	waiting int // uploads in the queue that still have their body
	begun   bool
	ended   bool // nothing more will come
	closed  bool // finish what is queued, then stop

	// Of the goroutine alone.
	stored  []segmentInfo // in the Store or given up, oldest first
	missing map[int64]bool
	listed  bool // a playlist is in the Store
	behind  bool // it does not yet list what is stored
}

// upload is a segment on its way; body is nil when it was given up.
type upload struct {
	segmentInfo
	body []byte
}

func newUploader(l *Live, r *rendition) *uploader {
	ctx, cancel := context.WithCancel(context.Background())
	return &uploader{
		live: l, rendition: r, wake: make(chan struct{}, 1), done: make(chan struct{}),
		ctx: ctx, cancel: cancel, missing: map[int64]bool{},
	}
}

func (u *uploader) nudge() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// send queues a segment, or the end (nil). It never waits: when a whole window
// waits already, the oldest is given up, for no player will ask for it.
func (u *uploader) send(seg *segment) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return
	}
	if !u.begun {
		u.begun = true
		go u.run()
	}
	if seg == nil {
		u.ended = true
	} else {
		u.queue = append(u.queue, upload{seg.segmentInfo, seg.body})
		u.waiting++
		u.shed()
	}
	u.nudge()
}

func (u *uploader) shed() {
	window := u.live.shape.window
	for i := 0; u.waiting > window; i++ {
		if u.queue[i].body != nil {
			u.queue[i].body = nil
			u.waiting--
			u.live.report(StoreError{Key: u.key(u.queue[i].name), Dropped: true, Err: errors.New("a whole window waits to be stored")})
		}
	}
	if extra := len(u.queue) - 2*window; extra > 0 {
		u.queue = append([]upload(nil), u.queue[extra:]...)
	}
}

func (u *uploader) started() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.begun
}

func (u *uploader) backlog() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.waiting
}

func (u *uploader) key(name string) string { return u.live.key(u.rendition.track.Name, name) }

func (u *uploader) take() (next upload, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.queue) == 0 {
		return upload{}, false
	}
	next = u.queue[0]
	u.queue = u.queue[1:]
	if next.body != nil {
		u.waiting--
	}
	return next, true
}

// hopeless reports whether so much waits behind an upload that it is not worth
// another attempt.
func (u *uploader) hopeless() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.waiting >= u.live.shape.window
}

// state tells what is left to do once the queue is empty.
func (u *uploader) state() (empty, ended, closed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.queue) == 0, u.ended, u.closed
}

// farewell is how long an uploader goes on after its live was closed in vain:
// players that read the Store wait for the end of the playlist.
const farewell = 5 * time.Minute

// close lets the uploader finish. Until ctx ends that is waited for; then it goes
// on by itself, for farewell or until it is cancelled.
func (u *uploader) close(ctx context.Context) error {
	u.mu.Lock()
	u.closed, u.ended = true, true // a rung that nobody listens to ends where it stopped
	begun := u.begun
	u.mu.Unlock()
	if !begun {
		u.cancel()
		return nil
	}
	u.nudge()
	if err := u.wait(ctx); err != nil {
		stop := time.AfterFunc(farewell, u.cancel)
		context.AfterFunc(u.ctx, func() { stop.Stop() })
		return err
	}
	u.cancel()
	return nil
}

// wait waits until nothing more is written.
func (u *uploader) wait(ctx context.Context) error {
	select {
	case <-u.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hls: rendition %s is not wholly stored: %w", u.rendition.track.Name, ctx.Err())
	}
}
