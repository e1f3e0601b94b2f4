package api

import (
	"cmp"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limits bound what comes from one network address, so that a stranger cannot
// take everything. They are wide, and are those of an IPv4 address: the phones of
// a whole carrier may share one. Of IPv6 a /64, which is one phone or one house,
// has as much, but a tenth of Beats and Streams. Whoever has more than one /64
// has little more: those of a /56 together have twice what one has, those of a
// /48 eight times.
//
// Zero means the default, a negative number no limit. Behind a proxy that is not
// among the TrustedProxies everybody has the proxy's address.
type Limits struct {
	Joins     int // listeners who join, per minute and at once. Default 600
	Reactions int // likes and reports, per minute and at once. Default 300
	Publishes int // attempts to go live, per minute and at once. Default 30
	Beats     int // heartbeats and goodbyes, per minute and at once. Default 100000
	// Streams are the event streams of listeners open at the same time; those of
	// creators are a tenth. Default 2000
	Streams int
}

func (l Limits) withDefaults() Limits {
	l.Joins = cmp.Or(l.Joins, 600)
	l.Reactions = cmp.Or(l.Reactions, 300)
	l.Publishes = cmp.Or(l.Publishes, 30)
	l.Beats = cmp.Or(l.Beats, 100_000)
	l.Streams = cmp.Or(l.Streams, 2000)
	return l
}

// A bound is a limit as the families of addresses share it.
type bound struct {
	ipv4 int // of one address; below zero there is none
	ipv6 int // of one /64
}

func (b bound) tenth() bound { return bound{tenth(b.ipv4), tenth(b.ipv6)} }

func tenth(limit int) int {
	if limit < 0 {
		return limit
	}
	return max(1, limit/10)
}

// An allowance is what a network may have.
type allowance struct {
	netip.Prefix
	limit int
}

// allowances are those of the networks that an address is in, the widest first.
func (b bound) allowances(addr netip.Addr) []allowance {
	if !addr.Is6() {
		return []allowance{{netip.PrefixFrom(addr, addr.BitLen()), b.ipv4}}
	}
	return []allowance{{around(addr, 48), 8 * b.ipv6}, {around(addr, 56), 2 * b.ipv6}, {around(addr, 64), b.ipv6}}
}

func around(addr netip.Addr, bits int) netip.Prefix { return netip.PrefixFrom(addr, bits).Masked() }

// limiters are those of all that can be done too often.
type limiters struct {
	joins, reactions, publishes, beats *limiter
}

func newLimiters(l Limits) (all limiters, err error) {
	for _, one := range []struct {
		limiter **limiter
		bound   bound
	}{
		{&all.joins, bound{l.Joins, l.Joins}},
		{&all.reactions, bound{l.Reactions, l.Reactions}},
		{&all.publishes, bound{l.Publishes, l.Publishes}},
		{&all.beats, bound{l.Beats, tenth(l.Beats)}},
	} {
		if *one.limiter, err = newLimiter(one.bound); err != nil {
			return limiters{}, err
		}
	}
	return all, nil
}

// remembered is for how many networks a limiter knows what they did; it forgets
// the longest silent first. Some 16 MB at most.
const remembered = 1 << 16

// A limiter bounds how often each network may do one thing. nil does not.
type limiter struct {
	perMinute bound
	mu        sync.Mutex // from looking to counting
	known     *lru.Cache[netip.Prefix, *rate.Limiter]
}

func newLimiter(perMinute bound) (*limiter, error) {
	if perMinute.ipv4 < 0 {
		return nil, nil
	}
	known, err := lru.New[netip.Prefix, *rate.Limiter](remembered)
	return &limiter{perMinute: perMinute, known: known}, err
}

// wait counts one more from an address; it is how long to wait where that is
// too many, and then nothing is counted. A network that had its share adds no
// smaller ones to what is remembered.
func (l *limiter) wait(from netip.Addr) time.Duration {
	if l == nil {
		return 0
	}
	now := time.Now()
	var room [3]*rate.Limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.perMinute.allowances(from) {
		of, ok := l.known.Get(a.Prefix)
		if !ok {
			of = rate.NewLimiter(rate.Limit(float64(a.limit)/60), a.limit)
			l.known.Add(a.Prefix, of)
		}
		if missing := 1 - of.TokensAt(now); missing > 0 {
			return max(1, time.Duration(missing/float64(of.Limit())*float64(time.Second)))
		}
		room[i] = of
	}
	for _, of := range room {
		if of != nil {
			of.AllowN(now, 1)
		}
	}
	return 0
}

// admit counts a request; the error is a problem ready to be sent.
func (a *API) admit(l *limiter, r *http.Request) error {
	if delay := l.wait(a.client(r)); delay > 0 {
		p := newProblem(http.StatusTooManyRequests, "too-many-requests", "Trop de demandes depuis votre réseau. Veuillez réessayer dans quelques instants.")
		return p.retryAfter(delay)
	}
	return nil
}

// crowds counts what each network has open.
type crowds struct {
	limit bound
	mu    sync.Mutex
	open  map[netip.Prefix]int
}

func (c *crowds) enter(from netip.Addr) bool {
	if c.limit.ipv4 < 0 {
		return true
	}
	networks := c.limit.allowances(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range networks {
		if c.open[a.Prefix] >= a.limit {
			return false
		}
	}
	if c.open == nil {
		c.open = make(map[netip.Prefix]int)
	}
	for _, a := range networks {
		c.open[a.Prefix]++
	}
	return true
}

func (c *crowds) leave(from netip.Addr) {
	if c.limit.ipv4 < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.limit.allowances(from) {
		if c.open[a.Prefix]--; c.open[a.Prefix] == 0 {
			delete(c.open, a.Prefix)
		}
	}
}

// seconds is a delay as Retry-After has it, never 0.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}
