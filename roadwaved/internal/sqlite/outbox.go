package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Outbox = (*Outbox)(nil)

// An Outbox is a [station.Outbox] in one file, which belongs to one process. Its
// methods may be called at the same time. What takes many records at once costs
// one sync of the disk, so give it many.
type Outbox struct {
	writer  *sql.DB
	reader  *sql.DB
	waiting atomic.Int64
	damaged string
}

// outboxSchema numbers records for ever: a number is not used again when all
// records are gone, so that Drop never forgets more than Next gave.
const outboxSchema = `
	CREATE TABLE IF NOT EXISTS records (
		seq        INTEGER PRIMARY KEY AUTOINCREMENT,
		kind       TEXT NOT NULL,
		body       TEXT NOT NULL,
		unreadable INTEGER NOT NULL DEFAULT 0
	)`

// The kinds of records.
const (
	eventRecord  = "event"
	sampleRecord = "sample"
)

// OpenOutbox opens the outbox in the file at path, creating it (readable by its
// owner alone) as needed. A file that is damaged or something else is moved
// aside, for a person to look at, and a new one takes its place, with what could
// be read of it: see [Outbox.Damaged].
func OpenOutbox(ctx context.Context, path string) (*Outbox, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	o, err := openOutbox(ctx, abs)
	if err == nil || !damagedOutbox(err) {
		return o, err
	}
	damaged, merr := moveAside(abs, time.Now())
	if merr != nil {
		return nil, fmt.Errorf("sqlite: outbox %s is damaged and cannot be moved aside: %w", abs, errors.Join(err, merr))
	}
	if o, err = openOutbox(ctx, abs); err != nil {
		return nil, err
	}
	o.damaged = damaged
	if err := o.salvage(ctx, damaged); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

func openOutbox(ctx context.Context, abs string) (*Outbox, error) {
	if err := createPrivate(abs); err != nil {
		return nil, fmt.Errorf("sqlite: opening the outbox: %w", err)
	}
	o := &Outbox{}
	var err error
	if o.writer, err = connect(abs, 1, url.Values{"_auto_vacuum": {"incremental"}}); err != nil {
		return nil, err
	}
	if o.reader, err = connect(abs, 1, nil); err != nil {
		o.writer.Close()
		return nil, err
	}
	if err := o.prepare(ctx); err != nil {
		o.Close()
		return nil, fmt.Errorf("sqlite: opening outbox %s: %w", abs, later(err))
	}
	return o, nil
}

func (o *Outbox) prepare(ctx context.Context) error {
	if err := check(ctx, o.writer); err != nil {
		return err
	}
	if _, err := o.writer.ExecContext(ctx, outboxSchema); err != nil {
		return err
	}
	// Another version of this program may read what the last one could not.
	if _, err := o.writer.ExecContext(ctx, "UPDATE records SET unreadable = 0 WHERE unreadable"); err != nil {
		return err
	}
	var n int64
	err := o.writer.QueryRowContext(ctx, "SELECT count(*) FROM records WHERE kind <> '' AND body <> ''").Scan(&n)
	o.waiting.Store(n)
	return err
}

// Append implements [station.Outbox].
func (o *Outbox) Append(ctx context.Context, events []station.Event, samples []station.Sample) error {
	n := len(events) + len(samples)
	if n == 0 {
		return nil
	}
	err := transact(ctx, o.writer, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, "INSERT INTO records (kind, body) VALUES (?, ?)")
		if err != nil {
			return err
		}
		defer insert.Close()
		put := func(kind string, record any) error {
			body, err := json.Marshal(record)
			if err == nil {
				_, err = insert.ExecContext(ctx, kind, string(body))
			}
			return err
		}
		for _, e := range events {
			e.At = e.At.UTC().Truncate(time.Microsecond)
			if err := put(eventRecord, e); err != nil {
				return err
			}
		}
		for _, s := range samples {
			s.At = s.At.UTC()
			if err := put(sampleRecord, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: keeping %d records in the outbox: %w", n, err)
	}
	o.waiting.Add(int64(n))
	return nil
}

// A parcel is a record as the file has it.
type parcel struct {
	seq        int64
	kind, body string
}

func scanParcel(r row) (p parcel, err error) {
	err = r.Scan(&p.seq, &p.kind, &p.body)
	return p, err
}

// Next implements [station.Outbox]. A record that this program cannot read is set
// aside in the file, with an error once; the next call goes on without it.
func (o *Outbox) Next(ctx context.Context, n int) (events []station.Event, samples []station.Sample, through int64, err error) {
	rows, err := o.reader.QueryContext(ctx, "SELECT seq, kind, body FROM records WHERE NOT unreadable ORDER BY seq LIMIT ?", n)
	parcels, err := collect(rows, err, scanParcel)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("sqlite: reading the outbox: %w", later(err))
	}
	for _, p := range parcels {
		var e station.Event
		var s station.Sample
		switch p.kind {
		case eventRecord:
			err = json.Unmarshal([]byte(p.body), &e)
			events = append(events, e)
		case sampleRecord:
			err = json.Unmarshal([]byte(p.body), &s)
			samples = append(samples, s)
		default:
			err = fmt.Errorf("it is of kind %q", p.kind)
		}
		if err != nil {
			return nil, nil, 0, o.setAside(ctx, p.seq, err)
		}
		through = p.seq
	}
	return events, samples, through, nil
}

// setAside keeps a record out of the way and tells why.
func (o *Outbox) setAside(ctx context.Context, seq int64, reason error) error {
	if _, err := o.writer.ExecContext(ctx, "UPDATE records SET unreadable = 1 WHERE seq = ?", seq); err != nil {
		return fmt.Errorf("sqlite: setting record %d of the outbox aside: %w", seq, later(err))
	}
	o.waiting.Add(-1)
	return fmt.Errorf("sqlite: record %d of the outbox cannot be read and stays in it: %w", seq, reason)
}

// Drop implements [station.Outbox]. It gives the space of what is gone back to
// the disk, a part at a time.
func (o *Outbox) Drop(ctx context.Context, through int64) error {
	res, err := o.writer.ExecContext(ctx, "DELETE FROM records WHERE seq <= ? AND NOT unreadable", through)
	var n int64
	if err == nil {
		n, err = res.RowsAffected()
	}
	if err != nil {
		return fmt.Errorf("sqlite: dropping records from the outbox: %w", later(err))
	}
	o.waiting.Add(-n)
	o.shrink(ctx)
	return nil
}

// Pages are 4 KiB.
const (
	keptPages   = 1024 // free ones that may stay for what comes next
	shrinkPages = 4096 // given back at once, so that Append need not wait long
)

// shrink gives free pages back when there are more of them than others: to move
// those others out of the way then costs less than it took to fill the file. It
// has no error: what is dropped is dropped, and a disk that fails will say so to
// Append.
func (o *Outbox) shrink(ctx context.Context) {
	var free, pages int64
	err := o.writer.QueryRowContext(ctx, "SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count").Scan(&free, &pages)
	if err != nil || free < keptPages || 2*free < pages {
		return
	}
	if _, err := o.writer.ExecContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", shrinkPages)); err != nil {
		return
	}
	o.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
}

// Len implements [station.Outbox].
func (o *Outbox) Len(ctx context.Context) (int, error) { return int(o.waiting.Load()), ctx.Err() }

// Close waits for what runs and closes the file.
func (o *Outbox) Close() error {
	return errors.Join(o.reader.Close(), o.writer.Close())
}
