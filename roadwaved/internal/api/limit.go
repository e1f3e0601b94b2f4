package api

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limits bound what comes from one network address (one /64 of IPv6), so that
// a stranger cannot take everything. They are wide: the phones of a whole
// carrier may share an address. Zero means the default, a negative number no
// limit. Behind a proxy that is not among the TrustedProxies everybody has the
// proxy's address.
type Limits struct {
	Joins     int // listeners who join, per minute and at once. Default 600
	Reactions int // likes and reports, per minute and at once. Default 300
	Publishes int // attempts to go live, per minute and at once. Default 30
	Streams   int // event streams open at the same time. Default 200
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Joins, 600}, {&l.Reactions, 300}, {&l.Publishes, 30}, {&l.Streams, 200}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// remembered is for how many addresses a limiter knows what they did; it forgets
// the longest silent first. Some 16 MB at most.
const remembered = 1 << 16

// A limiter bounds how often each address may do one thing. nil does not.
type limiter struct {
	perMinute int
	mu        sync.Mutex // between looking and adding
	known     *lru.Cache[netip.Addr, *rate.Limiter]
}

func newLimiter(perMinute int) (*limiter, error) {
	if perMinute < 0 {
		return nil, nil
	}
	known, err := lru.New[netip.Addr, *rate.Limiter](remembered)
	return &limiter{perMinute: perMinute, known: known}, err
}

// wait counts one more from an address; it is how long to wait where that is
// too many.
func (l *limiter) wait(from netip.Addr) time.Duration {
	if l == nil {
		return 0
	}
	from = household(from)
	l.mu.Lock()
	of, ok := l.known.Get(from)
	if !ok {
		of = rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)
		l.known.Add(from, of)
	}
	l.mu.Unlock()
	r := of.Reserve()
	delay := r.Delay()
	if delay > 0 {
		r.Cancel()
	}
	return delay
}

// admit counts a request; the error is a problem ready to be sent.
func (a *API) admit(l *limiter, r *http.Request) error {
	if delay := l.wait(a.client(r)); delay > 0 {
		p := newProblem(http.StatusTooManyRequests, "too-many-requests", "Trop de demandes depuis votre réseau. Veuillez réessayer dans quelques instants.")
		return p.retryAfter(delay)
	}
	return nil
}

// crowds counts what each address has open. A negative limit does not.
type crowds struct {
	limit int
	mu    sync.Mutex
	open  map[netip.Addr]int
}

func (c *crowds) enter(from netip.Addr) bool {
	if c.limit < 0 {
		return true
	}
	from = household(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[from] >= c.limit {
		return false
	}
	if c.open == nil {
		c.open = make(map[netip.Addr]int)
	}
	c.open[from]++
	return true
}

func (c *crowds) leave(from netip.Addr) {
	if c.limit < 0 {
		return
	}
	from = household(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[from]--; c.open[from] == 0 {
		delete(c.open, from)
	}
}

// seconds is a delay as Retry-After has it, never 0.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}
