package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// ListLives implements [station.Lives]. A word of a text is a run of letters and
// digits; text without any does not restrict.
func (c *Catalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	query, args := searchLives(q)
	rows, err := c.reader.QueryContext(ctx, query, args...)
	lives, err := collect(rows, err, scanLive)
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing lives: %w", later(err))
	}
	return lives, nil
}

// searchLives writes the query. It says itself where to begin: SQLite knows too
// little about the data to see that a creator has few lives and the state
// "ended" has nearly all of them.
func searchLives(q station.LiveQuery) (query string, args []any) {
	var f filter
	from, ordered := "lives", "lives"
	match := matchExpression(q.Text)
	switch {
	case match != "":
		from = "live_titles CROSS JOIN lives ON live_no = live_titles.rowid"
		f.add("live_titles MATCH ?", match)
	case q.Tag != "":
		from, ordered = "live_tags CROSS JOIN lives ON lives.live_id = live_tags.live_id", "live_tags"
		f.add("tag = ?", q.Tag)
	case q.State == station.OnAir:
		from += " INDEXED BY lives_state"
	case q.CreatorID != "":
		from += " INDEXED BY lives_creator_id"
	case q.ZoneGeo != "":
		from += " INDEXED BY lives_zone_geo"
	case q.State != "":
		from += " INDEXED BY lives_state"
	default:
		from += " INDEXED BY lives_started_at"
	}
	if match != "" && q.Tag != "" {
		f.add(`EXISTS (SELECT 1 FROM live_tags AS t WHERE t.tag = ? AND t.started_at = lives.started_at AND t.live_id = lives.live_id)`, q.Tag)
	}
	f.equal("state", string(q.State))
	f.equal("node", q.Node)
	f.equal("creator_id", q.CreatorID)
	f.equal("zone_geo", q.ZoneGeo)
	if !q.Since.IsZero() {
		f.add(ordered+".started_at >= ?", stamp(q.Since))
	}
	if !q.Before.IsZero() {
		f.add("("+ordered+".started_at, "+ordered+".live_id) < (?, ?)", stamp(q.Before), q.BeforeID)
	}
	return "SELECT " + liveColumns + " FROM " + from + f.where() +
		" ORDER BY " + ordered + ".started_at DESC, " + ordered + ".live_id DESC LIMIT ?", f.with(station.PageSize(q.Limit))
}

// matchExpression asks the search index for titles in which every word of text
// begins a word; it is empty when there are no words. Only letters and digits
// get through, in quotes, so that nothing in text is an operator.
func matchExpression(text string) string {
	words := strings.FieldsFunc(ligatures.Replace(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Mn, r)
	})
	// An accent alone, which follows no letter, is none.
	words = slices.DeleteFunc(words, func(w string) bool {
		return !strings.ContainsFunc(w, func(r rune) bool { return !unicode.Is(unicode.Mn, r) })
	})
	slices.Sort(words)
	words = slices.Compact(words)
	for i, w := range words {
		words[i] = `"` + w + `"*`
	}
	return strings.Join(words, " ")
}

// ligatures are spelled out in the search index, too.
var ligatures = strings.NewReplacer("œ", "oe", "Œ", "oe", "æ", "ae", "Æ", "ae")
