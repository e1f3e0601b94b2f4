package replay

import (
	"strings"
	"time"
	"unicode"
)

// Tags are what the MP3 says of itself (ID3v2.3). Empty ones are left out.
type Tags struct {
	Title   string
	Artist  string // the creator
	Date    time.Time
	Comment string
}

// longestTag in characters bounds what a stranger may write into a file.
const longestTag = 1000

// fields are the tags as FFmpeg's -metadata takes them.
func (t Tags) fields() []string {
	var out []string
	add := func(name, value string) {
		if value = printable(value); value != "" {
			out = append(out, name+"="+value)
		}
	}
	add("title", t.Title)
	add("artist", t.Artist)
	add("comment", t.Comment)
	if !t.Date.IsZero() {
		add("date", t.Date.UTC().Format(time.DateOnly))
	}
	return out
}

// printable takes out what does not belong in a tag and cannot be given to a
// program.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > longestTag {
		s = string(r[:longestTag])
	}
	return strings.TrimSpace(s)
}
