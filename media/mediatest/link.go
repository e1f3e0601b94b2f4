package mediatest

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A LinkConfig says what a [Link] does to the datagrams of both directions.
// The zero value passes everything on unharmed.
type LinkConfig struct {
	// Seed makes the same decisions for the same datagrams.
	Seed uint64
	// Loss, Reorder and Duplicate are the shares of datagrams, 0 to 1, that
	// are dropped, that arrive ReorderBy later than they should (so younger
	// ones overtake them) and that arrive twice.
	Loss, Reorder, Duplicate float64
	// ReorderBy is how long a reordered datagram is held. Default 30 ms.
	ReorderBy time.Duration
	// Delay is added to every datagram.
	Delay time.Duration
	// Jitter is the largest delay that is added at random. It does not
	// reorder: a datagram waits for the one before, as in a queue.
	Jitter time.Duration
	// Outages are times in which nothing passes, counted from the first media
	// datagram.
	Outages []Outage
	// SpareSetup lets STUN and DTLS datagrams (RFC 7983) pass outside outages,
	// so that setting a connection up does not depend on luck.
	SpareSetup bool
}

// An Outage is a time in which nothing passes.
type Outage struct{ From, To time.Duration }

// LinkStats count what a [Link] did, both directions together.
type LinkStats struct {
	Passed, Lost, Reordered, Duplicated int64 // datagrams
	Cut                                 int64 // lost in an outage
}

// A Link is a bad network on loopback: a UDP relay between clients and one
// server. It knows nothing of what it carries. [Link.Offer] and [Link.Answer]
// put it between two WebRTC peers.
type Link struct {
	cfg    LinkConfig
	target netip.AddrPort
	front  *net.UDPConn // what clients send to
	wg     sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	stats  LinkStats
	begun  time.Time                       // first media datagram
	backs  map[netip.AddrPort]*net.UDPConn // per client: what the server sees
	queue  [2]time.Time                    // when the last datagram of each direction leaves
	flying flight
	drawn  int64
	closed bool
	wake   chan struct{}
}

const (
	linkClients = 256  // addresses that are relayed
	linkFlying  = 8192 // datagrams that are delayed at once
)

// A delayed datagram is on its way.
type delayed struct {
	leave    time.Time
	number   int64 // of those that leave together, the first drawn goes first
	datagram []byte
	send     func([]byte)
}

// A flight is a heap of delayed datagrams, the next to land first.
type flight []delayed

func (f flight) Len() int { return len(f) }
func (f flight) Less(i, k int) bool {
	if !f[i].leave.Equal(f[k].leave) {
		return f[i].leave.Before(f[k].leave)
	}
	return f[i].number < f[k].number
}
func (f flight) Swap(i, k int) { f[i], f[k] = f[k], f[i] }
func (f *flight) Push(d any)   { *f = append(*f, d.(delayed)) }
func (f *flight) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// NewLink starts a relay to a server's UDP address.
func NewLink(target string, cfg LinkConfig) (*Link, error) {
	address, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return nil, err
	}
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	cfg.ReorderBy = cmp.Or(cfg.ReorderBy, 30*time.Millisecond)
	at := address.AddrPort()
	l := &Link{
		cfg: cfg, target: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), front: front,
		random: rand.New(rand.NewPCG(cfg.Seed, 0)), backs: map[netip.AddrPort]*net.UDPConn{}, wake: make(chan struct{}, 1),
	}
	l.wg.Go(l.forward)
	l.wg.Go(l.deliver)
	return l, nil
}

// Addr is where clients send to.
func (l *Link) Addr() *net.UDPAddr { return l.front.LocalAddr().(*net.UDPAddr) }

// Stats counts what happened so far.
func (l *Link) Stats() LinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Close stops the relay and drops what is on its way.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	for _, back := range l.backs {
		_ = back.Close()
	}
	l.mu.Unlock()
	l.hurry()
	err := l.front.Close()
	l.wg.Wait()
	return err
}

const (
	up = iota
	down
)

// forward takes what clients send.
func (l *Link) forward() {
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := l.front.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if back := l.back(from); back != nil {
			l.carry(up, buffer[:n], func(b []byte) { _, _ = back.Write(b) })
		}
	}
}

// back is the socket that stands for a client towards the server.
func (l *Link) back(client netip.AddrPort) *net.UDPConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if back, ok := l.backs[client]; ok || l.closed || len(l.backs) >= linkClients {
		return back
	}
	back, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(l.target))
	if err != nil {
		return nil
	}
	l.backs[client] = back
	l.wg.Go(func() { l.backward(back, client) })
	return back
}

// backward takes what the server sends to one client.
func (l *Link) backward(back *net.UDPConn, client netip.AddrPort) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := back.Read(buffer)
		if err != nil {
			l.mu.Lock()
			closed := l.closed
			l.mu.Unlock()
			if closed {
				return
			}
			time.Sleep(10 * time.Millisecond) // the server's port is closed: ICMP says so
			continue
		}
		l.carry(down, buffer[:n], func(b []byte) { _, _ = l.front.WriteToUDPAddrPort(b, client) })
	}
}

// carry decides the fate of a datagram. It always draws the same number of
// random values, so that one decision does not shift the next ones.
func (l *Link) carry(direction int, datagram []byte, send func([]byte)) {
	now := time.Now()
	l.mu.Lock()
	loss, reorder, duplicate, jitter := l.random.Float64(), l.random.Float64(), l.random.Float64(), l.random.Float64()
	setup := isSetup(datagram)
	if !setup && l.begun.IsZero() {
		l.begun = now
	}
	spared := setup && l.cfg.SpareSetup
	copies := 1
	switch {
	case l.cut(now):
		l.stats.Cut++
		copies = 0
	case !spared && loss < l.cfg.Loss:
		l.stats.Lost++
		copies = 0
	case !spared && duplicate < l.cfg.Duplicate:
		l.stats.Duplicated++
		copies = 2
	}
	leave := now.Add(l.cfg.Delay + time.Duration(jitter*float64(l.cfg.Jitter)))
	if !spared && reorder < l.cfg.Reorder {
		l.stats.Reordered++
		leave = leave.Add(l.cfg.ReorderBy)
	} else {
		if leave.Before(l.queue[direction]) {
			leave = l.queue[direction]
		}
		l.queue[direction] = leave
	}
	late := leave.After(now)
	if late && len(l.flying)+copies > linkFlying {
		copies = 0
	}
	l.stats.Passed += int64(copies)
	if late && copies > 0 {
		datagram = slices.Clone(datagram)
		for range copies {
			l.drawn++
			heap.Push(&l.flying, delayed{leave, l.drawn, datagram, send})
		}
	}
	l.mu.Unlock()

	if late {
		l.hurry()
		return
	}
	for range copies {
		send(datagram)
	}
}

// hurry makes deliver look at what is flying.
func (l *Link) hurry() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// deliver lets delayed datagrams land, in order however late it gets to run.
func (l *Link) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return
		}
		now, next := time.Now(), time.Hour
		var landing []delayed
		for len(l.flying) > 0 {
			if next = l.flying[0].leave.Sub(now); next > 0 {
				break
			}
			landing = append(landing, heap.Pop(&l.flying).(delayed))
			next = time.Hour
		}
		l.mu.Unlock()
		for _, d := range landing {
			d.send(d.datagram)
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-l.wake:
		}
	}
}

// cut tells whether there is an outage; the caller holds mu.
func (l *Link) cut(now time.Time) bool {
	if l.begun.IsZero() {
		return false
	}
	since := now.Sub(l.begun)
	return slices.ContainsFunc(l.cfg.Outages, func(o Outage) bool { return since >= o.From && since < o.To })
}

// isSetup tells STUN, DTLS and the like from RTP and RTCP by the first byte
// (RFC 7983 §7).
func isSetup(datagram []byte) bool {
	return len(datagram) == 0 || datagram[0] < 128 || datagram[0] > 191
}
