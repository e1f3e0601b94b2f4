package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An office is what operators look after.
type office struct {
	jobs   []station.Job
	events []station.Event
	asked  any // the last query
	queued []string
	err    error
	failAt int // the page of events that fails, 0 for none
	pages  int
}

func (o *office) Job(_ context.Context, id string) (station.Job, error) {
	for _, j := range o.jobs {
		if j.LiveID == id {
			return j, o.err
		}
	}
	return station.Job{}, station.ErrNotFound
}

func (o *office) ListJobs(_ context.Context, q station.JobQuery) ([]station.Job, error) {
	o.asked = q
	return o.jobs[:min(len(o.jobs), q.Limit)], o.err
}

func (o *office) Reopen(ctx context.Context, id string) error {
	if _, err := o.Job(ctx, id); err != nil {
		return err
	}
	for i := range o.jobs {
		if o.jobs[i].LiveID != id {
			continue
		}
		if o.jobs[i].State == station.JobDone {
			return station.ErrJobOver
		}
		o.jobs[i].State = station.JobPending
	}
	return nil
}

func (o *office) Enqueue(_ context.Context, id string, p station.Priority) error {
	o.queued = append(o.queued, fmt.Sprint(id, " ", p))
	return errors.New("the queue is away")
}

func (o *office) ListEvents(_ context.Context, q station.EventQuery) ([]station.Event, error) {
	o.asked = q
	if o.pages++; o.pages == o.failAt {
		return nil, station.ErrAway
	}
	var found []station.Event
	for _, e := range o.events {
		if e.ID > q.AfterID && len(found) < q.Limit {
			found = append(found, e)
		}
	}
	return found, o.err
}

func newOffice() *office {
	return &office{
		jobs: []station.Job{
			{LiveID: endedID, Node: "a", Opened: noon, State: station.JobParked, Attempts: 5, Error: "no audio", Priority: station.PriorityHigh, Updated: noon},
			{LiveID: lostID, Node: "b", Opened: noon, State: station.JobDone, Updated: noon},
			{LiveID: onAirID, Node: "b", Opened: noon.Add(time.Minute), State: station.JobRunning, Worker: "w", Lease: noon, Step: "master", Progress: 0.5, Updated: noon},
		},
		events: []station.Event{
			{ID: "1", Kind: station.EventJoin, At: noon, LiveID: onAirID, UserID: "marie", Position: &station.Position{Lat: 44.93, Lon: 4.89}},
			{ID: "2", Kind: station.EventLeave, At: noon.Add(time.Minute), LiveID: onAirID, UserID: "marie", Listened: time.Minute},
			{ID: "3", Kind: station.EventLiveEnd, At: noon.Add(time.Hour), LiveID: onAirID, UserID: "elise", Stats: station.LiveStats{Duration: time.Hour, Visits: 1}},
		},
	}
}

func newAdmin(o *office, edit func(*api.AdminConfig)) *api.Admin {
	config := api.AdminConfig{Jobs: o, Queue: o, Records: o}
	if edit != nil {
		edit(&config)
	}
	return api.NewAdmin(config)
}

func TestAdmin(t *testing.T) { synctest.Test(t, testAdmin) }

func testAdmin(t *testing.T) {
	var failing error
	h := api.NewAdmin(api.AdminConfig{Checks: []api.Check{
		{Name: "catalog", Ping: func(context.Context) error { return nil }},
		{Name: "disk", Ping: func(context.Context) error { return failing }, Vital: true},
		{Name: "board", Ping: func(context.Context) error { return errors.New("away") }},
	}})
	if w := do(h, "GET", "/healthz"); w.Code != 200 {
		t.Errorf("healthz: %d", w.Code)
	}
	w := do(h, "GET", "/readyz")
	if w.Code != 200 {
		t.Errorf("readyz: %d", w.Code)
	}
	time.Sleep(time.Second)
	sameJSON(t, w.Body.String(), `{"status":"degraded","catalog":"ok","disk":"ok","board":"away"}`)
	failing = errors.New("no answer")
	w = do(h, "GET", "/readyz")
	if w.Code != 503 {
		t.Errorf("readyz: %d", w.Code)
	}
	sameJSON(t, w.Body.String(), `{"status":"unavailable","catalog":"ok","disk":"no answer","board":"away"}`)
	if w := do(h, "GET", "/debug/pprof/"); w.Code != 200 {
		t.Errorf("pprof: %d", w.Code)
	}
	if w := do(h, "GET", "/v1/jobs"); w.Code != 404 {
		t.Errorf("no jobs, and %d", w.Code)
	}
}

// Strangers who may ask whether the daemon is ready do not learn why it is not,
// and do not make it look all the time.
func TestReadinessInFewWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pings := 0
		h := newAdmin(newOffice(), func(c *api.AdminConfig) {
			c.Identify = tokens
			c.Checks = []api.Check{
				{Name: "catalog", Ping: func(context.Context) error { pings++; return errBroken }},
				{Name: "redis", Ping: func(ctx context.Context) error { return ctx.Err() }},
			}
		})
		for token, want := range map[string]string{"": "away", "Bearer elise": "away", "Bearer expired": "away", "Bearer operator": errBroken.Error()} {
			w := do(h, "GET", "/readyz", "Authorization", token)
			sameJSON(t, w.Body.String(), `{"status":"degraded","redis":"ok","catalog":"`+want+`"}`)
		}
		if pings != 1 {
			t.Errorf("%d looks at once", pings)
		}
		time.Sleep(time.Second)
		gone, cancel := context.WithCancel(t.Context())
		cancel() // who asks and does not wait says nothing about redis
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, "GET", "/readyz", nil))
		if w := do(h, "GET", "/readyz"); pings != 2 || !strings.Contains(w.Body.String(), `"redis":"ok"`) {
			t.Errorf("%d looks after a second, and %s", pings, w.Body)
		}
	})
}

func TestAdminIsForOperators(t *testing.T) {
	h := newAdmin(newOffice(), func(c *api.AdminConfig) { c.Identify = tokens })
	h.Handle("GET /metrics", named("metrics"))
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/v1/jobs", "/v1/audit", "/metrics"} {
		for token, want := range map[string]int{"": 401, "Bearer expired": 401, "Bearer elise": 403, "Bearer away": 503, "Bearer operator": 200} {
			if w := do(h, "GET", path, "Authorization", token); w.Code != want || (want == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%s %q: %d %v", path, token, w.Code, w.Header())
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := do(h, "GET", path); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := do(h, "POST", "/v1/jobs/"+endedID+"/retry"); w.Code != 401 {
		t.Errorf("retry: %d", w.Code)
	}
}

func TestAdminJobs(t *testing.T) {
	o := newOffice()
	h := newAdmin(o, nil)
	w := do(h, "GET", "/v1/jobs?state=parked&state=running&node=a&limit=2")
	q, _ := o.asked.(station.JobQuery)
	if fmt.Sprint(q.States) != "[parked running]" || q.Node != "a" || q.Limit != 2 {
		t.Errorf("asked for %+v", q)
	}
	var page api.JobList
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Jobs) != 2 || page.NextCursor == "" || page.Jobs[0].Error != "no audio" {
		t.Errorf("%d %s %v", w.Code, w.Body, err)
	}
	do(h, "GET", "/v1/jobs?cursor="+string(page.NextCursor))
	if q, _ := o.asked.(station.JobQuery); q.AfterID != lostID || !q.After.Equal(noon) || q.Limit != 50 {
		t.Errorf("the next page begins after %+v", q)
	}
	w = do(h, "POST", "/v1/jobs/"+endedID+"/retry")
	if w.Code != 202 || !strings.Contains(w.Body.String(), `"pending"`) || fmt.Sprint(o.queued) != "["+endedID+" 1]" {
		t.Errorf("retry: %d %s, queued %v", w.Code, w.Body, o.queued)
	}
	for path, want := range map[string]int{
		"POST /v1/jobs/" + lostID + "/retry": 409, "POST /v1/jobs/none/retry": 404,
		"GET /v1/jobs?state=lost": 422, "GET /v1/jobs?limit=0": 422, "GET /v1/jobs?limit=201": 422, "GET /v1/jobs?cursor=x": 422,
	} {
		method, target, _ := strings.Cut(path, " ")
		if w := do(h, method, target); w.Code != want || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := do(h, "POST", "/v1/jobs/"+endedID+"/retry", "Origin", "https://evil.example"); w.Code != 403 {
		t.Errorf("a page of another site: %d", w.Code)
	}
	o.err = station.ErrAway
	if w := do(h, "GET", "/v1/jobs"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("catalog away: %d", w.Code)
	}
}

func TestAdminAudit(t *testing.T) {
	o := newOffice()
	h := newAdmin(o, nil)
	w := do(h, "GET", "/v1/audit?live_id=l&user_id=u&kind=join&since=2026-05-01T00:00:00Z&until=2026-05-02T00:00:00Z&limit=2")
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	if o.asked != (station.EventQuery{LiveID: "l", UserID: "u", Kind: station.EventJoin, Since: day, Until: day.AddDate(0, 0, 1), Limit: 2}) {
		t.Errorf("asked for %+v", o.asked)
	}
	var page api.AuditPage
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Events) != 2 {
		t.Fatalf("%d %s %v", w.Code, w.Body, err)
	}
	first, _ := json.Marshal(page.Events[0])
	sameJSON(t, string(first), `{"event_id":"1","kind":"join","at":"2026-05-01T12:00:00Z","live_id":"`+onAirID+`","user_id":"marie","position":{"lat":44.93,"lon":4.89}}`)
	w = do(h, "GET", "/v1/audit?limit=2&cursor="+string(page.NextCursor))
	sameJSON(t, w.Body.String(), `{"events":[{"event_id":"3","kind":"live_end","at":"2026-05-01T13:00:00Z","live_id":"`+onAirID+`","user_id":"elise",
		"stats":{"duration_seconds":3600,"packets":0,"lost":0,"visits":1,"peak_listeners":0,"likes":0,"reports":0}}]}`)
	for _, bad := range []string{"kind=joined", "since=yesterday", "until=x", "limit=x", "user_id=%00", "live_id=%ff"} {
		if w := do(h, "GET", "/v1/audit?"+bad); w.Code != 422 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}

// An export is all there is, one event per line, or it is seen to be cut.
func TestAdminAuditExport(t *testing.T) {
	o := newOffice()
	o.events = nil
	for i := range 450 {
		o.events = append(o.events, station.Event{ID: fmt.Sprintf("%04d", i), Kind: station.EventLike, At: noon})
	}
	server := httptest.NewServer(newAdmin(o, nil))
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Cleanup(server.Close)
	export := func() (n int, err error) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/audit", nil)
		r.Header.Set("Accept", "application/x-ndjson")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		for d := json.NewDecoder(res.Body); ; n++ {
			var e api.AuditEvent
			if err := d.Decode(&e); err != nil {
				return n, err
			}
		}
	}
	if n, err := export(); n != 450 || err == nil || err.Error() != "EOF" {
		t.Errorf("%d events, %v", n, err)
	}
	o.pages, o.failAt = 0, 2
	if n, err := export(); n >= 450 || err == nil || err.Error() == "EOF" {
		t.Errorf("cut after %d events, and the end is %v", n, err)
	}
}
