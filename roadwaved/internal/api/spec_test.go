package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestEveryRouteIsDocumented holds routes and document together, both ways.
func TestEveryRouteIsDocumented(t *testing.T) {
	a := newAPI(t, nil)
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(do(a, "GET", "/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	routed := map[string]bool{}
	for path, operations := range doc.Paths {
		for method := range operations {
			routed[strings.ToUpper(method)+" "+path] = false
		}
	}
	for _, route := range a.Routes() {
		if slices.Contains(api.Pages, strings.TrimPrefix(route, "GET ")) {
			continue
		}
		found := false
		for operation := range routed {
			if answers(route, operation) {
				routed[operation], found = true, true
			}
		}
		if !found {
			t.Errorf("route %q is not in the document", route)
		}
	}
	for operation, ok := range routed {
		if !ok {
			t.Errorf("%q is documented, but there is no route", operation)
		}
	}
}

// answers tells whether a mux pattern takes the requests of an operation.
func answers(route, operation string) bool {
	method, path, _ := strings.Cut(operation, " ")
	if m, p, ok := strings.Cut(route, " "); ok {
		return m == method && p == path
	}
	return route == path || strings.HasSuffix(route, "/") && strings.HasPrefix(path, route)
}

func TestGoldenDocument(t *testing.T) {
	var got bytes.Buffer
	if err := json.Indent(&got, do(newAPI(t, nil), "GET", "/openapi.json").Body.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("the OpenAPI document changed; if that is meant, run go test -update and look at the difference")
	}
}

// Every answer that means “later” is documented with when.
func TestRetryAfterIsDocumented(t *testing.T) {
	for path, item := range newAPI(t, nil).Document().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			for _, status := range []string{"429", "503"} {
				if r := op.Responses[status]; r != nil && r.Headers["Retry-After"] == nil {
					t.Errorf("%s %s, %s: no Retry-After", op.Method, path, status)
				}
			}
			if media := strings.HasPrefix(path, "/live/") || strings.HasPrefix(path, "/replay/"); media && (op.Responses["405"] == nil || op.Responses["416"] == nil || op.Responses["503"] == nil) {
				t.Errorf("%s lacks an answer of media", path)
			}
		}
	}
}

// TestAnswersMatchTheDocument checks bodies against the schemas that the
// document promises for their status and content type.
func TestAnswersMatchTheDocument(t *testing.T) {
	a := newAPI(t, nil)
	paths := a.Document().Paths
	for _, tt := range []struct {
		target string
		item   string
		status string
	}{
		{"/v1/lives?state=all", "/v1/lives", "200"},
		{"/v1/lives?state=all&limit=2", "/v1/lives", "200"},
		{"/v1/lives?limit=x", "/v1/lives", "422"},
		{"/v1/lives/" + onAirID, "/v1/lives/{live_id}", "200"},
		{"/v1/lives/" + endedID, "/v1/lives/{live_id}", "200"},
		{"/v1/lives/" + lostID, "/v1/lives/{live_id}", "200"},
		{"/v1/lives/none", "/v1/lives/{live_id}", "404"},
		{"/v1/lives/" + brokenID, "/v1/lives/{live_id}", "500"},
		{"/v1/lives/none/events", "/v1/lives/{live_id}/events", "404"},
		{"/whip/none/events", "/whip/{live_id}/events", "404"},
		{"/v1/replays", "/v1/replays", "200"},
		{"/v1/replays?limit=1", "/v1/replays", "200"},
		{"/v1/replays/" + replayID, "/v1/replays/{replay_id}", "200"},
		{"/v1/replays/none", "/v1/replays/{replay_id}", "404"},
	} {
		w := do(a, "GET", tt.target)
		response := paths[tt.item].Get.Responses[tt.status]
		if response == nil {
			t.Errorf("%s: status %s is not documented", tt.item, tt.status)
			continue
		}
		content := response.Content[w.Header().Get("Content-Type")]
		if content == nil {
			t.Errorf("%s: %s is not documented", tt.target, w.Header().Get("Content-Type"))
			continue
		}
		var body any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: %v", tt.target, err)
		}
		var result huma.ValidateResult
		path := huma.NewPathBuffer(nil, 0)
		huma.Validate(a.Document().Components.Schemas, content.Schema, path, huma.ModeReadFromServer, body, &result)
		for _, err := range result.Errors {
			t.Errorf("%s: %v\n%s", tt.target, err, w.Body)
		}
	}
}
