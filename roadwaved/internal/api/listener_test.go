package api_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/auth"
)

// Where people prove who they are, nobody else takes part in their name.
func TestNamesAreNotTaken(t *testing.T) {
	open, err := auth.Open("open", auth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		edit                 func(*api.Config)
		claimed, token, want string
	}{
		"claimed":                 {func(c *api.Config) { c.Identify = tokens }, "elise", "", "~elise"},
		"claimed with space":      {func(c *api.Config) { c.Identify = tokens }, "  elise ", "", "~elise"},
		"claimed as it is stored": {func(c *api.Config) { c.Identify = tokens }, "~elise", "", "~elise"},
		"proven":                  {func(c *api.Config) { c.Identify = tokens }, "marie", "Bearer elise", "elise"},
		"open, claimed":           {func(c *api.Config) { c.Identify = open.Identify }, "elise", "", "elise"},
		"open, token":             {func(c *api.Config) { c.Identify = open.Identify }, "marie", "Bearer elise", "elise"},
		"nobody asks":             {nil, "elise", "", "elise"},
	} {
		house := &audience{}
		a := newAPI(t, func(c *api.Config) {
			if c.Audience = house; tt.edit != nil {
				tt.edit(c)
			}
		})
		send(a, "POST", livePath+"/listeners", `{"user_id":"`+tt.claimed+`"}`, "Authorization", tt.token)
		send(a, "POST", livePath+"/likes", `{"user_id":"`+tt.claimed+`"}`, "Authorization", tt.token)
		if house.joined[0].UserID != tt.want || house.reacted[0].UserID != tt.want {
			t.Errorf("%s: joined as %q, liked as %q, want %q", name, house.joined[0].UserID, house.reacted[0].UserID, tt.want)
		}
	}
	house := &audience{}
	a := newAPI(t, func(c *api.Config) { c.Audience, c.Identify = house, tokens })
	send(a, "POST", livePath+"/listeners", `{"user_id":" "}`)
	if got := house.joined[0].UserID; got != "" {
		t.Errorf("who says nothing is %q", got)
	}
}

// Who proved who they are is one wherever they are, and costs their neighbours
// nothing; a stranger's word, or a token in open mode, changes nothing.
func TestOriginsOfReactions(t *testing.T) {
	open, err := auth.Open("open", auth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	origins := func(edit func(*api.Config), tokens ...string) (all []string) {
		house := &audience{}
		a := newAPI(t, func(c *api.Config) { c.Audience, c.TrustedProxies = house, testNet; edit(c) })
		for i, token := range tokens {
			address := []string{"198.51.100.1", "2001:db8::1"}[i%2]
			send(a, "POST", livePath+"/likes", `{"user_id":"a"}`, "Authorization", token, "X-Forwarded-For", address)
			all = append(all, house.reacted[i].Origin)
		}
		return all
	}
	known := func(c *api.Config) { c.Identify = tokens }
	got := origins(known, "Bearer elise", "Bearer elise", "Bearer marie", "", "")
	if got[0] != got[1] || got[0] == got[2] || got[2] == got[4] || got[3] == got[4] || len(got[0]) != 24 || strings.Contains(got[0], "elise") {
		t.Errorf("%q", got)
	}
	got = origins(func(c *api.Config) { c.Identify = open.Identify }, "Bearer elise", "", "Bearer marie")
	if got[0] != got[2] {
		t.Errorf("in open mode %q", got)
	}
}

// What is written to disk when somebody leaves is written once, however often
// they say it; what went wrong may be tried again.
func TestLeavingOnce(t *testing.T) {
	house := &audience{}
	a := newAPI(t, func(c *api.Config) { c.Audience = house })
	for range 5 {
		if w := do(a, "DELETE", livePath+"/listeners/one"); w.Code != 204 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	do(a, "DELETE", livePath+"/listeners/two")
	do(a, "DELETE", "/v1/lives/"+endedID+"/listeners/one")
	if got := strings.Join(house.left, " "); got != "one two one" {
		t.Errorf("left: %s", got)
	}
	house.err = errors.New("no")
	for range 2 {
		if w := do(a, "DELETE", livePath+"/listeners/three"); w.Code != 500 {
			t.Errorf("%d", w.Code)
		}
	}
	house.err = nil
	if w := do(a, "DELETE", livePath+"/listeners/three"); w.Code != 204 || len(house.left) != 6 {
		t.Errorf("%d, %v", w.Code, house.left)
	}
}
