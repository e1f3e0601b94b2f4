package stationtest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Sign implements [station.Signs].
func (c *Catalog) Sign(ctx context.Context, n station.Node, place string, now time.Time) (before string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if c.signs == nil {
		c.signs = make(map[string]station.Sign)
	}
	before = c.signs[n.Name].Place
	c.signs[n.Name] = station.Sign{Node: n, Place: place, At: micro(now)}
	maps.DeleteFunc(c.signs, func(_ string, s station.Sign) bool { return now.Sub(s.At) > station.SignRetention })
	return before, nil
}

// Unsign implements [station.Signs].
func (c *Catalog) Unsign(ctx context.Context, name, place string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signs[name].Place == place {
		delete(c.signs, name)
	}
	return ctx.Err()
}

// ListSigns implements [station.Signs].
func (c *Catalog) ListSigns(ctx context.Context, now time.Time) ([]station.Sign, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	signs := slices.SortedFunc(maps.Values(c.signs), func(a, b station.Sign) int { return cmp.Compare(a.Name, b.Name) })
	for i := range signs {
		signs[i].Age = micro(now).Sub(signs[i].At)
	}
	return signs, ctx.Err()
}
