package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A ship carries the segments of one rendition to the Store, in order, each
// before the playlist that lists it, and deletes them a window after they have
// left the list. It has one goroutine, from the first segment on.
type ship struct {
	live      *Live
	rendition *rendition
	wake      chan struct{}
	done      chan struct{}
	ctx       context.Context
	cancel    context.CancelFunc

	mu      sync.Mutex
	queue   []parcel
	waiting int // parcels in the queue that still have their body
	begun   bool
	ended   bool // nothing more will come
	closed  bool // finish what is queued, then stop

	// Of the goroutine alone.
	stored  []segmentInfo // in the Store or given up, oldest first
	missing map[int64]bool
	listed  bool // a playlist is in the Store
	behind  bool // it does not yet list what is stored
}

// parcel is a segment on its way; body is nil when it was given up.
type parcel struct {
	segmentInfo
	body []byte
}

// shipping is what the ships of a live share: the multivariant playlists.
type shipping struct {
	mu     sync.Mutex
	listed map[*rendition]bool
	stored map[string]*resource
}

func newShip(l *Live, r *rendition) *ship {
	ctx, cancel := context.WithCancel(context.Background())
	return &ship{
		live: l, rendition: r, wake: make(chan struct{}, 1), done: make(chan struct{}),
		ctx: ctx, cancel: cancel, missing: map[int64]bool{},
	}
}

func (s *ship) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// send queues a segment, or the end (nil). It never waits: when a whole window
// waits already, the oldest is given up, for no player will ask for it.
func (s *ship) send(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if !s.begun {
		s.begun = true
		go s.run()
	}
	if seg == nil {
		s.ended = true
	} else {
		s.queue = append(s.queue, parcel{seg.segmentInfo, seg.body})
		s.waiting++
		s.shed()
	}
	s.nudge()
}

func (s *ship) shed() {
	window := s.live.shape.window
	for i := 0; s.waiting > window; i++ {
		if s.queue[i].body != nil {
			s.queue[i].body = nil
			s.waiting--
			s.live.report(StoreError{Key: s.key(s.queue[i].name), Dropped: true, Err: errors.New("a whole window waits to be stored")})
		}
	}
	if extra := len(s.queue) - 2*window; extra > 0 {
		s.queue = append([]parcel(nil), s.queue[extra:]...)
	}
}

func (s *ship) started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

func (s *ship) backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

func (s *ship) key(name string) string { return s.live.key(s.rendition.track.Name, name) }

func (s *ship) take() (p parcel, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return parcel{}, false
	}
	p = s.queue[0]
	s.queue = s.queue[1:]
	if p.body != nil {
		s.waiting--
	}
	return p, true
}

// hopeless reports whether so much waits behind a parcel that it is not worth
// another attempt.
func (s *ship) hopeless() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting >= s.live.shape.window
}

// state tells what is left to do once the queue is empty.
func (s *ship) state() (empty, ended, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0, s.ended, s.closed
}

func (s *ship) run() {
	defer close(s.done)
	if h := s.rendition.header; h != nil {
		s.put(s.key(s.rendition.headerName()), h.body, func(int) bool { return false })
	}
	endListed := false
	for s.ctx.Err() == nil {
		if p, ok := s.take(); ok {
			s.carry(p)
			s.list(false)
			s.sweep()
			continue
		}
		s.sweep()
		empty, ended, closed := s.state()
		if !empty {
			continue
		}
		if ended && !endListed {
			endListed = s.list(true)
		}
		if closed && endListed {
			return
		}
		if ended && !endListed {
			s.pause(firstPause)
			continue
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
		}
	}
}

// carry stores one segment, as often as it takes or until it is hopeless.
func (s *ship) carry(p parcel) {
	given := p.body == nil
	if !given && !s.put(s.key(p.name), p.body, func(int) bool { return s.hopeless() }) {
		given = true
	}
	if given {
		s.missing[p.number] = true
	}
	s.stored = append(s.stored, p.segmentInfo)
}

// list stores the playlist of what is stored, then the multivariant playlists.
// It tries a few times only: the next segment brings a newer one.
func (s *ship) list(ended bool) bool {
	if s.live.config.SegmentsOnly {
		return true
	}
	from := len(s.stored)
	for from > 0 && len(s.stored)-from < s.live.shape.window &&
		(from == len(s.stored) || s.stored[from-1].number+1 == s.stored[from].number) {
		from--
	}
	if from == len(s.stored) {
		return true // nothing was ever stored
	}
	body := s.rendition.playlist(s.stored[from:], s.missing, ended)
	few := func(attempt int) bool { return attempt == 3 }
	s.behind = !s.put(s.key(playlistName), body, few)
	if s.behind {
		return false
	}
	s.listed = true
	return s.live.shipping.put(s, few)
}

// sweep deletes the segments that left the list a window ago, and the list
// itself when that was all of it. As long as the list in the Store could not be
// replaced it keeps what that one lists, up to a bound.
func (s *ship) sweep() {
	if s.behind && len(s.stored) < 10*s.live.shape.window {
		return
	}
	oldest := s.live.edge.Load() - 2*int64(s.live.shape.window)
	for len(s.stored) > 0 && s.stored[0].number < oldest {
		old := s.stored[0]
		if !s.missing[old.number] && !s.delete(s.key(old.name)) && len(s.stored) < 10*s.live.shape.window {
			return // with the next segment
		}
		delete(s.missing, old.number)
		s.stored = s.stored[1:]
	}
	if len(s.stored) == 0 && s.listed && s.delete(s.key(playlistName)) {
		s.listed = false
	}
}

func (s *ship) delete(key string) bool {
	ctx, cancel := context.WithTimeout(s.ctx, s.live.config.PutTimeout)
	defer cancel()
	err := s.live.config.Store.Delete(ctx, key)
	if err != nil && s.ctx.Err() == nil {
		s.live.report(StoreError{Key: key, Err: err})
	}
	return err == nil
}

// put stores one object and reports whether it is there. Between attempts it
// waits longer and longer; giveUp, told how many were made, ends that.
func (s *ship) put(key string, body []byte, giveUp func(attempts int) bool) bool {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(s.ctx, s.live.config.PutTimeout)
		err := s.live.config.Store.Put(ctx, key, bytes.NewReader(body))
		cancel()
		if err == nil {
			return true
		}
		if s.ctx.Err() != nil {
			return false
		}
		dropped := giveUp(attempt)
		s.live.report(StoreError{Key: key, Dropped: dropped, Err: err})
		if dropped || !s.pause(pause) {
			return false
		}
		pause = min(2*pause, longPause)
	}
}

// pause reports whether to go on after it.
func (s *ship) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// farewell is how long a ship goes on after its live was closed in vain: players
// that read the Store wait for the end of the playlist.
const farewell = 5 * time.Minute

// close lets the ship finish. Until ctx ends that is waited for; then the ship
// goes on by itself, for farewell or until it is cancelled.
func (s *ship) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed, s.ended = true, true // a rung that nobody listens to ends where it stopped
	begun := s.begun
	s.mu.Unlock()
	if !begun {
		s.cancel()
		return nil
	}
	s.nudge()
	if err := s.wait(ctx); err != nil {
		stop := time.AfterFunc(farewell, s.cancel)
		context.AfterFunc(s.ctx, func() { stop.Stop() })
		return err
	}
	s.cancel()
	return nil
}

// wait waits until nothing more is written.
func (s *ship) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hls: rendition %s is not wholly stored: %w", s.rendition.track.Name, ctx.Err())
	}
}

// put stores the multivariant playlists that changed and whose renditions all
// have a playlist by now, s's being the latest.
func (x *shipping) put(s *ship, giveUp func(int) bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.listed == nil {
		x.listed, x.stored = map[*rendition]bool{}, map[string]*resource{}
	}
	x.listed[s.rendition] = true
	l := s.live
	done := true
	if s.rendition == l.opus {
		done = x.putOne(s, opusIndex, l.opusIndex.Load(), giveUp)
	}
	for _, rung := range l.rungs {
		if !x.listed[rung] {
			return done
		}
	}
	return x.putOne(s, indexName, l.index.Load(), giveUp) && done
}

func (x *shipping) putOne(s *ship, name string, r *resource, giveUp func(int) bool) bool {
	if x.stored[name] == r {
		return true
	}
	if !s.put(s.live.key(name), r.body, giveUp) {
		return false
	}
	x.stored[name] = r
	return true
}
