package sqlite

import (
	"database/sql"
	"math"
	"strings"
	"time"
)

// timeText has one width, so that text sorts as time does.
const timeText = "2006-01-02T15:04:05.000000Z"

// stamp writes a time as the tables keep it; the zero time is NULL.
func stamp(t time.Time) sql.NullString {
	if t.IsZero() {
		return sql.NullString{}
	}
	return sql.NullString{String: t.UTC().Format(timeText), Valid: true}
}

// A timeColumn scans what stamp wrote.
type timeColumn struct{ to *time.Time }

func (c timeColumn) Scan(v any) error {
	var s sql.NullString
	if err := s.Scan(v); err != nil || !s.Valid {
		*c.to = time.Time{}
		return err
	}
	t, err := time.ParseInLocation(timeText, s.String, time.UTC)
	*c.to = t
	return err
}

// A secondsColumn scans seconds into a duration, to the microsecond.
type secondsColumn struct{ to *time.Duration }

func (c secondsColumn) Scan(v any) error {
	var f sql.NullFloat64
	err := f.Scan(v)
	*c.to = time.Duration(math.Round(f.Float64*1e6)) * time.Microsecond
	return err
}

// where joins conditions, of which there may be none.
func where(conditions []string) string {
	if len(conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(conditions, " AND ")
}
