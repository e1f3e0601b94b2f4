package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	codes "modernc.org/sqlite/lib"
)

// damagedOutbox tells whether an empty file would open.
func damagedOutbox(err error) bool {
	switch errorCode(err) {
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB, codes.SQLITE_ERROR: // the last: it has other tables
		return true
	}
	return errors.As(err, new(damage))
}

// moveAside renames the files of a database and tells the new name.
func moveAside(path string, now time.Time) (string, error) {
	aside := path + ".damaged-" + now.UTC().Format("20060102T150405.000000Z")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// salvage takes over the records of a damaged file up to where the damage
// begins. What had been delivered already, the catalog knows by its identity.
func (o *Outbox) salvage(ctx context.Context, path string) error {
	db, err := connect(path, 1, url.Values{"_query_only": {"1"}})
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT seq, kind, body FROM records WHERE kind <> '' AND body <> '' ORDER BY seq")
	if err != nil {
		return ctx.Err() // nothing of it can be read
	}
	defer rows.Close()
	var saved int64
	err = transact(ctx, o.writer, func(tx *sql.Tx) error {
		for rows.Next() {
			p, err := scanParcel(rows)
			if err != nil {
				break
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO records (kind, body) VALUES (?, ?)", p.kind, p.body); err != nil {
				return err
			}
			saved++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: saving what could be read of %s: %w", path, err)
	}
	o.waiting.Add(saved)
	return nil
}

// Damaged is where a damaged file was moved that was found in the place of this
// one, empty when there was none.
func (o *Outbox) Damaged() string { return o.damaged }
