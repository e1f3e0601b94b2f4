package postgres

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// stamp is a time as the tables keep it; the zero time is NULL.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

// moment is what stamp wrote.
func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// duration is what was written as seconds, to the microsecond.
func duration(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}

// text is a string that the server takes: it refuses NUL and broken UTF-8, and
// neither must keep a failure from being written down or a batch from arriving.
func text(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// key is an id as the tables keep it. One that is no uuid, and so in no table,
// is not valid; neither is one that is written in another way than ours.
func key(id string) pgtype.UUID {
	u, err := uuid.Parse(id)
	return pgtype.UUID{Bytes: u, Valid: err == nil && u.String() == id}
}

// cursor is where a page begins among rows of the same time: the least id where
// none is given.
func cursor(id string) pgtype.UUID {
	k := key(id)
	if !k.Valid {
		k = pgtype.UUID{Valid: true}
	}
	return k
}
