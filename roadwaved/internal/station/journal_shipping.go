package station

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// A catalog may refuse a batch for a reason of its own that passes: that
	// many times it is asked again before the batch itself is suspected.
	maxRefusals = 3
	// widest is by how much a window grows that is full of refused entries.
	widest = 8
)

// shipping is where the way from the outbox to the catalog stands.
type shipping struct {
	window   int // how many to look at
	refusals int // of what is first in line
}

// deliver moves from the outbox into the catalog.
func (j *Journal) deliver(ctx context.Context) {
	failures, pause := 0, time.Duration(0)
	var since time.Time // what waited since then is not in the catalog yet
	late := 0           // how much of it is
	for sleep(ctx, pause) {
		n, err := j.deliverBatch(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			pause = backOff(j.cfg.Interval, failures)
			b := j.note(ctx, false)
			if since.IsZero() {
				since = b.Since
			}
			j.cfg.Logger.Warn("audit entries wait for the catalog on this machine",
				"in", pause, "waiting", b.Memory+b.Outbox, "since", b.Since, "err", err)
		default:
			failures, pause = 0, j.cfg.Interval
			if n >= j.cfg.Batch {
				pause = 0
			}
			j.note(ctx, true)
			if since.IsZero() {
				continue
			}
			if late += n; pause > 0 {
				j.cfg.Logger.Info("the audit entries that waited are in the catalog", "entries", late, "after", j.cfg.Now().Sub(since))
				since, late = time.Time{}, 0
			}
		}
	}
}

// note keeps what Backlog tells.
func (j *Journal) note(ctx context.Context, delivered bool) Backlog {
	n, err := j.cfg.Outbox.Len(ctx)
	j.mu.Lock()
	if err == nil {
		j.state.Outbox = n
	}
	if delivered {
		j.state.Since = time.Time{}
	} else if j.state.Since.IsZero() {
		j.state.Since = j.cfg.Now()
	}
	j.mu.Unlock()
	return j.Backlog()
}

// deliverBatch moves the oldest and tells how many that were.
func (j *Journal) deliverBatch(ctx context.Context) (int, error) {
	events, samples, through, err := j.cfg.Outbox.Next(ctx, j.ship.window)
	if err != nil {
		return 0, fmt.Errorf("station: reading the outbox: %w", err)
	}
	n := len(events) + len(samples)
	if n == 0 {
		return 0, nil
	}
	if err := j.settle(ctx, newBatch(events, samples)); err != nil {
		return 0, err
	}
	j.ship = shipping{window: j.cfg.Batch}
	if err := j.cfg.Outbox.Drop(ctx, through); err != nil {
		return 0, fmt.Errorf("station: dropping %d recorded entries from the outbox: %w", n, err)
	}
	return n, nil
}

// settle records a batch. What the catalog refuses for good is set aside, so
// that the rest of the line moves on.
//
// A catalog that refuses everything is ill, the entries are not: nothing is set
// aside until it takes one of them, and more are looked at to find that one.
func (j *Journal) settle(ctx context.Context, b batch) error {
	err := j.record(ctx, b)
	if err == nil || later(err) {
		return err
	}
	if j.ship.refusals++; j.ship.refusals < maxRefusals {
		return err
	}
	refused, err := j.bisect(ctx, b, err)
	if err != nil {
		return err
	}
	if len(refused) == b.len() {
		j.ship.window = min(2*j.ship.window, widest*j.cfg.Batch)
		return fmt.Errorf("station: the catalog refuses each of %d entries: %w", b.len(), refused[0].err)
	}
	j.setAside(refused)
	return nil
}

// A refusal is an entry that the catalog does not take.
type refusal struct {
	batch // of one
	err   error
}

// bisect records what can be recorded of a batch that was refused.
func (j *Journal) bisect(ctx context.Context, b batch, err error) ([]refusal, error) {
	if b.len() == 1 {
		return []refusal{{b, err}}, nil
	}
	var refused []refusal
	for _, half := range b.halves() {
		err := j.record(ctx, half)
		if err == nil {
			continue
		}
		if later(err) {
			return nil, err
		}
		r, err := j.bisect(ctx, half, err)
		if err != nil {
			return nil, err
		}
		refused = append(refused, r...)
	}
	return refused, nil
}

func (j *Journal) record(ctx context.Context, b batch) error {
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	if err := j.cfg.Records.Record(ctx, b.events, b.samples); err != nil {
		return fmt.Errorf("station: recording %d audit entries: %w", b.len(), err)
	}
	return nil
}

// later tells the errors that say nothing about what was sent.
func later(err error) bool {
	return errors.Is(err, ErrAway) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func (j *Journal) setAside(refused []refusal) {
	j.mu.Lock()
	j.state.SetAside += int64(len(refused))
	j.mu.Unlock()
	for _, r := range refused {
		for _, e := range r.events {
			j.cfg.Logger.Error("the catalog refuses an event, it is left out of the audit log",
				"event_id", e.ID, "kind", e.Kind, "at", e.At, "live_id", e.LiveID, "err", r.err)
		}
		for _, s := range r.samples {
			j.cfg.Logger.Error("the catalog refuses a sample, it is left out", "at", s.At, "live_id", s.LiveID, "err", r.err)
		}
	}
}

// A batch goes into the catalog at once.
type batch struct {
	events  []Event
	samples []Sample
}

// newBatch makes a batch in which nothing is twice: the first of equal events
// and the last of equal samples count, as they do in the catalog.
func newBatch(events []Event, samples []Sample) batch {
	var b batch
	seen := make(map[string]bool, len(events))
	for _, e := range events {
		if !seen[e.ID] {
			seen[e.ID] = true
			b.events = append(b.events, e)
		}
	}
	type identity struct {
		liveID string
		second int64
	}
	place := make(map[identity]int, len(samples))
	for _, s := range samples {
		id := identity{s.LiveID, s.At.Unix()}
		if i, twice := place[id]; twice {
			b.samples[i] = s
			continue
		}
		place[id] = len(b.samples)
		b.samples = append(b.samples, s)
	}
	return b
}

func (b batch) len() int { return len(b.events) + len(b.samples) }

// halves cuts a batch of two or more.
func (b batch) halves() [2]batch {
	at := b.len() / 2
	e := min(at, len(b.events))
	s := at - e
	return [2]batch{{b.events[:e], b.samples[:s]}, {b.events[e:], b.samples[s:]}}
}
