package station

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// A journal that is full makes who adds events wait that long for room.
	fullPatience = time.Second
	// groupSize is the most that goes into the outbox in one commit.
	groupSize = 2000
	// maxBackOff is the longest time between two attempts at what is away.
	maxBackOff = 30 * time.Second
)

// JournalConfig makes a [Journal].
type JournalConfig struct {
	Outbox Outbox // required
	// Records is where it all goes. Required.
	Records interface {
		Record(ctx context.Context, events []Event, samples []Sample) error
	}
	// Batch is how many are recorded at once, 1 or more. Default 500.
	Batch int
	// Interval is the time between two batches, as long as there are no more
	// than fit into one, 10 ms or more. Default 1 s.
	Interval time.Duration
	// Memory is the most that waits to be written into the outbox, 2 or more.
	// Default 100 000.
	Memory int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger hears of what waits and of what was lost. Default: nothing.
	Logger *slog.Logger
}

func (c *JournalConfig) fill() error {
	if c.Outbox == nil || c.Records == nil {
		return errors.New("station: JournalConfig needs Outbox and Records")
	}
	c.Batch = cmp.Or(c.Batch, 500)
	c.Interval = cmp.Or(c.Interval, time.Second)
	c.Memory = cmp.Or(c.Memory, 100_000)
	if c.Batch < 1 || c.Memory < 2 {
		return fmt.Errorf("station: Batch is %d and Memory is %d, they must be 1 and 2 or more", c.Batch, c.Memory)
	}
	if c.Interval < 10*time.Millisecond {
		return fmt.Errorf("station: Interval is %v, it must be 10 ms or more", c.Interval)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// A Journal takes events and samples to the catalog, in the order in which they
// were added. What was added waits in memory for some milliseconds until it is in the outbox
// (many share one commit), and there for as long as the catalog is away. A crash
// costs what is in memory; see [Journal.Flush]. Its methods may be called at the
// same time.
type Journal struct {
	cfg   JournalConfig
	added chan struct{} // holds one when there may be something to write
	pen   chan struct{} // holds one while somebody writes into the outbox

	mu      sync.Mutex
	events  []Event // not in the outbox
	samples []Sample
	room    chan struct{} // closed when some went into the outbox
	state   Backlog

	ship shipping // of Run alone
}

// A Backlog is what a journal has not brought to the catalog.
type Backlog struct {
	Memory   int       // entries on their way into the outbox
	Outbox   int       // entries in the outbox, when it was last looked at
	Since    time.Time // since when the catalog takes nothing; zero while it does
	Lost     int64     // entries for which there was no room
	SetAside int64     // entries that the catalog refused
}

// NewJournal makes a journal. It starts nothing: call [Journal.Run].
func NewJournal(cfg JournalConfig) (*Journal, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	return &Journal{
		cfg:   cfg,
		added: make(chan struct{}, 1),
		pen:   make(chan struct{}, 1),
		room:  make(chan struct{}),
		ship:  shipping{window: cfg.Batch},
	}, nil
}

// Add takes events and samples. It waits for no disk and no database.
//
// Only when the outbox has taken nothing for so long that memory is full of it,
// events wait for room, for one second, and are then lost; samples are lost when
// memory is half full. Both are counted and logged.
func (j *Journal) Add(events []Event, samples []Sample) {
	var timeout <-chan time.Time
	for {
		room := j.put(&events, &samples)
		if room == nil {
			return
		}
		if timeout == nil {
			t := time.NewTimer(fullPatience)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-room:
		case <-timeout:
			j.lose(len(events), "events")
			return
		}
	}
}

// put takes what there is room for. The channel, if any, tells of more room.
func (j *Journal) put(events *[]Event, samples *[]Sample) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	held := len(j.events) + len(j.samples)
	n := min(len(*samples), max(0, j.cfg.Memory/2-held))
	j.samples = append(j.samples, (*samples)[:n]...)
	if left := len(*samples) - n; left > 0 {
		j.loseLocked(left, "samples")
	}
	held += n
	n = min(len(*events), max(0, j.cfg.Memory-held))
	j.events = append(j.events, (*events)[:n]...)
	*events, *samples = (*events)[n:], nil
	select {
	case j.added <- struct{}{}:
	default:
	}
	if len(*events) == 0 {
		return nil
	}
	return j.room
}

func (j *Journal) lose(n int, what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.loseLocked(n, what)
}

func (j *Journal) loseLocked(n int, what string) {
	j.state.Lost += int64(n)
	j.cfg.Logger.Error("the outbox takes nothing and memory is full: audit entries are lost, look at the disk of this machine",
		"what", what, "lost", n, "lost_so_far", j.state.Lost)
}

// Flush writes what was added before into the outbox. It needs no Run: call it
// last, when nothing is added any more.
func (j *Journal) Flush(ctx context.Context) error {
	select {
	case j.pen <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("station: waiting for the outbox: %w", ctx.Err())
	}
	defer func() { <-j.pen }()
	j.mu.Lock()
	events, samples := j.events, j.samples
	j.mu.Unlock()
	for len(events)+len(samples) > 0 {
		e := min(len(events), groupSize)
		s := min(len(samples), groupSize-e)
		if err := j.cfg.Outbox.Append(ctx, events[:e], samples[:s]); err != nil {
			return fmt.Errorf("station: writing %d audit entries into the outbox: %w", e+s, err)
		}
		events, samples = events[e:], samples[s:]
		j.wrote(e, s)
	}
	return nil
}

func (j *Journal) wrote(events, samples int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events, j.samples = after(j.events, events), after(j.samples, samples)
	j.state.Outbox += events + samples
	close(j.room)
	j.room = make(chan struct{})
}

// after is a list without its first n; an empty one lets go of its memory.
func after[T any](list []T, n int) []T {
	if n == len(list) {
		return nil
	}
	return list[n:]
}

// Backlog tells what is on its way.
func (j *Journal) Backlog() Backlog {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.state
	b.Memory = len(j.events) + len(j.samples)
	return b
}

// Run brings what is added to the outbox and from there to the catalog, until
// ctx ends; then it flushes and returns nil.
func (j *Journal) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { j.write(ctx) })
	wg.Go(func() { j.deliver(ctx) })
	wg.Wait()
	fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), catalogPatience)
	defer cancel()
	if err := j.Flush(fctx); err != nil {
		j.cfg.Logger.Error("audit entries are still in memory", "entries", j.Backlog().Memory, "err", err)
	}
	return nil
}

// write moves from memory into the outbox.
func (j *Journal) write(ctx context.Context) {
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.added:
		}
		err := j.Flush(ctx)
		for ; err != nil && ctx.Err() == nil; err = j.Flush(ctx) {
			failures++
			pause := backOff(100*time.Millisecond, failures)
			j.cfg.Logger.Error("the outbox takes nothing, trying again: look at the disk of this machine",
				"in", pause, "waiting", j.Backlog().Memory, "err", err)
			sleep(ctx, pause)
		}
		failures = 0
	}
}

// backOff is how long to wait after so many failures in a row.
func backOff(first time.Duration, failures int) time.Duration {
	return min(first<<min(failures-1, 20), maxBackOff)
}

// sleep waits. It is false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
