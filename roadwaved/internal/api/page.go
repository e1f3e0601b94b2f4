package api

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// PageInput asks for one page of a list, the newest first.
type PageInput struct {
	Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
	Cursor cursor    `query:"cursor" doc:"next_cursor of the page before."`
	Before time.Time `query:"before" doc:"Only older ones than this (RFC 3339). Of several from the same instant none is given: use cursor to page."`
}

// after is where the page begins: among those older than t, and of those at t
// among the ones with a smaller id.
func (p PageInput) after() (t time.Time, id string, err error) {
	if p.Cursor == "" {
		return p.Before, "", nil
	}
	if t, id, err = p.Cursor.read(); err != nil {
		err = invalid(&ErrorDetail{Message: err.Error(), Location: "query.cursor"})
	}
	return t, id, err
}

// Next says where the next page of a list is.
type Next struct {
	NextCursor cursor     `json:"next_cursor,omitempty" doc:"Pass it as cursor to get the next page; absent on the last." example:"MTc3NzYzNjgwMDAwMDAwMC4x"`
	NextBefore *time.Time `json:"next_before,omitempty" doc:"When the last of this page was; absent on the last page."`
}

// next follows a page of n whose last is at t and has this id.
func (p PageInput) next(n int, t time.Time, id string) Next {
	if n < p.Limit {
		return Next{}
	}
	t = t.UTC()
	return Next{NextCursor: cursorAt(t, id), NextBefore: &t}
}

// A cursor is a place in a list that is ordered by time, then by id. Clients
// need not look inside.
type cursor string

func cursorAt(t time.Time, id string) cursor {
	text := strconv.FormatInt(t.UnixMicro(), 10) + "." + id
	return cursor(base64.RawURLEncoding.EncodeToString([]byte(text)))
}

var errCursor = errors.New("expected the next_cursor of a page")

// read gives what cursorAt was given.
func (c cursor) read() (t time.Time, id string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(string(c))
	micro, id, _ := strings.Cut(string(text), ".")
	n, numErr := strconv.ParseInt(micro, 10, 64)
	if err != nil || numErr != nil || n < 0 || n > maxMicro || id == "" || len(id) > maxID || !isPlain(id) {
		return time.Time{}, "", errCursor
	}
	return time.UnixMicro(n).UTC(), id, nil
}

// maxMicro is the end of the year 9999, the last that catalogs and RFC 3339 can
// write.
const maxMicro = 253402300799999999

// maxID is the longest id that is looked up.
const maxID = 64

// isPlain tells whether s is made of what ids are made of.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
