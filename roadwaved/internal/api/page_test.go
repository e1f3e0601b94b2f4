package api_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Lives and replays that begin in the same instant are all given, once, whatever
// the size of the pages.
func TestPaging(t *testing.T) {
	c := newCatalog()
	c.lives, c.replays = nil, nil
	for i := range 11 {
		id := fmt.Sprintf("%02d", 99-i)
		at := noon.Add(-time.Duration(i/4) * time.Microsecond) // four at a time
		c.lives = append(c.lives, station.Live{ID: id, StartedAt: at, State: station.OnAir})
		c.replays = append(c.replays, station.Replay{ID: id, PublishedAt: at, Key: "replay/" + id})
	}
	a := newAPI(t, func(cfg *api.Config) { cfg.Lives, cfg.Replays = c, c })
	for _, list := range []struct{ path, field, id string }{{"/v1/lives", "lives", "live_id"}, {"/v1/replays", "replays", "replay_id"}} {
		for limit := 1; limit <= 12; limit++ {
			var ids []string
			query := ""
			for page := 0; ; page++ {
				if page > 20 {
					t.Fatalf("%s, %d a page: no end", list.path, limit)
				}
				w := do(a, "GET", fmt.Sprintf("%s?limit=%d%s", list.path, limit, query))
				var got map[string]json.RawMessage
				var rows []map[string]any
				if json.Unmarshal(w.Body.Bytes(), &got) != nil || json.Unmarshal(got[list.field], &rows) != nil {
					t.Fatalf("%s: %d %s", list.path, w.Code, w.Body)
				}
				for _, row := range rows {
					ids = append(ids, row[list.id].(string))
				}
				var next string
				if got["next_cursor"] == nil {
					break
				}
				if err := json.Unmarshal(got["next_cursor"], &next); err != nil {
					t.Fatal(err)
				}
				query = "&cursor=" + next
			}
			if want := "[99 98 97 96 95 94 93 92 91 90 89]"; fmt.Sprint(ids) != want {
				t.Errorf("%s, %d a page: %v", list.path, limit, ids)
			}
		}
	}
	for _, bad := range []string{"x", "!!", "MTIz", "LjE", "eC4x"} {
		if w := do(a, "GET", "/v1/lives?cursor="+bad); w.Code != 422 {
			t.Errorf("cursor %q: %d", bad, w.Code)
		}
	}
}

func TestSearch(t *testing.T) {
	c := newCatalog()
	a := newAPI(t, func(cfg *api.Config) { cfg.Lives = c })
	w := do(a, "GET", "/v1/lives?state=all&creator_id=elise&zone_geo=Dr%C3%B4me&tag=Nuit&q=national+7&since=2026-05-01T00:00:00Z&limit=7")
	want := station.LiveQuery{
		CreatorID: "elise", ZoneGeo: "Drôme", Tag: "nuit", Text: "national 7", Limit: 7,
		Since: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
	}
	if w.Code != 200 || c.asked != want {
		t.Errorf("%d, asked for %+v", w.Code, c.asked)
	}
}

// One letter begins a word of nearly every title: that is no search.
func TestSearchNeedsAWord(t *testing.T) {
	a := newAPI(t, nil)
	for q, want := range map[string]int{
		"": 200, "%20": 200, "na": 200, "n7": 200, "13": 200, "a+na": 200, "l%27%C3%A9t%C3%A9": 200, "e%CC%81t": 200,
		"n": 422, "7": 422, "a+b": 422, "a-b": 422, "e%CC%81": 422, "%21%21": 422,
	} {
		if w := do(a, "GET", "/v1/lives?q="+q); w.Code != want {
			t.Errorf("%q: %d %s", q, w.Code, w.Body)
		}
	}
}

// FuzzCursor reads cursors that nobody gave: what is read can be written again.
func FuzzCursor(f *testing.F) {
	f.Add(string(api.CursorAt(noon, onAirID)))
	f.Add("MTc3NzYzNjgwMDAwMDAwMC4x")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		at, id, err := api.ReadCursor(api.Cursor(s))
		if err != nil {
			return
		}
		if at.Year() > 9999 || at.Year() < 1970 || id == "" || len(id) > 64 {
			t.Fatalf("%q: %v %q", s, at, id)
		}
		if again, sameID, err := api.ReadCursor(api.CursorAt(at, id)); err != nil || !again.Equal(at) || sameID != id {
			t.Fatalf("%q: %v %q, then %v %q: %v", s, at, id, again, sameID, err)
		}
	})
}
