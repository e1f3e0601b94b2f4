package media

import "sync"

// A queue holds up to limit packets between two goroutines. Unlike a channel of
// that size it costs memory only while something waits in it: a station has
// two for every live, and they are nearly always empty.
type queue struct {
	limit int
	ready chan struct{} // holds a token when pop may have missed something

	mu     sync.Mutex
	ring   []Packet
	first  int
	count  int
	closed bool
}

func newQueue(limit int) *queue { return &queue{limit: limit, ready: make(chan struct{}, 1)} }

// push is false when the queue is full.
func (q *queue) push(p Packet) bool {
	q.mu.Lock()
	if q.count == q.limit {
		q.mu.Unlock()
		return false
	}
	if q.count == len(q.ring) {
		q.grow()
	}
	q.ring[(q.first+q.count)%len(q.ring)] = p
	q.count++
	q.mu.Unlock()
	q.wake()
	return true
}

func (q *queue) grow() {
	ring := make([]Packet, min(max(8, 2*len(q.ring)), q.limit))
	for i := range q.count {
		ring[i] = q.ring[(q.first+i)%len(q.ring)]
	}
	q.ring, q.first = ring, 0
}

// pop waits for a packet; false once the queue is closed and empty.
func (q *queue) pop() (Packet, bool) {
	for {
		q.mu.Lock()
		if q.count > 0 {
			p := q.ring[q.first]
			q.ring[q.first] = Packet{} // its data may go
			q.first = (q.first + 1) % len(q.ring)
			if q.count--; q.count == 0 && len(q.ring) > 64 {
				q.ring, q.first = nil, 0 // the burst is over
			}
			q.mu.Unlock()
			return p, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return Packet{}, false
		}
		<-q.ready
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
