package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	// lookEvery is the time between two looks at the services.
	lookEvery = 5 * time.Second
	// lookPatience is how long one may take to answer.
	lookPatience = 5 * time.Second
	// remindEvery is how often people are told that one is still away.
	remindEvery = 5 * time.Minute
	// doubtEvery bounds how often complaints make the lookout look.
	doubtEvery = time.Second
	// maxHeld is how many complaints wait until it has looked.
	maxHeld = 1000
)

// A lookout is the one voice about the servers that this process works with: it
// says once that one is away and what that means, reminds people of it, and says
// when it is back. What parts complain of for that reason, each for itself and
// again and again, is then a matter for debugging.
type lookout struct {
	log      *slog.Logger
	services []*service
	doubted  time.Time // when a complaint last made it look
	mended   time.Time // when a service was last found to be back

	mu   sync.Mutex
	held chan complaint // nil while nobody looks
}

// A service is a server elsewhere.
type service struct {
	name    string // as people call it
	effect  string // of its being away
	flag    string // that says where it is
	ping    func(context.Context) error
	waiting func() []any // what waits for it, for the log; nil: nobody knows

	since time.Time // when it was first found away; zero while it is there
	told  time.Time // when people were last told so
}

// run looks after the services until ctx ends.
func (l *lookout) run(ctx context.Context) error {
	if len(l.services) == 0 {
		return nil
	}
	held := l.open()
	defer l.close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	l.look(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			l.look(ctx)
		case c := <-held:
			c.settle(l.explains(ctx, c.record.Time))
		}
	}
}

// explains tells whether something of then failed for a service that is away, or
// was; it looks if none is known to be.
func (l *lookout) explains(ctx context.Context, then time.Time) bool {
	if then.Before(l.mended) {
		return true
	}
	if !l.away() && time.Since(l.doubted) >= doubtEvery {
		l.look(ctx)
		l.doubted = time.Now()
	}
	return l.away()
}

// away tells whether a service is known to be away.
func (l *lookout) away() bool {
	return slices.ContainsFunc(l.services, func(s *service) bool { return !s.since.IsZero() })
}

// look asks all services whether they are there, and tells people what changed.
func (l *lookout) look(ctx context.Context) {
	began := time.Now()
	answers := make([]error, len(l.services))
	var asking sync.WaitGroup
	for i, s := range l.services {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lookPatience)
			defer cancel()
			answers[i] = s.ping(ctx)
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return // which is why they failed
	}
	for i, s := range l.services {
		switch err := answers[i]; {
		case err != nil:
			s.fails(l.log, began, err)
		case !s.since.IsZero():
			l.log.Info(s.name+" is back", s.figures("after", time.Since(s.since).Round(time.Second))...)
			s.since, l.mended = time.Time{}, time.Now()
		}
	}
}

// fails says that a service does not answer, the first time and then now and again.
func (s *service) fails(log *slog.Logger, now time.Time, err error) {
	level, state := slog.LevelWarn, " is away: "
	if !errors.Is(err, station.ErrAway) {
		level, state = slog.LevelError, " cannot be used, look at --"+s.flag+" ("+envName(s.flag)+"): "
	}
	switch {
	case s.since.IsZero():
		s.since, s.told = now, now
		log.Log(context.Background(), level, s.name+state+s.effect, "err", err)
	case now.Sub(s.told) >= remindEvery:
		s.told = now
		log.Log(context.Background(), level, s.name+" is still away", s.figures("for", now.Sub(s.since).Round(time.Second), "err", err)...)
	}
}

// figures adds what waits for the service to what is said of it.
func (s *service) figures(args ...any) []any {
	if s.waiting == nil {
		return args
	}
	return append(args, s.waiting()...)
}

// A complaint is something that a part says, for the reason that a service is away.
type complaint struct {
	handler slog.Handler
	record  slog.Record
}

// settle logs a complaint, for who debugs if people know the reason.
func (c complaint) settle(known bool) {
	if known {
		c.record.Level = slog.LevelDebug
	}
	if ctx := context.Background(); c.handler.Enabled(ctx, c.record.Level) {
		_ = c.handler.Handle(ctx, c.record) // there is nobody to tell
	}
}

// open begins to hold complaints.
func (l *lookout) open() <-chan complaint {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = make(chan complaint, maxHeld)
	return l.held
}

// close lets complaints pass again, those first that were held.
func (l *lookout) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held)
	for c := range l.held {
		c.settle(l.away())
	}
	l.held = nil
}

// hold keeps a complaint until it is known whether a service is away. It is false
// when nobody looks, or too many complain.
func (l *lookout) hold(c complaint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.held <- c: // never, while it is nil
		return true
	default:
		return false
	}
}

// logger gives the logger of the parts, whose complaints the lookout hears first.
func (l *lookout) logger() *slog.Logger {
	return slog.New(lookoutHandler{l.log.Handler(), l})
}

// A lookoutHandler gives a lookout those records to hold that warn of something
// for the reason [station.ErrAway]. Errors pass at once: somebody must act, and a
// full disk of this machine is away, too, while PostgreSQL is.
type lookoutHandler struct {
	slog.Handler
	lookout *lookout
}

// Handle implements [slog.Handler].
func (h lookoutHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn && blamesService(r) && h.lookout.hold(complaint{h.Handler, r.Clone()}) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func blamesService(r slog.Record) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		found = ok && errors.Is(err, station.ErrAway)
		return !found
	})
	return found
}

// WithAttrs implements [slog.Handler].
func (h lookoutHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lookoutHandler{h.Handler.WithAttrs(attrs), h.lookout}
}

// WithGroup implements [slog.Handler].
func (h lookoutHandler) WithGroup(name string) slog.Handler {
	return lookoutHandler{h.Handler.WithGroup(name), h.lookout}
}
