package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Catalog = (*Catalog)(nil)

// A Catalog is a [station.Catalog] in one file. Its methods may be called at the
// same time.
type Catalog struct {
	// SQLite has one writer at a time. One connection for writing makes writers
	// queue up in Go, in order and with their contexts, instead of polling a
	// lock; readers never wait for it.
	writer *sql.DB
	reader *sql.DB
}

// busyPatience is how long to wait for another process that holds the file.
const busyPatience = 10 * time.Second

// readers is how many queries run at once; each costs a few MB of page cache.
const readers = 4

// Open opens the catalog in the file at path, creating it (readable by its owner
// alone) or bringing its tables up to date as needed. A file that is damaged, or
// that a newer roadwaved wrote, is an error that says what to do.
func Open(ctx context.Context, path string) (*Catalog, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := createPrivate(abs); err != nil {
		return nil, fmt.Errorf("sqlite: opening the catalog: %w", err)
	}
	c := &Catalog{}
	// What is deleted here is deleted because it must not be kept.
	if c.writer, err = connect(abs, 1, url.Values{"_pragma": {"secure_delete(on)"}}); err != nil {
		return nil, err
	}
	if c.reader, err = connect(abs, readers, nil); err != nil {
		c.writer.Close()
		return nil, err
	}
	if err := c.prepareAmongOthers(ctx); err != nil {
		c.Close()
		return nil, explain(abs, err)
	}
	return c, nil
}

// createPrivate makes an empty file where there is none: SQLite would create it
// for everybody to read.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// connect opens a file for that many queries at once, with more settings.
func connect(abs string, conns int, more url.Values) (*sql.DB, error) {
	q := url.Values{
		// Another process, such as the sqlite3 shell, writes.
		"_busy_timeout": {fmt.Sprint(busyPatience.Milliseconds())},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // NORMAL loses what was committed when the power fails
		"_foreign_keys": {"1"},
		"_defensive":    {"1"},
		"_dqs":          {"0"},
		"_txlock":       {"immediate"}, // a transaction that starts by reading could not upgrade
	}
	maps.Copy(q, more)
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// Ping tells whether the database answers.
func (c *Catalog) Ping(ctx context.Context) error {
	var n int
	if err := c.reader.QueryRowContext(ctx, "SELECT count(*) FROM replay_jobs WHERE live_id = ''").Scan(&n); err != nil {
		return fmt.Errorf("sqlite: %w", later(err))
	}
	return nil
}

// Close waits for what runs and closes the file.
func (c *Catalog) Close() error {
	// The writer last: the last connection to close folds the log into the file.
	return errors.Join(c.reader.Close(), c.writer.Close())
}

// write runs f in a transaction.
func (c *Catalog) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	return transact(ctx, c.writer, f)
}

func transact(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return later(err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return later(err)
	}
	return later(tx.Commit())
}

// changed tells whether a statement changed a row.
func changed(ctx context.Context, tx *sql.Tx, query string, args ...any) (bool, error) {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// collect reads all rows.
func collect[T any](rows *sql.Rows, err error, scan func(row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// A row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(dest ...any) error }

// missing turns the absence of a row into the contract's error.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return station.ErrNotFound
	}
	return later(err)
}

// later marks what may go better in a while: another process held the file
// longer than we wait, or the disk is full.
func later(err error) error {
	switch errorCode(err) {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_FULL:
		if !errors.Is(err, station.ErrAway) {
			return fmt.Errorf("%w: %w", station.ErrAway, err)
		}
	}
	return err
}

// errorCode is SQLite's number for an error, without what extends it; 0 for
// those of others.
func errorCode(err error) int {
	var se *driver.Error
	if !errors.As(err, &se) {
		return 0
	}
	return se.Code() & 0xff
}
