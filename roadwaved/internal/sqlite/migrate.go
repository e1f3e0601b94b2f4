package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	codes "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// errNewer is a catalog whose tables this program does not know.
var errNewer = errors.New("written by a newer roadwaved")

// prepareAmongOthers prepares, again and again for a while when another process
// may be at the same: two that bring one file up to date meet in places where
// SQLite does not wait, or find done what they were about to do.
func (c *Catalog) prepareAmongOthers(ctx context.Context) error {
	for began := time.Now(); ; {
		err := c.prepare(ctx)
		code := errorCode(err)
		if (code != codes.SQLITE_BUSY && code != codes.SQLITE_ERROR) || time.Since(began) > busyPatience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// prepare checks the file and brings its tables up to date.
func (c *Catalog) prepare(ctx context.Context) error {
	if err := check(ctx, c.writer); err != nil {
		return err
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, c.writer, dir)
	if err != nil {
		return err
	}
	current, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the version of its tables: %w", err)
	}
	if current > known {
		return fmt.Errorf("%w: its tables are version %d, this program knows up to %d", errNewer, current, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing its tables up to date: %w", err)
	}
	return nil
}

// check looks for damage.
func check(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return damage{errors.New(verdict)}
	}
	return nil
}

// A damage is what a check of the file found.
type damage struct{ error }

func (d damage) Unwrap() error { return d.error }

// explain says what a person can do about a catalog that does not open.
func explain(path string, err error) error {
	code := errorCode(err)
	switch {
	case errors.Is(err, errNewer):
		return fmt.Errorf("sqlite: catalog %s was %w; run that version again, or restore the copy made before it ran", path, err)
	case errors.As(err, new(damage)), code == codes.SQLITE_CORRUPT, code == codes.SQLITE_NOTADB:
		return fmt.Errorf("sqlite: catalog %s is damaged or not a database: %w; restore a copy, or move it away (with the files beside it that end in -wal and -shm) to start an empty one", path, err)
	case code == codes.SQLITE_BUSY:
		return fmt.Errorf("sqlite: catalog %s is in use: %w; stop the other process that holds it", path, err)
	}
	return fmt.Errorf("sqlite: opening catalog %s: %w", path, err)
}
