package hls

// A grid cuts a timeline into segments of equal length: segment k holds the
// frames that begin in [k*length, (k+1)*length). Every rendition of a live uses
// the same grid, so that segment k is the same stretch of time in all of them.
type grid struct {
	length int64 // samples at 48 kHz
	next   int64 // lowest number the next segment may have
	open   bool  // segment number has frames and is not finished
	number int64
}

// place says where a frame from pts to end belongs: whether the open segment
// must be finished before it (nothing more can come for it), and whether its
// own segment, number, is finished with it. Frames come in order; one that
// begins before the first segment allowed falls into that one.
func (g *grid) place(pts, end int64) (before, after bool) {
	k := g.at(pts)
	if g.open && k > g.number {
		before = true
		g.close()
	}
	if !g.open {
		g.open, g.number = true, max(k, g.next)
	}
	if end >= (g.number+1)*g.length {
		after = true
		g.close()
	}
	return before, after
}

// close finishes the open segment: its number is not used again.
func (g *grid) close() {
	g.open, g.next = false, g.number+1
}

// at is the number of the segment that pts falls in.
func (g *grid) at(pts int64) int64 {
	k := pts / g.length
	if pts%g.length < 0 {
		k--
	}
	return k
}
