package station

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AnonymousCreator is who broadcasts when nobody said who they are.
const AnonymousCreator = "anonyme"

// AgeClasses are the audiences a live can be meant for, the default first.
var AgeClasses = []string{"tout public", "-10", "-12", "-16", "-18"}

// The limits on what a creator can say about a live.
const (
	MaxCreatorID = 200 // characters
	MaxTitle     = 200 // characters
	MaxZoneGeo   = 100 // characters
	MaxTags      = 10
	MaxTag       = 50 // characters each
)

// A Request is what a creator asks for when going on air.
//
// Space around each text is dropped. Control characters, characters that
// reverse the direction of what follows, and broken UTF-8 are refused.
type Request struct {
	CreatorID         string   // up to [MaxCreatorID]; empty means [AnonymousCreator]
	Title             string   // up to [MaxTitle]; empty means "Live de <creator>"
	ZoneGeo           string   // up to [MaxZoneGeo], may be empty
	Tags              []string // up to [MaxTags] of [MaxTag], kept in lower case, once each
	ClassificationAge string   // one of [AgeClasses]; empty means the first
	Premium           bool     // says who knows the creator, not the creator
}

// An InvalidError says what is wrong with a [Request], a [Join] or a [Reacting].
type InvalidError struct {
	Field   string // as in the HTTP API: creator_id, title, user_id, position and so on
	Message string // for people, in French
	Detail  string // for engineers
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("invalid %s: %s", e.Field, e.Detail)
}

// normal gives the request as it will be kept, or an [*InvalidError].
func (r Request) normal() (Request, error) {
	n := Request{
		CreatorID:         strings.TrimSpace(r.CreatorID),
		Title:             strings.TrimSpace(r.Title),
		ZoneGeo:           strings.TrimSpace(r.ZoneGeo),
		ClassificationAge: strings.ToLower(strings.TrimSpace(r.ClassificationAge)),
		Premium:           r.Premium,
	}
	for _, f := range []struct {
		name, label, text string
		max               int
	}{
		{"creator_id", "L'identifiant du créateur", n.CreatorID, MaxCreatorID},
		{"title", "Le titre", n.Title, MaxTitle},
		{"zone_geo", "La zone géographique", n.ZoneGeo, MaxZoneGeo},
	} {
		if err := checkText(f.name, f.label, f.text, f.max); err != nil {
			return Request{}, err
		}
	}
	var err error
	if n.Tags, err = normalTags(r.Tags); err != nil {
		return Request{}, err
	}
	if n.CreatorID == "" {
		n.CreatorID = AnonymousCreator
	}
	if n.Title == "" {
		n.Title = cut("Live de "+n.CreatorID, MaxTitle)
	}
	if n.ClassificationAge == "" {
		n.ClassificationAge = AgeClasses[0]
	}
	if !slices.Contains(AgeClasses, n.ClassificationAge) {
		classes := strings.Join(AgeClasses, ", ")
		return Request{}, &InvalidError{
			Field:   "classification_age",
			Message: "La classification d'âge doit être l'une de : " + classes,
			Detail:  fmt.Sprintf("%q is not one of %s", cut(r.ClassificationAge, 40), classes),
		}
	}
	return n, nil
}

func normalTags(tags []string) ([]string, error) {
	var kept []string
	for _, tag := range tags {
		tag = strings.ToLower(strings.TrimSpace(tag))
		if err := checkText("tags", "Un mot-clé", tag, MaxTag); err != nil {
			return nil, err
		}
		if tag == "" || slices.Contains(kept, tag) {
			continue
		}
		if len(kept) == MaxTags {
			return nil, &InvalidError{
				Field:   "tags",
				Message: fmt.Sprintf("Un live porte au plus %d mots-clés", MaxTags),
				Detail:  fmt.Sprintf("more than %d different tags", MaxTags),
			}
		}
		kept = append(kept, tag)
	}
	return kept, nil
}

func checkText(field, label, text string, limit int) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return &InvalidError{
			Field:   field,
			Message: label + " contient des caractères interdits",
			Detail:  fmt.Sprintf("%.80q holds control characters or is not UTF-8", text),
		}
	}
	if n := utf8.RuneCountInString(text); n > limit {
		return &InvalidError{
			Field:   field,
			Message: fmt.Sprintf("%s est trop long : %d caractères, %d au plus", label, n, limit),
			Detail:  fmt.Sprintf("%d characters, at most %d are allowed", n, limit),
		}
	}
	return nil
}

// unprintable tells the characters that break lines or, as the Unicode
// bidirectional controls do, let a title rearrange the text around it. The
// joiners that emoji are made of pass.
func unprintable(r rune) bool {
	return unicode.Is(unicode.Cc, r) || r == '\u2028' || r == '\u2029' ||
		('\u202a' <= r && r <= '\u202e') || ('\u2066' <= r && r <= '\u2069')
}

func cut(s string, runes int) string {
	for i := range s {
		if runes == 0 {
			return s[:i]
		}
		runes--
	}
	return s
}
