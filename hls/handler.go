package hls

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxWait is how long a request waits for a playlist that is being made.
	maxWait = 5 * time.Second
	// maxWaiting bounds how many requests of one live wait.
	maxWaiting = 2000
	// freshness is how many segments a rung may be behind the Opus rendition
	// and still count as up to date.
	freshness = 3
)

// ServeHTTP answers requests for the live's addresses, by the last elements of
// the path: mount it anywhere, with or without [net/http.StripPrefix].
//
// A playlist that is about to exist (the live has just begun, the ladder is
// starting) is waited for, 5 s at the most; then the answer is 503 with
// Retry-After.
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if readOnly(w, r) {
		return
	}
	if l.removed.Load() {
		refuse(w, http.StatusGone, cacheGone, "the live has ended")
		return
	}
	dir, name := lastElements(r.URL.Path)
	switch name {
	case indexName:
		l.serveIndex(w, r, &l.index, l.first)
	case opusIndex:
		l.serveIndex(w, r, &l.opusIndex, l.opus)
	default:
		if rendition := l.named(dir); rendition != nil {
			l.serveRendition(w, r, rendition, name)
			return
		}
		refuse(w, http.StatusNotFound, cacheMissing, "no such address in a live")
	}
}

// lastElements splits off the last two elements of a path.
func lastElements(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	dir = path[:i]
	return dir[strings.LastIndexByte(dir, '/')+1:], path[i+1:]
}

func (l *Live) named(name string) *rendition {
	if name == opusName {
		return l.opus
	}
	for _, r := range l.rungs {
		if r.track.Name == name {
			return r
		}
	}
	return nil
}

func (l *Live) serveIndex(w http.ResponseWriter, r *http.Request, index *atomic.Pointer[resource], first *rendition) {
	if l.playlist(r.Context(), first) != nil {
		index.Load().serve(w, r)
		return
	}
	l.unavailable(w)
}

func (l *Live) serveRendition(w http.ResponseWriter, r *http.Request, rendition *rendition, name string) {
	if name == playlistName {
		if playlist := l.playlist(r.Context(), rendition); playlist != nil {
			playlist.serve(w, r)
		} else {
			l.unavailable(w)
		}
		return
	}
	if l.ladder != nil && rendition != l.opus {
		l.ladder.touch()
	}
	if h := rendition.header; h != nil && name == rendition.headerName() {
		h.serve(w, r)
		return
	}
	number, ok := rendition.numberIn(name)
	if !ok {
		refuse(w, http.StatusNotFound, cacheMissing, "no such segment")
		return
	}
	if s := rendition.snap.Load().find(number); s != nil {
		s.serve(w, r)
		return
	}
	if age := l.edge.Load() - number; l.config.Store != nil && age >= 0 && age <= 2*int64(l.shape.window) {
		// It may have left memory, not yet the Store.
		serveObject(w, r, l.config.Store, l.key(rendition.track.Name, name))
		return
	}
	refuse(w, http.StatusNotFound, cacheMissing, "this segment is not there, or not yet")
}

// numberIn reads the segment number out of a name.
func (r *rendition) numberIn(name string) (int64, bool) {
	rest, ok := strings.CutPrefix(name, r.shape.id)
	if !ok || len(rest) < 2 || rest[0] != '-' {
		return 0, false
	}
	digits, ok := strings.CutSuffix(rest[1:], r.box.extension())
	if !ok || digits == "" || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && digits != "0" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// playlist is the rendition's, nil if there is none. It waits for one that is
// about to come.
func (l *Live) playlist(ctx context.Context, r *rendition) *resource {
	if r != l.opus {
		l.ladder.touch()
	}
	s := r.snap.Load()
	if !l.fresh(r, s) {
		l.await(ctx, r)
		s = r.snap.Load()
	}
	if l.removed.Load() {
		return nil
	}
	return s.playlist
}

// fresh reports whether s is good to show. A rung that stopped long ago is
// not: a player would begin at its old edge and find nothing to go on with.
func (l *Live) fresh(r *rendition, s *snapshot) bool {
	return s.playlist != nil && (r == l.opus || s.ended || !l.ended.Load() && s.last()+freshness >= l.edge.Load())
}

func (l *Live) await(ctx context.Context, r *rendition) {
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > maxWaiting {
		return
	}
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	for {
		change := l.changes.wait() // before looking: what comes after is not missed
		if l.fresh(r, r.snap.Load()) || l.removed.Load() || l.ended.Load() && !l.opus.begun() {
			return
		}
		select {
		case <-change:
		case <-timeout.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (l *Live) unavailable(w http.ResponseWriter) {
	switch {
	case l.removed.Load():
		refuse(w, http.StatusGone, cacheGone, "the live has ended")
	case l.ended.Load() && !l.opus.begun():
		refuse(w, http.StatusNotFound, cacheMissing, "the live ended before it began")
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "no-store", "the live has nothing to play yet, ask again")
	}
}
