package media

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ErrStuck is in the error of [Fan.Close] when a sink did not finish in time.
var ErrStuck = errors.New("media: sink is stuck")

var errFanClosed = errors.New("media: write to a closed fan")

// A Branch is a sink with the name under which a [Fan] reports it.
type Branch struct {
	Name string
	Sink Sink
}

// FanConfig says how much a [Fan] bears of slow sinks.
type FanConfig struct {
	// Queue is how many packets wait for each sink. Default 512, 10 s of
	// 20 ms packets.
	Queue int
	// CloseTimeout is how long Close waits for the sinks to take what is
	// queued and to close. Default 10 s.
	CloseTimeout time.Duration
	// OnFailure is called once for a sink that failed and is left out from
	// then on, in that sink's goroutine. Default: nothing.
	OnFailure func(name string, err error)
	// Logger is told when a sink stalls, recovers or fails. Default: nobody.
	Logger *slog.Logger
}

// A Fan is a sink that feeds several sinks, each through its own bounded queue
// and its own goroutine, so that none of them waits for another:
//
//   - A sink that is slow for a while finds its packets queued.
//   - One that is slower than its queue is long misses packets; it gets them as
//     packets marked Lost once it moves again, so its timeline stays whole.
//   - One that fails is closed and left out; the others go on.
//
// WritePacket never blocks. It returns an error only when no sink is left.
type Fan struct {
	branches []*branch
	timeout  time.Duration
	closed   atomic.Bool
	closing  sync.Once
	err      error
}

// A branch is one sink of a fan. The goroutine of run owns the sink.
type branch struct {
	name    string
	sink    Sink
	log     *slog.Logger
	failure func(name string, err error)
	queue   *queue
	done    chan struct{}
	failed  atomic.Bool
	dropped atomic.Int64
	stalled bool  // owned by the writer
	next    int64 // owned by run: PTS that the sink expects
	started bool
	err     error // set before done is closed
}

// Fanout feeds sinks with the default limits; see [NewFan].
func Fanout(sinks ...Sink) *Fan {
	branches := make([]Branch, len(sinks))
	for i, s := range sinks {
		branches[i] = Branch{Name: fmt.Sprintf("%T", s), Sink: s}
	}
	return NewFan(FanConfig{}, branches...)
}

// NewFan feeds the given sinks from now on; it owns them and closes them with
// itself. Like any [Sink] it takes one live.
func NewFan(cfg FanConfig, branches ...Branch) *Fan {
	if cfg.Queue <= 0 {
		cfg.Queue = 512
	}
	if cfg.CloseTimeout <= 0 {
		cfg.CloseTimeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnFailure == nil {
		cfg.OnFailure = func(string, error) {}
	}
	f := &Fan{timeout: cfg.CloseTimeout}
	for _, b := range branches {
		br := &branch{
			name: b.Name, sink: b.Sink, log: cfg.Logger.With("sink", b.Name), failure: cfg.OnFailure,
			queue: newQueue(cfg.Queue), done: make(chan struct{}),
		}
		f.branches = append(f.branches, br)
		go br.run()
	}
	return f
}

// WritePacket queues p for every sink. It must not be called concurrently with
// itself or Close.
func (f *Fan) WritePacket(p Packet) error {
	if f.closed.Load() {
		return errFanClosed
	}
	alive := false
	for _, b := range f.branches {
		alive = b.write(p) || alive
	}
	if !alive {
		return errors.New("media: every sink has failed")
	}
	return nil
}

// Close lets the sinks take what is queued, closes them and joins their
// errors. A sink that does not finish within CloseTimeout is left behind and
// reported as [ErrStuck]; its goroutine ends when the sink lets go of it.
func (f *Fan) Close() error {
	f.closing.Do(func() {
		f.closed.Store(true)
		for _, b := range f.branches {
			b.queue.close()
		}
		timeout := time.NewTimer(f.timeout)
		defer timeout.Stop()
		var errs []error
		for _, b := range f.branches {
			errs = append(errs, b.wait(timeout))
		}
		f.err = errors.Join(errs...)
	})
	return f.err
}

// Dropped tells how many packets the sink of that name missed because its
// queue was full.
func (f *Fan) Dropped(name string) (n int64) {
	for _, b := range f.branches {
		if b.name == name {
			n += b.dropped.Load()
		}
	}
	return n
}

// write queues p, or drops it when the sink is too far behind; false once the
// sink has failed.
func (b *branch) write(p Packet) bool {
	if b.failed.Load() {
		return false
	}
	if b.queue.push(p) {
		if b.stalled {
			b.stalled = false
			b.log.Warn("sink moves again", "packets_missed", b.dropped.Load())
		}
		return true
	}
	b.dropped.Add(1)
	if !b.stalled {
		b.stalled = true
		b.log.Error("sink is stalled, it now misses packets", "queue", b.queue.limit)
	}
	return true
}

func (b *branch) run() {
	defer close(b.done)
	for {
		p, ok := b.queue.pop()
		if !ok {
			break
		}
		if b.failed.Load() {
			continue // the writer may have queued some before it knew
		}
		if err := b.deliver(p); err != nil {
			b.failed.Store(true)
			b.err = fmt.Errorf("%s: %w", b.name, errors.Join(err, b.sink.Close()))
			b.log.Error("sink failed and is left out", "err", err)
			b.failure(b.name, err)
		}
	}
	if !b.failed.Load() {
		if err := b.sink.Close(); err != nil {
			b.err = fmt.Errorf("%s: %w", b.name, err)
		}
	}
}

// deliver writes p after what was dropped before it, as losses.
func (b *branch) deliver(p Packet) error {
	if b.started {
		for gap := range Gap(p.TOC(), b.next, p.PTS-b.next) {
			if err := b.sink.WritePacket(gap); err != nil {
				return err
			}
		}
	}
	b.started, b.next = true, p.End()
	return b.sink.WritePacket(p)
}

func (b *branch) wait(timeout *time.Timer) error {
	select {
	case <-b.done:
		return b.err
	case <-timeout.C:
		timeout.Reset(0) // the others had the same time
		select {
		case <-b.done:
			return b.err
		default:
			b.log.Error("sink is stuck and was left behind", "queued", b.queue.len())
			return fmt.Errorf("%s: %w", b.name, ErrStuck)
		}
	}
}
