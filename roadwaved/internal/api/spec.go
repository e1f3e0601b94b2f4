package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

type requestKey struct{}

// requestOf is the request that an operation answers.
func requestOf(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

func (a *API) originOf(ctx context.Context) origin { return a.origin(requestOf(ctx)) }

// describe mounts the JSON operations, which document themselves, and
// documents by hand the routes that huma does not serve.
func (a *API) describe() {
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "RoadWave",
				Version:     a.config.Version,
				Description: "Live radio for people on the road: lives on air, their replays, and what happens to them.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"creator": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "Who sends the request: a JSON Web Token with sub, exp and, for some, premium and role. In open mode it is the id itself."},
				},
			},
			Tags: []*huma.Tag{{Name: "lives"}, {Name: "audience"}, {Name: "replays"}, {Name: "broadcast"}, {Name: "media"}},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
	}
	h := humago.New(a, config)
	h.UseMiddleware(a.publicAnswer)
	read := func(id, path, tag, summary string, errs ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{tag}, Summary: summary,
			Errors: append(errs, http.StatusUnprocessableEntity, http.StatusServiceUnavailable),
		}
	}
	huma.Register(h, read("list-lives", "/v1/lives", "lives", "Lives, the newest first"), a.listLives)
	huma.Register(h, read("get-live", "/v1/lives/{live_id}", "lives", "One live", http.StatusNotFound), a.getLive)
	huma.Register(h, read("list-replays", "/v1/replays", "replays", "Replays, the newest first"), a.listReplays)
	huma.Register(h, read("get-replay", "/v1/replays/{replay_id}", "replays", "One replay", http.StatusNotFound), a.getReplay)

	if a.config.Audience != nil {
		a.describeAudience(h)
	}
	doc := h.OpenAPI()
	d := documenter{doc, doc.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")}
	d.streams()
	if a.config.Audience != nil {
		d.listeners()
	}
	if a.config.WHIP != nil {
		d.whip()
	}
	if a.config.Media != nil {
		d.media()
	}
	d.itself()
	d.comeBack()
	a.doc = doc
}

// describeAudience mounts what listeners do.
func (a *API) describeAudience(h huma.API) {
	write := func(id, path, summary string, status int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: "/v1/lives/{live_id}/" + path, Tags: []string{"audience"}, Summary: summary,
			DefaultStatus: status, MaxBodyBytes: maxNote, Security: []map[string][]string{{}, {"creator": {}}},
			Errors: []int{
				http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
				http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable,
			},
		}
	}
	huma.Register(h, write("join", "listeners", "Begin to listen", http.StatusCreated), a.join)
	huma.Register(h, write("like", "likes", "Like a live, once", http.StatusOK), a.like)
	huma.Register(h, write("report", "reports", "Report a live, once", http.StatusOK), a.report)
}

// maxNote bounds what listeners send about themselves.
const maxNote = 4 << 10

// publicAnswer gives the handlers their request, and lets pages of other sites
// read the answers: they are the same for everybody.
func (a *API) publicAnswer(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	ctx.SetHeader("Access-Control-Allow-Origin", "*")
	next(huma.WithValue(ctx, requestKey{}, r))
}

// A documenter writes operations that are plain handlers into the document.
type documenter struct {
	doc     *huma.OpenAPI
	problem *huma.Schema
}

func (d documenter) add(method, path, id, tag, summary string, edit func(*huma.Operation)) {
	op := &huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{tag}, Summary: summary,
		Responses: map[string]*huma.Response{},
	}
	for _, name := range pathParams(path) {
		op.Parameters = append(op.Parameters, param("path", name, &huma.Schema{Type: huma.TypeString}, ""))
	}
	edit(op)
	d.doc.AddOperation(op)
}

func (d documenter) errors(op *huma.Operation, statuses ...string) {
	for _, status := range statuses {
		op.Responses[status] = &huma.Response{
			Description: "A problem (RFC 9457).",
			Content:     map[string]*huma.MediaType{problemType: {Schema: d.problem}},
		}
	}
}

func (d documenter) streams() {
	event := d.doc.Components.Schemas.Schema(reflect.TypeFor[Event](), true, "")
	counters := d.doc.Components.Schemas.Schema(reflect.TypeFor[Counters](), true, "")
	stream := func(op *huma.Operation, events string) {
		op.Description = "Server-sent events: " + events + " Each event's data is an Event as JSON, that of “counters” is Counters." +
			" A quiet stream carries comments; after “ended” it closes. Who loses it comes back."
		op.Responses["200"] = &huma.Response{
			Description: "Events until the live is over.",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Description: "data: an Event, or Counters.", Extensions: map[string]any{"x-event": event.Ref, "x-counters": counters.Ref}}}},
		}
	}
	d.add(http.MethodGet, "/v1/lives/{live_id}/events", "listen-events", "lives", "What listeners must know, as it happens", func(op *huma.Operation) {
		stream(op, "counters, ended.")
		d.errors(op, "404", "503")
	})
	d.add(http.MethodGet, "/whip/{live_id}/events", "creator-events", "broadcast", "What the creator must know, as it happens", func(op *huma.Operation) {
		stream(op, "warning, counters, ended.")
		op.Security = []map[string][]string{{"creator": {}}}
		d.errors(op, "401", "403", "404", "503")
	})
	d.add(http.MethodOptions, "/whip/{live_id}/events", "creator-events-options", "broadcast", "What the stream takes (CORS)", func(op *huma.Operation) {
		op.Responses["204"] = empty("Headers only.")
	})
}

func (d documenter) listeners() {
	const path = "/v1/lives/{live_id}/listeners/{listener_id}"
	d.add(http.MethodPut, path, "heartbeat", "audience", "Still listening", func(op *huma.Operation) {
		op.Responses["204"] = empty("Heard.")
		d.errors(op, "403", "404", "410", "429", "503")
	})
	d.add(http.MethodDelete, path, "leave", "audience", "Stop listening", func(op *huma.Operation) {
		op.Responses["204"] = empty("Counted out, now or before.")
		d.errors(op, "403", "404", "410", "429", "503")
	})
}

func empty(description string) *huma.Response { return &huma.Response{Description: description} }

func (d documenter) whip() {
	creator := []map[string][]string{{"creator": {}}}
	text := &huma.Schema{Type: huma.TypeString}
	body := func(contentType string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{contentType: {Schema: text}}
	}
	d.add(http.MethodPost, "/whip", "go-live", "broadcast", "Go live (RFC 9725)", func(op *huma.Operation) {
		op.Security = creator
		op.Parameters = append(op.Parameters,
			param("query", "title", text, "Title of the live."),
			param("query", "zone_geo", text, "Where it is about."),
			param("query", "tag", &huma.Schema{Type: huma.TypeArray, Items: text}, "May be repeated."),
			param("query", "classification_age", text, "Who it is fit for."))
		op.RequestBody = &huma.RequestBody{Required: true, Description: "SDP offer with one Opus track.", Content: body("application/sdp")}
		op.Responses["201"] = &huma.Response{
			Description: "SDP answer; the live is /whip/{live_id}.",
			Content:     body("application/sdp"),
			Headers: map[string]*huma.Param{
				"Location": {Schema: text, Description: "/whip/{live_id}"},
				"ETag":     {Schema: text, Description: "The ICE session."},
				"Link":     {Schema: text, Description: `STUN and TURN servers, rel="ice-server".`},
			},
		}
		d.errors(op, "400", "401", "413", "415", "422", "429", "503")
	})
	d.add(http.MethodOptions, "/whip", "whip-options", "broadcast", "What the endpoint takes (CORS, Accept-Post)", func(op *huma.Operation) {
		op.Responses["204"] = empty("Headers only.")
	})
	d.add(http.MethodPatch, "/whip/{live_id}", "trickle", "broadcast", "Add ICE candidates, or restart ICE", func(op *huma.Operation) {
		op.Security = creator
		op.Parameters = append(op.Parameters, param("header", "If-Match", text, "The ETag of the ICE session, or * to restart it."))
		op.RequestBody = &huma.RequestBody{Required: true, Content: body("application/trickle-ice-sdpfrag")}
		op.Responses["200"] = &huma.Response{Description: "ICE restarted; new ETag.", Content: body("application/trickle-ice-sdpfrag")}
		op.Responses["204"] = empty("Candidates taken.")
		d.errors(op, "400", "401", "403", "404", "412", "415", "422", "428", "503")
	})
	d.add(http.MethodDelete, "/whip/{live_id}", "end-live", "broadcast", "End the live", func(op *huma.Operation) {
		op.Security = creator
		op.Responses["200"] = empty("The live is over.")
		d.errors(op, "401", "403", "404", "503")
	})
	d.add(http.MethodOptions, "/whip/{live_id}", "whip-live-options", "broadcast", "What the live takes (CORS)", func(op *huma.Operation) {
		op.Responses["204"] = empty("Headers only.")
	})
}

func (d documenter) media() {
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	file := func(op *huma.Operation) {
		op.Responses["200"] = &huma.Response{
			Description: "The file.",
			Content: map[string]*huma.MediaType{
				"application/vnd.apple.mpegurl": {Schema: &huma.Schema{Type: huma.TypeString}},
				"video/mp2t":                    {Schema: binary}, "audio/mp4": {Schema: binary}, "audio/mpeg": {Schema: binary},
			},
		}
		op.Responses["206"] = &huma.Response{Description: "The range that was asked for."}
		op.Responses["304"] = &huma.Response{Description: "Not modified."}
		op.Responses["404"] = empty("No such file, or not any more.")
		op.Responses["405"] = empty("Media is read with GET or HEAD.")
		op.Responses["410"] = empty("The live is gone for good.")
		op.Responses["416"] = empty("There is no such range.")
		op.Responses["503"] = empty("Not now: the live has nothing to play yet, or who has it does not answer.")
	}
	d.add(http.MethodGet, "/live/{live_id}/{path}", "live-media", "media", "index.m3u8, opus.m3u8 and what they name", func(op *huma.Operation) {
		file(op)
		op.Parameters[1].Description = "May be in a folder, such as opus/media.m3u8: slashes are not escaped."
	})
	d.add(http.MethodGet, "/replay/{replay_id}/{file}", "replay-media", "media", "index.m3u8, audio.mp3 and segments", file)
}

func (d documenter) itself() {
	d.add(http.MethodGet, "/openapi.json", "openapi", "lives", "This document", func(op *huma.Operation) {
		op.Responses["200"] = &huma.Response{
			Description: "OpenAPI 3.1.",
			Content:     map[string]*huma.MediaType{"application/openapi+json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
		}
	})
}

// comeBack adds to every answer that means “later” the header that says when.
func (d documenter) comeBack() {
	later := map[string]*huma.Param{"Retry-After": {Description: "When to try again, in seconds.", Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0)}}}
	for _, item := range d.doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Options, item.Patch} {
			for _, status := range []string{"429", "503"} {
				if op != nil && op.Responses[status] != nil {
					op.Responses[status].Headers = later
				}
			}
		}
	}
}

func param(in, name string, s *huma.Schema, doc string) *huma.Param {
	p := &huma.Param{In: in, Name: name, Schema: s, Description: doc, Required: in == "path"}
	if s.Type == huma.TypeArray {
		explode := true
		p.Explode = &explode
	}
	return p
}

// pathParams are the names between braces in a path.
func pathParams(path string) []string {
	var names []string
	for i := 0; i < len(path); i++ {
		if path[i] != '{' {
			continue
		}
		end := i + slices.Index([]byte(path[i:]), '}')
		names = append(names, path[i+1:end])
	}
	return names
}
