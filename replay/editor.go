package replay

import "math"

// fadeBlocks is the length of a join: 10 ms in which one side goes as the
// other comes, with equal power, so that the noise of the road does not dip and
// nothing clicks. It is centred on the cut: half of it is sound that the cut
// takes away.
const fadeBlocks = 4

// rise is the gain of the coming side for each frame of a join; the going side
// has it backwards. The squares of the two add up to 1.
var rise = func() (gain [fadeBlocks * blockFrames]float32) {
	for i := range gain {
		gain[i] = float32(math.Sin((float64(i) + 0.5) / float64(len(gain)) * math.Pi / 2))
	}
	return gain
}()

// fade multiplies the nth block of a join by the gain of the coming side, or of
// the going one.
func fade(block []float32, n int, coming bool) {
	for i := range blockFrames {
		g := rise[n*blockFrames+i]
		if !coming {
			g = rise[len(rise)-1-n*blockFrames-i]
		}
		block[2*i] *= g
		block[2*i+1] *= g
	}
}

// A piece is a stretch of the recording that is heard, the joins included.
type piece struct {
	span
	comes, goes bool // it begins and ends with a fade
	last        bool
}

// An editor joins the kept spans of a sound.
type editor struct {
	pieces []piece
	at     int                               // the block that comes next
	tail   [fadeBlocks][blockSamples]float32 // what goes at the next join; silence before the first
	emit   func(block []float32) error
}

// newEditor prepares to join spans of a recording of so many blocks.
func newEditor(kept []span, blocks int, emit func([]float32) error) *editor {
	e := &editor{emit: emit}
	for i, s := range kept {
		p := piece{span: s, comes: s.begin > 0, goes: s.end < blocks, last: i == len(kept)-1}
		if i > 0 {
			p.begin -= fadeBlocks / 2
		}
		if !p.last {
			p.end += fadeBlocks / 2
		}
		e.pieces = append(e.pieces, p)
	}
	return e
}

// write takes the next block of the recording and may change it.
func (e *editor) write(block []float32) error {
	at := e.at
	e.at++
	if len(e.pieces) > 0 && at >= e.pieces[0].end {
		e.pieces = e.pieces[1:]
	}
	if len(e.pieces) == 0 || at < e.pieces[0].begin {
		return nil
	}
	p := e.pieces[0]
	if n := at - p.begin; p.comes && n < fadeBlocks {
		fade(block, n, true)
		for i, going := range e.tail[n] {
			block[i] += going
		}
	}
	if n := at - (p.end - fadeBlocks); p.goes && n >= 0 {
		fade(block, n, false)
		if !p.last {
			copy(e.tail[n][:], block)
			return nil
		}
	}
	return e.emit(block)
}
