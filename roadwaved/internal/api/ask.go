package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An ask reads the parameters of an operator's request and remembers what is
// wrong with them.
type ask struct {
	values url.Values
	flaws  []*ErrorDetail
}

func (q *ask) text(name string) string {
	s := q.values.Get(name)
	if !isText(s) {
		q.flaw(name, "expected text in UTF-8")
	}
	return s
}

func (q *ask) flaw(name, message string) {
	q.flaws = append(q.flaws, &ErrorDetail{Message: message, Location: "query." + name})
}

// among reads all values of a parameter that can only have some.
func (q *ask) among(name string, allowed ...string) []string {
	for _, v := range q.values[name] {
		if !slices.Contains(allowed, v) {
			q.flaw(name, "expected one of "+strings.Join(allowed, ", "))
			break
		}
	}
	return q.values[name]
}

func (q *ask) time(name string) time.Time {
	s := q.text(name)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		q.flaw(name, "expected a time like 2006-01-02T15:04:05Z")
	}
	return t
}

// page reads how many are wanted, and after which.
func (q *ask) page() (limit int, after time.Time, id string) {
	limit = station.PageSize(0)
	if s := q.text("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > station.MaxPage {
			q.flaw("limit", "expected a number from 1 to "+strconv.Itoa(station.MaxPage))
		}
		limit = n
	}
	if c := cursor(q.text("cursor")); c != "" {
		var err error
		if after, id, err = c.read(); err != nil {
			q.flaw("cursor", err.Error())
		}
	}
	return limit, after, id
}

// err is a problem ready to be sent where something was wrong.
func (q *ask) err() error {
	if len(q.flaws) == 0 {
		return nil
	}
	return invalid(q.flaws...)
}

func invalid(flaws ...*ErrorDetail) *Problem {
	p := newProblem(http.StatusUnprocessableEntity, codeOf(422), detailOf(422))
	p.Errors = flaws
	return p
}
