package stationtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Catalog = (*Catalog)(nil)

// A Catalog is a [station.Catalog] in memory. Its zero value is empty and ready.
type Catalog struct {
	mu      sync.Mutex
	lives   map[string]station.Live
	replays map[string]station.Replay // by live id
	jobs    map[string]*memoryJob
	memoryRecords
	chores  map[station.Chore]*memoryChore
	secrets map[string][]byte
	signs   map[string]station.Sign
}

// StartLive implements [station.Lives].
func (c *Catalog) StartLive(ctx context.Context, l station.Live) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, known := c.lives[l.ID]; known {
		return fmt.Errorf("live %s exists", l.ID)
	}
	if c.lives == nil {
		c.lives = make(map[string]station.Live)
		c.replays = make(map[string]station.Replay)
		c.jobs = make(map[string]*memoryJob)
	}
	l.StartedAt, l.Tags, l.State = micro(l.StartedAt), slices.Clone(l.Tags), station.OnAir
	c.lives[l.ID] = l
	return nil
}

// EndLive implements [station.Lives].
func (c *Catalog) EndLive(ctx context.Context, id string, e station.End) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.State != station.Ended && e.State != station.Lost {
		return fmt.Errorf("a live does not end as %q", e.State)
	}
	l, known := c.lives[id]
	if !known {
		return station.ErrNotFound
	}
	if l.State != station.OnAir {
		return nil
	}
	l.State, l.EndedAt, l.EndReason, l.Stats = e.State, micro(e.At), e.Reason, e.Stats
	c.lives[id] = l
	job := station.Job{LiveID: id, Node: l.Node, Opened: l.EndedAt, State: station.JobUploading, Updated: l.EndedAt}
	if l.Premium {
		job.Priority = station.PriorityHigh
	}
	c.jobs[id] = &memoryJob{Job: job}
	return nil
}

// Live implements [station.Lives].
func (c *Catalog) Live(ctx context.Context, id string) (station.Live, error) {
	return find(ctx, c, &c.lives, id)
}

// ListLives implements [station.Lives].
func (c *Catalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	return list(ctx, c, &c.lives, q.Limit,
		func(l station.Live) bool {
			return (q.State == "" || l.State == q.State) && (q.Node == "" || l.Node == q.Node) &&
				(q.CreatorID == "" || l.CreatorID == q.CreatorID) && (q.ZoneGeo == "" || l.ZoneGeo == q.ZoneGeo) &&
				(q.Tag == "" || slices.Contains(l.Tags, q.Tag)) && matches(l.Title, q.Text) &&
				(q.Since.IsZero() || !l.StartedAt.Before(micro(q.Since))) &&
				(q.Before.IsZero() || orderDesc(micro(q.Before), l.StartedAt, q.BeforeID, l.ID) < 0)
		},
		func(a, b station.Live) int { return orderDesc(a.StartedAt, b.StartedAt, a.ID, b.ID) })
}

// Replay implements [station.Replays].
func (c *Catalog) Replay(ctx context.Context, id string) (station.Replay, error) {
	all, err := list(ctx, c, &c.replays, 1, func(r station.Replay) bool { return r.ID == id }, nil)
	if err == nil && len(all) == 0 {
		err = station.ErrNotFound
	}
	if err != nil {
		return station.Replay{}, err
	}
	return all[0], nil
}

// ReplayOf implements [station.Replays].
func (c *Catalog) ReplayOf(ctx context.Context, liveID string) (station.Replay, error) {
	return find(ctx, c, &c.replays, liveID)
}

// ListReplays implements [station.Replays].
func (c *Catalog) ListReplays(ctx context.Context, q station.ReplayQuery) ([]station.Replay, error) {
	return list(ctx, c, &c.replays, q.Limit,
		func(r station.Replay) bool {
			return q.Before.IsZero() || orderDesc(micro(q.Before), r.PublishedAt, q.BeforeID, r.ID) < 0
		},
		func(a, b station.Replay) int { return orderDesc(a.PublishedAt, b.PublishedAt, a.ID, b.ID) })
}

// Ping implements [station.Catalog].
func (c *Catalog) Ping(ctx context.Context) error { return ctx.Err() }

// Close implements [station.Catalog].
func (c *Catalog) Close() error { return nil }

// find reads a table; the pointer is to its field, which the first write sets.
func find[T any](ctx context.Context, c *Catalog, in *map[string]T, id string) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, known := (*in)[id]
	if !known {
		return v, cmp.Or(ctx.Err(), station.ErrNotFound)
	}
	return v, ctx.Err()
}

func list[T any](ctx context.Context, c *Catalog, in *map[string]T, limit int, match func(T) bool, order func(a, b T) int) ([]T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []T
	for _, v := range *in {
		if match(v) {
			all = append(all, v)
		}
	}
	if order != nil {
		slices.SortFunc(all, order)
	}
	return all[:min(len(all), station.PageSize(limit))], ctx.Err()
}

// matches tells whether every word of text begins a word of the title. Text
// without a letter or digit is no word: it matches all.
func matches(title, text string) bool {
	have := words(title)
	for _, w := range words(text) {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, w) }) {
			return false
		}
	}
	return true
}

// words are the runs of letters and digits, without case and accents.
func words(s string) []string {
	return strings.FieldsFunc(plain.Replace(strings.ToLower(s)), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
}

// plain writes the letters of French without accents and ligatures, whether the
// accent is part of the letter or follows it.
var plain = strings.NewReplacer(
	"à", "a", "â", "a", "ä", "a", "ç", "c", "é", "e", "è", "e", "ê", "e", "ë", "e", "î", "i", "ï", "i",
	"ô", "o", "ö", "o", "ù", "u", "û", "u", "ü", "u", "ÿ", "y", "œ", "oe", "æ", "ae",
	"\u0300", "", "\u0301", "", "\u0302", "", "\u0308", "", "\u0327", "",
)

// micro is a time as every catalog keeps it.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
