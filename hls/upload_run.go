package hls

import (
	"bytes"
	"context"
	"time"
)

// run stores what is queued, and the end when it has come, until both are there
// and the live is closed.
func (u *uploader) run() {
	defer close(u.done)
	if h := u.rendition.header; h != nil {
		u.put(u.key(u.rendition.headerName()), h.body, func(int) bool { return false })
	}
	endListed := false
	for u.ctx.Err() == nil {
		if next, ok := u.take(); ok {
			u.carry(next)
			u.list(false)
			u.sweep()
			continue
		}
		u.sweep()
		empty, ended, closed := u.state()
		if !empty {
			continue
		}
		if ended && !endListed {
			endListed = u.list(true)
		}
		if closed && endListed {
			return
		}
		if ended && !endListed {
			u.pause(firstPause)
			continue
		}
		select {
		case <-u.wake:
		case <-u.ctx.Done():
		}
	}
}

// carry stores one segment, as often as it takes or until it is hopeless.
func (u *uploader) carry(next upload) {
	given := next.body == nil
	if !given && !u.put(u.key(next.name), next.body, func(int) bool { return u.hopeless() }) {
		given = true
	}
	if given {
		u.missing[next.number] = true
	}
	u.stored = append(u.stored, next.segmentInfo)
}

// list stores the playlist of what is stored, then the multivariant playlists.
// It tries a few times only: the next segment brings a newer one.
func (u *uploader) list(ended bool) bool {
	if u.live.config.SegmentsOnly {
		return true
	}
	from := len(u.stored)
	for from > 0 && len(u.stored)-from < u.live.shape.window &&
		(from == len(u.stored) || u.stored[from-1].number+1 == u.stored[from].number) {
		from--
	}
	if from == len(u.stored) {
		return true // nothing was ever stored
	}
	body := u.rendition.playlist(u.stored[from:], u.missing, ended)
	few := func(attempt int) bool { return attempt == 3 }
	u.behind = !u.put(u.key(playlistName), body, few)
	if u.behind {
		return false
	}
	u.listed = true
	return u.live.indexUploads.put(u, few)
}

// sweep deletes the segments that left the list a window ago, and the list
// itself when that was all of it. As long as the list in the Store could not be
// replaced it keeps what that one lists, up to a bound.
func (u *uploader) sweep() {
	if u.behind && len(u.stored) < 10*u.live.shape.window {
		return
	}
	oldest := u.live.edge.Load() - 2*int64(u.live.shape.window)
	for len(u.stored) > 0 && u.stored[0].number < oldest {
		old := u.stored[0]
		if !u.missing[old.number] && !u.delete(u.key(old.name)) && len(u.stored) < 10*u.live.shape.window {
			return // with the next segment
		}
		delete(u.missing, old.number)
		u.stored = u.stored[1:]
	}
	if len(u.stored) == 0 && u.listed && u.delete(u.key(playlistName)) {
		u.listed = false
	}
}

func (u *uploader) delete(key string) bool {
	ctx, cancel := context.WithTimeout(u.ctx, u.live.config.PutTimeout)
	defer cancel()
	err := u.live.config.Store.Delete(ctx, key)
	if err != nil && u.ctx.Err() == nil {
		u.live.report(StoreError{Key: key, Err: err})
	}
	return err == nil
}

// put stores one object and reports whether it is there. Between attempts it
// waits longer and longer; giveUp, told how many were made, ends that.
func (u *uploader) put(key string, body []byte, giveUp func(attempts int) bool) bool {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(u.ctx, u.live.config.PutTimeout)
		err := u.live.config.Store.Put(ctx, key, bytes.NewReader(body))
		cancel()
		if err == nil {
			return true
		}
		if u.ctx.Err() != nil {
			return false
		}
		dropped := giveUp(attempt)
		u.live.report(StoreError{Key: key, Dropped: dropped, Err: err})
		if dropped || !u.pause(pause) {
			return false
		}
		pause = min(2*pause, longPause)
	}
}

// pause reports whether to go on after it.
func (u *uploader) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-u.ctx.Done():
		return false
	}
}
