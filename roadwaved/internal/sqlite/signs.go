package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Sign implements [station.Signs].
func (c *Catalog) Sign(ctx context.Context, n station.Node, place string, now time.Time) (before string, err error) {
	err = c.write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT place FROM nodes WHERE name = ?", n.Name).Scan(&before)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if _, err := tx.ExecContext(ctx, "REPLACE INTO nodes (name, url, place, seen_at) VALUES (?, ?, ?, ?)", n.Name, n.URL, place, stamp(now)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM nodes WHERE seen_at < ?", stamp(now.Add(-station.SignRetention)))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("sqlite: signing for node %s: %w", n.Name, err)
	}
	return before, nil
}

// Unsign implements [station.Signs].
func (c *Catalog) Unsign(ctx context.Context, name, place string) error {
	if _, err := c.writer.ExecContext(ctx, "DELETE FROM nodes WHERE name = ? AND place = ?", name, place); err != nil {
		return fmt.Errorf("sqlite: taking back the sign of node %s: %w", name, later(err))
	}
	return nil
}

// ListSigns implements [station.Signs].
func (c *Catalog) ListSigns(ctx context.Context, now time.Time) ([]station.Sign, error) {
	rows, err := c.reader.QueryContext(ctx, "SELECT name, url, place, seen_at FROM nodes ORDER BY name")
	signs, err := collect(rows, err, func(r row) (s station.Sign, err error) {
		err = r.Scan(&s.Name, &s.URL, &s.Place, timeColumn{&s.At})
		s.Age = now.UTC().Truncate(time.Microsecond).Sub(s.At)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing signs of life: %w", later(err))
	}
	return signs, nil
}
