package postgres

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func liveCalled(title string) station.Live {
	return station.Live{ID: uuid.NewString(), CreatorID: "léa", Title: title, StartedAt: newestStart, Node: "n"}
}

// find gives the titles that a text finds.
func find(t testing.TB, c *Catalog, text string) []string {
	t.Helper()
	lives, err := c.ListLives(t.Context(), station.LiveQuery{Text: text, Limit: station.MaxPage})
	if err != nil {
		t.Fatalf("searching for %q: %v", text, err)
	}
	var titles []string
	for _, l := range lives {
		titles = append(titles, l.Title)
	}
	return titles
}

// Beyond what every catalog finds, this one knows some French.
func TestFrench(t *testing.T) {
	c := fresh(t)
	title := "Les chevaux et la Nationale 7 : œuvres musicales, STRASSE Straße ﬁnale ½ тест Łódź"
	if err := c.StartLive(t.Context(), liveCalled(title)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"cheval":         true,
		"nationaux":      true,
		"musical oeuvre": true,
		"ŒUVRES":         true,
		"les et la":      true, // short words count
		"des":            false,
		"strasse":        true,
		"finale":         true,
		"1 2":            true,
		"ТЕСТ":           true,
		"łód":            true,
		"chevalier":      false,
	} {
		if got := len(find(t, c, text)) == 1; got != want {
			t.Errorf("%q found: %v, want %v", text, got, want)
		}
	}
}

// Whatever letters and digits a title is made of, it is found by the beginning
// of each of its words, written in another case.
func TestEveryWordIsFound(t *testing.T) {
	c := fresh(t)
	random := rand.New(rand.NewPCG(1, 2))
	letters := []rune("aeéèêçœßxyzAÉÇŒ019éñøłжЖبש日本語한0123456789e")
	punctuation := []rune(" '’-—_/.,:;!?&|()<>*@#%^$€+=~`\"\\[]{}«»…·•🚗\u00a0\u200d")
	for range 300 {
		var title strings.Builder
		var words []string
		for range 1 + random.IntN(5) {
			word := make([]rune, 1+random.IntN(8))
			for i := range word {
				word[i] = letters[random.IntN(len(letters))]
			}
			words = append(words, string(word))
			title.WriteString(string(word))
			title.WriteRune(punctuation[random.IntN(len(punctuation))])
		}
		l := liveCalled(title.String())
		l.StartedAt = time.Now().Add(time.Duration(random.IntN(1e9)))
		if err := c.StartLive(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			letters := []rune(word)
			beginning := string(letters[:1+random.IntN(len(letters))])
			if got := find(t, c, strings.ToUpper(beginning)+" "+strings.ToLower(word)); !slices.Contains(got, l.Title) {
				t.Errorf("%q and %q do not find %q", beginning, word, l.Title)
			}
		}
	}
}

// What a stranger types is never read as a query.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{"bouchons", "a & b", "!x", "'a':*", "a <-> b", "\\", "'", "''", ":*", "(((", "\x00", "\xff", "ﬁ ½", "\u0301", "e\u0301", "ᅟ", strings.Repeat("x", 5000)} {
		f.Add(s)
	}
	c := fresh(f)
	if err := c.StartLive(f.Context(), liveCalled("Bouchons")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := find(t, c, text)
		if len(searched(text)) == 0 && len(found) != 1 {
			t.Errorf("%q has no words and restricts all the same", text)
		}
		if got := find(t, c, fmt.Sprint("xyzzyx ", text)); len(got) != 0 {
			t.Errorf("%q found %q", text, got)
		}
	})
}
