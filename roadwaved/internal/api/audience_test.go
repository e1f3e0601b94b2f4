package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A station's audience is what the API wants.
var _ api.Listeners = (*station.Audience)(nil)

// send makes a request with a JSON body from the usual address.
func send(a http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

const livePath = "/v1/lives/" + onAirID

func TestListening(t *testing.T) {
	house := &audience{counters: map[string]station.Counters{onAirID: {Listeners: 12, Likes: 3, Reports: 1, Visits: 40}}}
	a := newAPI(t, func(c *api.Config) { c.Audience, c.Identify = house, tokens })

	w := send(a, "POST", livePath+"/listeners", `{"user_id":"marie","position":{"lat":44.93,"lon":4.89,"accuracy":12},"app":"1.2"}`)
	if w.Code != 201 || w.Header().Get("Location") != livePath+"/listeners/ticket" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("join: %d %v %s", w.Code, w.Header(), w.Body)
	}
	sameJSON(t, w.Body.String(), `{"listener_id":"ticket","heartbeat_seconds":10}`)
	j := house.joined[0]
	if j.LiveID != onAirID || j.UserID != "~marie" || j.Position == nil || *j.Position != (station.Position{Lat: 44.93, Lon: 4.89}) || j.Origin == "" {
		t.Errorf("joined as %+v", j)
	}
	send(a, "POST", livePath+"/listeners", `{}`)
	send(a, "POST", livePath+"/listeners", `{"user_id":"marie"}`, "Authorization", "Bearer elise")
	if house.joined[1].UserID != "" || house.joined[1].Position != nil || house.joined[2].UserID != "elise" {
		t.Errorf("joined as %+v", house.joined[1:])
	}

	if w := do(a, "PUT", livePath+"/listeners/ticket"); w.Code != 204 || w.Body.Len() != 0 || house.beats[0] != "ticket "+j.Origin {
		t.Errorf("heartbeat: %d, %v", w.Code, house.beats)
	}
	if w := do(a, "DELETE", livePath+"/listeners/ticket"); w.Code != 204 || house.left[0] != "ticket" {
		t.Errorf("leave: %d, %v", w.Code, house.left)
	}

	sameJSON(t, send(a, "POST", livePath+"/likes", `{"user_id":"marie"}`).Body.String(), `{"first":true,"listeners":12,"likes":3,"reports":1}`)
	sameJSON(t, send(a, "POST", livePath+"/reports", `{"user_id":"marie","category":"spam"}`, "Authorization", "Bearer elise").Body.String(),
		`{"first":false,"listeners":12,"likes":3,"reports":1}`)
	like, report := house.reacted[0], house.reacted[1]
	if like != (station.Reacting{LiveID: onAirID, UserID: "~marie", Origin: j.Origin, Reaction: station.Like}) ||
		report != (station.Reacting{LiveID: onAirID, UserID: "elise", Origin: report.Origin, Reaction: station.Report, Category: "spam"}) {
		t.Errorf("%+v, %+v", like, report)
	}

	var l api.Live
	if err := json.Unmarshal(do(a, "GET", livePath).Body.Bytes(), &l); err != nil || l.Counters != (api.Counters{Listeners: 12, Likes: 3, Reports: 1}) {
		t.Errorf("%+v, %v", l.Counters, err)
	}
	var list api.LiveList
	if err := json.Unmarshal(do(a, "GET", "/v1/lives?state=all").Body.Bytes(), &list); err != nil || list.Lives[0].Listeners != 12 || list.Lives[1].Likes != 7 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestListeningProblems(t *testing.T) {
	house := &audience{}
	a := newAPI(t, func(c *api.Config) { c.Audience, c.Identify = house, tokens })
	listener := livePath + "/listeners/ticket"
	for _, tt := range []struct {
		method, path, body, token string
		err                       error
		status                    int
		code                      string
	}{
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "", station.ErrNotFound, 404, "live-not-found"},
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "", station.ErrGone, 410, "live-over"},
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "", station.ErrCrowded, 429, "crowded"},
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "", fmt.Errorf("board: %w", station.ErrAway), 503, "unavailable"},
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "", errBroken, 500, "internal-error"},
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "", &station.InvalidError{Field: "user_id", Message: "Non", Detail: "no"}, 422, "invalid-request"},
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "expired", nil, 401, "token-expired"},
		{"POST", livePath + "/listeners", `{"user_id":"a"}`, "away", nil, 503, "unavailable"},
		{"POST", livePath + "/listeners", `{"user_id":"` + strings.Repeat("a", 201) + `"}`, "", nil, 422, "invalid-request"},
		{"POST", livePath + "/listeners", `{"user_id":7}`, "", nil, 422, "invalid-request"},
		{"POST", livePath + "/listeners", `{"position":{"lat":91,"lon":0}}`, "", nil, 422, "invalid-request"},
		{"POST", livePath + "/listeners", `{"position":{"lat":45}}`, "", nil, 422, "invalid-request"},
		{"POST", livePath + "/listeners", ``, "", nil, 400, "invalid-request"},
		{"POST", livePath + "/listeners", `{`, "", nil, 400, "invalid-request"},
		{"POST", livePath + "/listeners", `{"user_id":"` + strings.Repeat("a", 5000) + `"}`, "", nil, 413, "invalid-request"},
		{"POST", livePath + "/likes", `{"user_id":"a"}`, "", station.ErrNotFound, 404, "live-not-found"},
		{"POST", livePath + "/likes", `{"user_id":"a"}`, "", station.ErrCrowded, 429, "crowded"},
		{"POST", livePath + "/reports", `{"user_id":"a"}`, "", nil, 422, "invalid-request"},
		{"POST", livePath + "/reports", `{"user_id":"a","category":"boring"}`, "", nil, 422, "invalid-request"},
		{"PUT", listener, ``, "", station.ErrNotFound, 404, "listener-unknown"},
		{"PUT", listener, ``, "", station.ErrGone, 410, "listener-gone"},
		{"PUT", listener, ``, "", station.ErrCrowded, 429, "crowded"},
		{"PUT", listener, ``, "", station.ErrAway, 503, "unavailable"},
		{"PUT", listener, ``, "", errBroken, 500, "internal-error"},
		{"DELETE", listener, ``, "", station.ErrNotFound, 404, "listener-unknown"},
		{"DELETE", listener, ``, "", station.ErrGone, 410, "listener-gone"},
		{"GET", listener, ``, "", nil, 405, "method-not-allowed"},
	} {
		house.err = tt.err
		var token []string
		if tt.token != "" {
			token = []string{"Authorization", "Bearer " + tt.token}
		}
		w := send(a, tt.method, tt.path, tt.body, token...)
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != tt.status || p.Code != tt.code || p.Detail == "" {
			t.Errorf("%s %s %.40s: %d %s", tt.method, tt.path, tt.body, w.Code, w.Body)
		}
		if again := tt.status == 429 || tt.status == 503; again != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", tt.code, w.Header().Get("Retry-After"))
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s tells what is inside: %s", tt.path, w.Body)
		}
	}
	house.err = errors.New("x")
	if w := send(a, "POST", livePath+"/likes", `{"user_id":"a"}`, "Content-Type", "text/plain"); w.Code != 415 {
		t.Errorf("a body that another site's page may send: %d", w.Code)
	}
}

// TestListeningMatchesTheDocument checks answers to writes as
// TestAnswersMatchTheDocument does for reads.
func TestListeningMatchesTheDocument(t *testing.T) {
	a := newAPI(t, nil)
	for path, body := range map[string]string{"listeners": `{}`, "likes": `{"user_id":"a"}`, "reports": `{"user_id":"a","category":"spam"}`} {
		w := send(a, "POST", livePath+"/"+path, body)
		response := a.Document().Paths["/v1/lives/{live_id}/"+path].Post.Responses[fmt.Sprint(w.Code)]
		if response == nil {
			t.Fatalf("%s: %d is not documented", path, w.Code)
		}
		var got any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var result huma.ValidateResult
		huma.Validate(a.Document().Components.Schemas, response.Content["application/json"].Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, got, &result)
		for _, err := range result.Errors {
			t.Errorf("%s: %v\n%s", path, err, w.Body)
		}
	}
}

// Who sends no good token does not get as far as the WHIP handler.
func TestAtTheDoor(t *testing.T) {
	a := newAPI(t, func(c *api.Config) { c.Identify = tokens })
	for _, tt := range []struct {
		method, path, token string
		want                int
	}{
		{"POST", "/whip", "", 401}, {"POST", "/whip", "expired", 401}, {"POST", "/whip", "away", 503}, {"POST", "/whip", "elise", 200},
		{"PATCH", "/whip/x", "", 401}, {"DELETE", "/whip/x", "", 401}, {"DELETE", "/whip/x", "elise", 200},
		{"OPTIONS", "/whip", "", 200}, {"OPTIONS", "/whip/x", "", 200},
	} {
		var token []string
		if tt.token != "" {
			token = []string{"Authorization", "Bearer " + tt.token}
		}
		w := do(a, tt.method, tt.path, token...)
		if w.Code != tt.want || (w.Code == 200) != (w.Body.String() == "whip") {
			t.Errorf("%s %s %q: %d %s", tt.method, tt.path, tt.token, w.Code, w.Body)
		}
		challenge := w.Header().Get("WWW-Authenticate")
		if tt.token == "expired" && !strings.Contains(challenge, "invalid_token") || tt.token == "" && tt.want == 401 && challenge != "Bearer" {
			t.Errorf("%q: WWW-Authenticate %q", tt.token, challenge)
		}
	}
}
