package stationtest

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

type memoryRecords struct {
	events  map[string]station.Event
	samples map[sampleKey]station.Sample
}

type sampleKey struct {
	liveID string
	at     time.Time
}

type memoryChore struct {
	who   string
	lease time.Time
	done  bool
}

// Record implements [station.Records].
func (c *Catalog) Record(ctx context.Context, events []station.Event, samples []station.Sample) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if slices.ContainsFunc(events, func(e station.Event) bool { return e.ID == "" }) {
		return errors.New("an event has no id")
	}
	if c.events == nil {
		c.events, c.samples = make(map[string]station.Event), make(map[sampleKey]station.Sample)
	}
	for _, e := range events {
		if _, known := c.events[e.ID]; known {
			continue
		}
		e.At = micro(e.At)
		if e.Position != nil {
			p := *e.Position
			e.Position = &p
		}
		c.events[e.ID] = e
	}
	for _, s := range samples {
		s.At = s.At.UTC().Truncate(time.Second)
		c.samples[sampleKey{s.LiveID, s.At}] = s
	}
	return nil
}

// ListEvents implements [station.Records].
func (c *Catalog) ListEvents(ctx context.Context, q station.EventQuery) ([]station.Event, error) {
	order := func(a, b station.Event) int { return orderAsc(a.At, b.At, a.ID, b.ID) }
	return list(ctx, c, &c.events, q.Limit, func(e station.Event) bool {
		return (q.LiveID == "" || e.LiveID == q.LiveID) && (q.UserID == "" || e.UserID == q.UserID) &&
			(q.Kind == "" || e.Kind == q.Kind) &&
			(q.Since.IsZero() || !e.At.Before(micro(q.Since))) && (q.Until.IsZero() || e.At.Before(micro(q.Until))) &&
			(q.After.IsZero() || orderAsc(e.At, micro(q.After), e.ID, q.AfterID) > 0)
	}, order)
}

// ListSamples implements [station.Records].
func (c *Catalog) ListSamples(ctx context.Context, liveID string) ([]station.Sample, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var samples []station.Sample
	for key, s := range c.samples {
		if key.liveID == liveID {
			samples = append(samples, s)
		}
	}
	slices.SortFunc(samples, func(a, b station.Sample) int { return a.At.Compare(b.At) })
	return samples, ctx.Err()
}

// Reactors implements [station.Records].
func (c *Catalog) Reactors(ctx context.Context, liveID string, r station.Reaction) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	users := make(map[string]bool)
	for _, e := range c.events {
		if e.LiveID == liveID && e.Kind == station.EventKind(r) {
			users[e.UserID] = true
		}
	}
	return slices.Sorted(maps.Keys(users)), ctx.Err()
}

// ForgetEvents implements [station.Records].
func (c *Catalog) ForgetEvents(ctx context.Context, before time.Time, dryRun bool) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	midnight := before.UTC().Truncate(24 * time.Hour)
	var n int64
	for id, e := range c.events {
		if !e.At.Before(midnight) {
			continue
		}
		n++
		if !dryRun {
			delete(c.events, id)
		}
	}
	return n, nil
}

// BeginChore implements [station.Chores].
func (c *Catalog) BeginChore(ctx context.Context, chore station.Chore, who string, now time.Time, lease time.Duration) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if held, begun := c.chores[chore]; begun && (held.done || held.who != who && !held.lease.Before(now)) {
		return false, nil
	}
	if c.chores == nil {
		c.chores = make(map[station.Chore]*memoryChore)
	}
	c.chores[chore] = &memoryChore{who: who, lease: now.Add(lease)}
	return true, nil
}

// FinishChore implements [station.Chores].
func (c *Catalog) FinishChore(ctx context.Context, chore station.Chore, who string, _ time.Time, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	held, begun := c.chores[chore]
	if !begun || held.who != who {
		return station.ErrFenced
	}
	held.done = true
	return nil
}

// Secret implements [station.Secrets].
func (c *Catalog) Secret(ctx context.Context, name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.secrets == nil {
		c.secrets = make(map[string][]byte)
	}
	if c.secrets[name] == nil {
		secret := make([]byte, 32)
		rand.Read(secret)
		c.secrets[name] = secret
	}
	return slices.Clone(c.secrets[name]), nil
}
