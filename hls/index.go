package hls

import "sync"

// indexes keeps the multivariant playlists of a live.
type indexes struct {
	mu       sync.Mutex
	variants []variant // one per rendition, opus first
	measured []bool
}

// update follows the measured rates of rendition i and reports whether the
// playlists change with it. The average moves with every segment; what players
// and caches hold stays good until it is off by a twentieth.
func (x *indexes) update(i int, v variant) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.variants[i]
	if x.measured[i] && v.peak <= old.peak && v.average*20 <= old.average*21 && v.average*20 >= old.average*19 {
		return false
	}
	x.variants[i], x.measured[i] = v, true
	return true
}

// publishIndexes makes the multivariant playlists. Without a ladder both list
// the Opus rendition; with one they never mix codecs.
func (l *Live) publishIndexes() {
	x := &l.indexes
	x.mu.Lock()
	defer x.mu.Unlock()
	opus := newPlaylist(appendMultivariant(nil, x.variants[:1]), cacheMultivariant)
	l.opusIndex.Store(opus)
	if len(x.variants) > 1 {
		l.index.Store(newPlaylist(appendMultivariant(nil, x.variants[1:]), cacheMultivariant))
	} else {
		l.index.Store(opus)
	}
}
