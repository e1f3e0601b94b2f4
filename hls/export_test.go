package hls

import "context"

// PauseLadder stops the ladder as if nobody had listened for long.
func (l *Live) PauseLadder() {
	l.ladder.used.Store(0)
	l.ladder.mu.Lock()
	l.ladder.cancel()
	l.ladder.mu.Unlock()
	_ = l.ladder.wait(context.Background())
}
