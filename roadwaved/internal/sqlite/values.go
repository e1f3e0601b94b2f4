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

// A filter is the conditions of a query and their arguments.
type filter struct {
	conditions []string
	args       []any
}

func (f *filter) add(condition string, args ...any) {
	f.conditions, f.args = append(f.conditions, condition), append(f.args, args...)
}

// equal restricts a column to a value, unless it is empty.
func (f *filter) equal(column, value string) {
	if value != "" {
		f.add(column+" = ?", value)
	}
}

// in restricts a column to some values, unless there are none.
func in[S ~string](f *filter, column string, values []S) {
	if len(values) == 0 {
		return
	}
	f.conditions = append(f.conditions, column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")")
	for _, v := range values {
		f.args = append(f.args, string(v))
	}
}

func (f *filter) where() string {
	if len(f.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.conditions, " AND ")
}

// with gives the arguments of the conditions and those of what follows them.
func (f *filter) with(args ...any) []any { return append(f.args, args...) }
