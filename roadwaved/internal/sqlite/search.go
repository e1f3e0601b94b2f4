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
// little about the data to see that few lives are on air, that a creator has not
// many, and that the state "ended" has nearly all of them. Only words without
// anything better to begin with make it sort what it found.
func searchLives(q station.LiveQuery) (query string, args []any) {
	var f filter
	match := matchExpression(q.Text)
	words, tag := match != "", q.Tag != "" // what is still to be looked at
	from, ordered := "lives INDEXED BY ", "lives"
	switch {
	case q.State == station.OnAir:
		from += "lives_state"
	case q.CreatorID != "":
		from += "lives_creator_id"
	case words:
		from, words = "live_titles CROSS JOIN lives ON live_no = live_titles.rowid", false
		f.add("live_titles MATCH ?", match)
	case tag:
		from, ordered, tag = "live_tags CROSS JOIN lives ON lives.live_id = live_tags.live_id", "live_tags", false
		f.add("tag = ?", q.Tag)
	case q.ZoneGeo != "":
		from += "lives_zone_geo"
	case q.State != "":
		from += "lives_state"
	default:
		from += "lives_started_at"
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
	if tag {
		f.add("EXISTS (SELECT 1 FROM live_tags AS t WHERE t.tag = ? AND t.started_at = lives.started_at AND t.live_id = lives.live_id)", q.Tag)
	}
	if words {
		f.add("live_no IN (SELECT rowid FROM live_titles WHERE live_titles MATCH ?)", match)
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
