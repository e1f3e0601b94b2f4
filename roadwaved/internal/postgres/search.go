package postgres

import (
	"slices"
	"strings"
	"unicode"
)

// The limits on what a search takes, which a stranger types.
const (
	searchWords   = 16
	searchLetters = 100 // of each word; a title has no more than twice as many
)

// searched are the words to search for, once each. A word holds letters, digits
// and the accents that may follow them, and so nothing that the server's query
// language knows.
func searched(s string) []string {
	var words []string
	for word := range strings.FieldsFuncSeq(strings.ToValidUTF8(s, " "), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	}) {
		word = strings.TrimLeftFunc(word, unicode.IsMark)
		if letters := []rune(word); len(letters) > searchLetters {
			word = string(letters[:searchLetters])
		}
		if word == "" || slices.Contains(words, word) {
			continue
		}
		if words = append(words, word); len(words) == searchWords {
			break
		}
	}
	return words
}

// titleHas is the condition that a title has the word in a parameter, or one
// that begins with it, or another form of it.
func titleHas(parameter string) string {
	plain := "'''' || roadwave_plain(" + parameter + ") || ''''"
	return "title_words @@ (to_tsquery('pg_catalog.simple', " + plain + " || ':*') || to_tsquery('pg_catalog.french', " + plain + "))"
}
