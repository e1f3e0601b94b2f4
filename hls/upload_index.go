package hls

import "sync"

// indexUploads is what the uploaders of a live share: the multivariant playlists.
type indexUploads struct {
	mu     sync.Mutex
	listed map[*rendition]bool
	stored map[string]*resource
}

// put stores the multivariant playlists that changed and whose renditions all
// have a playlist by now, u's being the latest.
func (x *indexUploads) put(u *uploader, giveUp func(int) bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.listed == nil {
		x.listed, x.stored = map[*rendition]bool{}, map[string]*resource{}
	}
	x.listed[u.rendition] = true
	l := u.live
	done := true
	if u.rendition == l.opus {
		done = x.putOne(u, opusIndex, l.opusIndex.Load(), giveUp)
	}
	for _, rung := range l.rungs {
		if !x.listed[rung] {
			return done
		}
	}
	return x.putOne(u, indexName, l.index.Load(), giveUp) && done
}

func (x *indexUploads) putOne(u *uploader, name string, r *resource, giveUp func(int) bool) bool {
	if x.stored[name] == r {
		return true
	}
	if !u.put(u.live.key(name), r.body, giveUp) {
		return false
	}
	x.stored[name] = r
	return true
}
