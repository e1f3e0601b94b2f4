package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// fill writes n lives that are over, and a hundred on air, as they would be after
// years: a few creators with many of them, words that are in every second title
// and words that are in few.
func fill(t testing.TB, c *Catalog, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	tx, err := c.writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	insert, err := tx.Prepare(`INSERT INTO lives (live_id, creator_id, title, started_at, zone_geo, tags, classification_age, state, node, ended_at)
		VALUES (?, ?, ?, ?, ?, ?, '', ?, 'n', ?)`)
	if err != nil {
		t.Fatal(err)
	}
	defer insert.Close()
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n + 100 {
		at := start.Add(time.Duration(i) * time.Minute)
		state, ended := station.Ended, stamp(at.Add(time.Hour))
		if i%(n/100+1) == 0 {
			state, ended = station.OnAir, stamp(time.Time{})
		}
		title := fmt.Sprintf("%s sur l'A%d, n° %d", []string{"Bouchons", "Météo"}[random.IntN(2)], random.IntN(100), i)
		tags := fmt.Sprintf(`["a%d", "été", "%d"]`, random.IntN(100), i)
		_, err := insert.Exec(uuid.NewString(), fmt.Sprint("creator-", random.IntN(1000)), title, stamp(at), fmt.Sprint("zone-", random.IntN(50)), tags, state, ended)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// plan is how SQLite goes about a query.
func plan(t *testing.T, c *Catalog, query string, args ...any) string {
	t.Helper()
	rows, err := c.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	steps, err := collect(rows, err, func(r row) (string, error) {
		var id, parent, unused int
		var detail string
		err := r.Scan(&id, &parent, &unused, &detail)
		return detail, err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(steps, "; ")
}

// Every search begins where there is least to read, and only one for words sorts
// what it found; also after somebody let SQLite gather its statistics.
func TestSearchPlans(t *testing.T) {
	const byWords = "live_titles VIRTUAL TABLE INDEX"
	c := openNew(t)
	fill(t, c, 5000)
	for _, statement := range []string{"SELECT 1", "ANALYZE"} {
		if _, err := c.writer.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			q     station.LiveQuery
			index string
		}{
			{station.LiveQuery{}, "lives_started_at"},
			{station.LiveQuery{Before: time.Now(), BeforeID: "x"}, "lives_started_at"},
			{station.LiveQuery{Since: time.Now()}, "lives_started_at"},
			{station.LiveQuery{State: station.OnAir}, "lives_state"},
			{station.LiveQuery{State: station.OnAir, CreatorID: "c", ZoneGeo: "z", Node: "n"}, "lives_state"},
			{station.LiveQuery{State: station.Ended}, "lives_state"},
			{station.LiveQuery{State: station.Ended, CreatorID: "c"}, "lives_creator_id"},
			{station.LiveQuery{CreatorID: "c", ZoneGeo: "z", Before: time.Now()}, "lives_creator_id"},
			{station.LiveQuery{ZoneGeo: "z", State: station.Ended, Since: time.Now(), Before: time.Now()}, "lives_zone_geo"},
			{station.LiveQuery{Tag: "t"}, "PRIMARY KEY (tag=?)"},
			{station.LiveQuery{Tag: "t", State: station.OnAir, CreatorID: "c", Before: time.Now()}, "lives_state"},
			{station.LiveQuery{Tag: "t", State: station.Ended, Before: time.Now()}, "PRIMARY KEY (tag=? AND (started_at,live_id)<(?,?)"},
			{station.LiveQuery{Tag: "t", CreatorID: "c", ZoneGeo: "z"}, "lives_creator_id"},
			{station.LiveQuery{Text: "mot", CreatorID: "c"}, "lives_creator_id"},
			{station.LiveQuery{Text: "mot", Tag: "t", State: station.OnAir}, "lives_state"},
			{station.LiveQuery{Text: "mot"}, byWords},
			{station.LiveQuery{Text: "mot", Tag: "t", State: station.Ended}, byWords},
		} {
			query, args := searchLives(tt.q)
			p := plan(t, c, query, args...)
			sorts := strings.Contains(p, "TEMP B-TREE")
			if !strings.Contains(strings.Split(p, ";")[0], tt.index) || sorts != (tt.index == byWords) {
				t.Errorf("after %s: %+v\nis done by %q, want %s", statement, tt.q, p, tt.index)
			}
		}
	}
}

func TestMatchExpression(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		" \t'\"*%_":              "",
		"🚗":                      "",
		"\u0301":                 "",
		"\xff\xfe":               "",
		"l'A7":                   `"A7"* "l"*`,
		`"a" AND b NOT c*`:       `"AND"* "NOT"* "a"* "b"* "c"*`,
		"a a  a":                 `"a"*`,
		"Œuvre æther":            `"aether"* "oeuvre"*`,
		"e\u0301te\u0301":        "\"e\u0301te\u0301\"*",
		"NEAR(a, 2) {x} : -y ^z": `"2"* "NEAR"* "a"* "x"* "y"* "z"*`,
	} {
		if got := matchExpression(text); got != want {
			t.Errorf("%q becomes %s, want %s", text, got, want)
		}
	}
}

// Whatever a stranger types is a search, never an error.
func FuzzText(f *testing.F) {
	c, err := Open(f.Context(), filepath.Join(f.TempDir(), "catalog.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close() })
	fill(f, c, 100)
	for _, seed := range []string{"bouchons", "l'A7", `"`, `"" OR "`, "a*", "NEAR(a b)", "words:a", "\x00", "a\x00b", "é\u0301", "\u0301a", "ﬀ²½", "日本語", "٣", "\u0345"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := c.ListLives(t.Context(), station.LiveQuery{Text: text})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if matchExpression(text) == "" && len(all) != 50 {
			t.Errorf("%q holds no word and found %d lives", text, len(all))
		}
	})
}

// BenchmarkSearch finds the first page among a hundred thousand lives.
func BenchmarkSearch(b *testing.B) {
	c := open(b, filepath.Join(b.TempDir(), "catalog.db"))
	fill(b, c, 100_000)
	for _, tt := range []struct {
		name string
		q    station.LiveQuery
	}{
		{"on air", station.LiveQuery{State: station.OnAir}},
		{"creator", station.LiveQuery{CreatorID: "creator-7"}},
		{"creator, ended", station.LiveQuery{CreatorID: "creator-7", State: station.Ended}},
		{"zone", station.LiveQuery{ZoneGeo: "zone-7"}},
		{"common tag", station.LiveQuery{Tag: "été"}},
		{"rare tag", station.LiveQuery{Tag: "5000"}},
		{"common tag, creator", station.LiveQuery{Tag: "été", CreatorID: "creator-7"}},
		{"common word", station.LiveQuery{Text: "bouchons"}},
		{"letter", station.LiveQuery{Text: "l"}},
		{"rare word", station.LiveQuery{Text: "5000"}},
		{"two words", station.LiveQuery{Text: "bouchons a7"}},
		{"word, creator", station.LiveQuery{Text: "bouchons", CreatorID: "creator-7"}},
		{"common tag, on air", station.LiveQuery{Tag: "été", State: station.OnAir}},
		{"word, tag", station.LiveQuery{Text: "bouchons", Tag: "a7"}},
		{"word, on air", station.LiveQuery{Text: "bouchons", State: station.OnAir}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.ListLives(b.Context(), tt.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
