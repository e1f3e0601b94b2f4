package stationtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// titles are what the searches of liveText look through.
var titles = []string{
	"Bouchons sur l'A7 à Orange",
	"BOUCHONS SUR L\u2019A7 — ÉTÉ",
	"Éte\u0301 indien", // the second accent follows its letter
	"Nœud autoroutier de Ternay",
	"50 % des péages, \"gratuits\" (ou presque)",
	"a & b | !c <-> d:*",
	"Radio-Trafic.fr, 24/7",
	"Élan",
	"L'an 2000",
	"🚗💨",
	"",
}

// liveText is what every catalog must find. Words are runs of letters and
// digits; text without any is no restriction.
func liveText(t *testing.T, c station.Catalog) {
	byTitle := make(map[string]string)
	for i, title := range titles {
		l := sample()
		l.Title, l.StartedAt = title, noon.Add(-time.Duration(i)*time.Minute) // the first is the newest
		byTitle[start(t, c, l).ID] = title
	}
	for _, tt := range []struct {
		text string
		want []int // of titles
	}{
		{"bouchons", []int{0, 1}},
		{"BOUCHONS", []int{0, 1}},
		{"bouch", []int{0, 1}},
		{"ouchons", nil},
		{"a7", []int{0, 1}},
		{"l'A7", []int{0, 1}},
		{"l\u2019a7", []int{0, 1}},
		{"a7 bouchons", []int{0, 1}},
		{"  sur\tA7\n", []int{0, 1}},
		{"la", nil}, // L'A7 is two words
		{"a7 orange", []int{0}},
		{"a7 ternay", nil},
		{"a7 xyzzy", nil},
		{"ete", []int{1, 2}},
		{"ÉTÉ", []int{1, 2}},
		{"e\u0301te\u0301", []int{1, 2}},
		{"à", []int{0, 1, 3, 5, 8}},
		{"noeud", []int{3}},
		{"nœud", []int{3}},
		{"NŒUD AUTO", []int{3}},
		{"peages", []int{4}},
		{"50", []int{4}},
		{"50 %", []int{4}},
		{"50%", []int{4}},
		{"5_", []int{4}},
		{"\"gratuits\"", []int{4}},
		{"gratuits\"", []int{4}},
		{"(presque", []int{4}},
		{"ou) NOT presque", nil}, // NOT is a word here
		{"bouchons OR ternay", nil},
		{"title:bouchons", nil},
		{"a & b | !c", []int{5}},
		{"!b", []int{0, 1, 5}},
		{"d:*", []int{3, 4, 5}},
		{"la de du", nil},
		{"sur à", []int{0, 1}},
		{"bouchons*", []int{0, 1}},
		{"^bouchons", []int{0, 1}},
		{"-bouchons +a7", []int{0, 1}},
		{"NEAR(bouchons a7)", nil},
		{"{bouchons}", []int{0, 1}},
		{"bouchons \\", []int{0, 1}},
		{"bouchons'; DROP TABLE lives; --", nil},
		{"fr 24", []int{6}},
		{"trafic", []int{6}},
		{"radio-trafic.fr", []int{6}},
		{"24/7", []int{6}},
		{"elan", []int{7}},
		{"2000", []int{8}},
		{strings.Repeat("bouchons ", 1000), []int{0, 1}},
	} {
		got, err := c.ListLives(t.Context(), station.LiveQuery{Text: tt.text})
		if err != nil {
			t.Errorf("searching for %.60q: %v", tt.text, err)
			continue
		}
		var found, want []string
		for _, l := range got {
			found = append(found, byTitle[l.ID])
		}
		for _, i := range tt.want {
			want = append(want, titles[i])
		}
		if !slices.Equal(found, want) {
			t.Errorf("searching for %.60q found %q, want %q", tt.text, found, want)
		}
	}
	for _, text := range []string{" ", "'", "\"", "*", "%", "_", "\\", "&", "🚗", "!() | & :* <->", "\"\"", "\u0301", "\xff", "-- ;"} {
		got, err := c.ListLives(t.Context(), station.LiveQuery{Text: text})
		if err != nil || len(got) != len(titles) {
			t.Errorf("searching for %q, in which there is no word, found %d lives of %d (%v)", text, len(got), len(titles), err)
		}
	}
}

// liveSearch combines what a live can be searched by.
func liveSearch(t *testing.T, c station.Catalog) {
	names := make(map[string]string)
	add := func(name string, change func(l *station.Live)) {
		l := sample()
		l.ID, l.Tags = uuid.NewString(), []string{"a7", "été"}
		change(&l)
		names[start(t, c, l).ID] = name
	}
	add("now", func(l *station.Live) { l.StartedAt = noon })
	add("creator", func(l *station.Live) { l.StartedAt, l.CreatorID = noon.Add(-1*time.Hour), "o'neil" })
	add("zone", func(l *station.Live) { l.StartedAt, l.ZoneGeo = noon.Add(-2*time.Hour), "Provence-Alpes-Côte d'Azur" })
	add("tags", func(l *station.Live) {
		l.StartedAt, l.Tags = noon.Add(-3*time.Hour), []string{"a71", "100%", "\"x\", [y]", "été"}
	})
	add("title", func(l *station.Live) { l.StartedAt, l.Title = noon.Add(-4*time.Hour), "Météo" })
	add("bare", func(l *station.Live) {
		l.StartedAt, l.Tags, l.ZoneGeo, l.Title = noon.Add(-5*time.Hour), nil, "", ""
	})
	add("node", func(l *station.Live) { l.StartedAt, l.Node = noon.Add(-6*time.Hour), "node-2" })
	for id, name := range names {
		if name == "node" {
			ok(t, c.EndLive(t.Context(), id, station.End{At: noon, State: station.Ended}))
		}
	}

	for _, tt := range []struct {
		name string
		q    station.LiveQuery
		want string
	}{
		{"creator", station.LiveQuery{CreatorID: "o'neil"}, "creator"},
		{"part of a creator", station.LiveQuery{CreatorID: "o"}, ""},
		{"zone", station.LiveQuery{ZoneGeo: "Provence-Alpes-Côte d'Azur"}, "zone"},
		{"zone of many", station.LiveQuery{ZoneGeo: "Rhône-Alpes"}, "now creator tags title node"},
		{"tag", station.LiveQuery{Tag: "a7"}, "now creator zone title node"},
		{"tag that begins with another", station.LiveQuery{Tag: "a71"}, "tags"},
		{"tag with a sign", station.LiveQuery{Tag: "100%"}, "tags"},
		{"tag with all signs", station.LiveQuery{Tag: "\"x\", [y]"}, "tags"},
		{"last tag", station.LiveQuery{Tag: "été"}, "now creator zone tags title node"},
		{"tag nobody has", station.LiveQuery{Tag: "%"}, ""},
		{"since", station.LiveQuery{Since: noon.Add(-2 * time.Hour)}, "now creator zone"},
		{"since and before", station.LiveQuery{Since: noon.Add(-2 * time.Hour), Before: noon}, "creator zone"},
		{"text and tag", station.LiveQuery{Text: "bouchons", Tag: "a7"}, "now creator zone node"},
		{"text, tag, zone", station.LiveQuery{Text: "bouchons", Tag: "a7", ZoneGeo: "Rhône-Alpes"}, "now creator node"},
		{"text, tag, zone, state", station.LiveQuery{Text: "a7", Tag: "été", ZoneGeo: "Rhône-Alpes", State: station.OnAir}, "now creator tags"},
		{"tag, state, node", station.LiveQuery{Tag: "a7", State: station.Ended, Node: "node-2"}, "node"},
		{"creator, zone, state", station.LiveQuery{CreatorID: "créateur-42", ZoneGeo: "Rhône-Alpes", State: station.OnAir}, "now tags title"},
		{"creator, state", station.LiveQuery{CreatorID: "créateur-42", State: station.Ended}, "node"},
		{"zone, node", station.LiveQuery{ZoneGeo: "Rhône-Alpes", Node: "node-1"}, "now creator tags title"},
		{"everything", station.LiveQuery{
			State: station.OnAir, Node: "node-1", CreatorID: "créateur-42", ZoneGeo: "Rhône-Alpes", Tag: "été", Text: "bouchons l'a7",
			Since: noon.Add(-24 * time.Hour), Before: noon.Add(time.Second), Limit: 1,
		}, "now"},
	} {
		got, err := c.ListLives(t.Context(), tt.q)
		ok(t, err)
		var found []string
		for _, l := range got {
			found = append(found, names[l.ID])
		}
		if f := strings.Join(found, " "); f != tt.want {
			t.Errorf("%s: found %q, want %q", tt.name, f, tt.want)
		}
	}
}

// liveSearchPages turns the pages of every kind of search over lives of which
// many start in the same microsecond.
func liveSearchPages(t *testing.T, c station.Catalog) {
	for i := range 9 {
		startAt(t, c, noon.Add(time.Duration(i/4)*time.Microsecond))
	}
	whole, err := c.ListLives(t.Context(), station.LiveQuery{})
	ok(t, err)
	for name, q := range map[string]station.LiveQuery{
		"creator":       {CreatorID: "créateur-42"},
		"zone":          {ZoneGeo: "Rhône-Alpes"},
		"tag":           {Tag: "été"},
		"text":          {Text: "bouchons"},
		"text and tag":  {Text: "bouchons", Tag: "a7"},
		"since":         {Since: noon},
		"state, tag":    {State: station.OnAir, Tag: "a7"},
		"creator, text": {CreatorID: "créateur-42", Text: "a7"},
	} {
		var paged []station.Live
		q.Limit = 2
		for range 10 {
			page, err := c.ListLives(t.Context(), q)
			ok(t, err)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			q.Before, q.BeforeID = page[len(page)-1].StartedAt, page[len(page)-1].ID
		}
		if !slices.Equal(liveIDs(paged), liveIDs(whole)) {
			t.Errorf("%s: pages gave %v, want %v", name, liveIDs(paged), liveIDs(whole))
		}
	}
}
