package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	onAirID  = "11111111-1111-4111-8111-111111111111"
	endedID  = "22222222-2222-4222-8222-222222222222"
	lostID   = "33333333-3333-4333-8333-333333333333"
	brokenID = "44444444-4444-4444-8444-444444444444"
	replayID = "99999999-9999-4999-8999-999999999999"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

var errBroken = errors.New("disk on fire at /secret/path")

// catalog is a small station in memory.
type catalog struct {
	lives   []station.Live // newest first
	replays []station.Replay
	jobs    map[string]station.Job
	broken  bool
	asked   station.LiveQuery // the last
}

func newCatalog() *catalog {
	live := func(id, title string, ago time.Duration) station.Live {
		return station.Live{
			ID: id, CreatorID: "elise", Title: title, StartedAt: noon.Add(-ago), ZoneGeo: "Drôme",
			Tags: []string{"route", "nuit"}, ClassificationAge: "tout_public", State: station.OnAir,
		}
	}
	ended := live(endedID, "La nationale 7", time.Hour)
	ended.State, ended.EndedAt = station.Ended, noon.Add(-time.Minute)
	ended.Stats = station.LiveStats{Duration: 59 * time.Minute, Likes: 7, Reports: 1}
	lost := live(lostID, "Coupé", 2*time.Hour)
	lost.State, lost.EndedAt, lost.Tags = station.Lost, noon.Add(-time.Hour), nil
	return &catalog{
		lives: []station.Live{live(onAirID, "En direct", time.Minute), ended, lost},
		replays: []station.Replay{{
			ID: replayID, LiveID: endedID, Title: station.ReplayTitle("La nationale 7"), GeoType: station.GeoNeutral,
			PublishedAt: noon, Duration: 58 * time.Minute, Key: "replay/" + replayID, Loudness: -14.1, Removed: time.Minute,
		}},
		jobs: map[string]station.Job{
			endedID: {LiveID: endedID, State: station.JobDone, Step: "publish", Progress: 1},
			lostID:  {LiveID: lostID, State: station.JobRunning, Step: "master", Progress: 0.4},
		},
	}
}

func (c *catalog) Live(_ context.Context, id string) (station.Live, error) {
	if c.broken || id == brokenID {
		return station.Live{}, errBroken
	}
	for _, l := range c.lives {
		if l.ID == id {
			return l, nil
		}
	}
	return station.Live{}, station.ErrNotFound
}

func (c *catalog) ListLives(_ context.Context, q station.LiveQuery) ([]station.Live, error) {
	if c.broken {
		return nil, errBroken
	}
	c.asked = q
	var found []station.Live
	for _, l := range c.lives {
		older := q.Before.IsZero() || l.StartedAt.Before(q.Before) || l.StartedAt.Equal(q.Before) && l.ID < q.BeforeID
		if (q.State == "" || l.State == q.State) && older && len(found) < q.Limit {
			found = append(found, l)
		}
	}
	return found, nil
}

func (c *catalog) Replay(_ context.Context, id string) (station.Replay, error) {
	for _, r := range c.replays {
		if r.ID == id {
			return r, nil
		}
	}
	return station.Replay{}, station.ErrNotFound
}

func (c *catalog) ReplayOf(_ context.Context, liveID string) (station.Replay, error) {
	for _, r := range c.replays {
		if r.LiveID == liveID {
			return r, nil
		}
	}
	return station.Replay{}, station.ErrNotFound
}

func (c *catalog) ListReplays(_ context.Context, q station.ReplayQuery) ([]station.Replay, error) {
	var found []station.Replay
	for _, r := range c.replays {
		older := q.Before.IsZero() || r.PublishedAt.Before(q.Before) || r.PublishedAt.Equal(q.Before) && r.ID < q.BeforeID
		if older && len(found) < q.Limit {
			found = append(found, r)
		}
	}
	return found, nil
}

func (c *catalog) Job(_ context.Context, liveID string) (station.Job, error) {
	j, ok := c.jobs[liveID]
	if !ok {
		return j, station.ErrNotFound
	}
	return j, nil
}

// tokens lets in whom the token names.
func tokens(r *http.Request) (auth.Identity, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch token {
	case "":
		return auth.Identity{}, nil
	case "expired":
		return auth.Identity{}, auth.ErrExpired
	case "away":
		return auth.Identity{}, fmt.Errorf("keys: %w", station.ErrAway)
	}
	return auth.Identity{Subject: token, Operator: token == "operator", Authenticated: true, Proven: true}, nil
}

// An audience in memory: everybody is let in, listener ids are not signed.
type audience struct {
	mu       sync.Mutex
	joined   []station.Join
	reacted  []station.Reacting
	beats    []string // listener id and origin
	left     []string
	counters map[string]station.Counters
	err      error
}

func (a *audience) Join(_ context.Context, j station.Join) (station.Ticket, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joined = append(a.joined, j)
	return station.Ticket{ListenerID: "ticket", UserID: j.UserID, Heartbeat: 10 * time.Second}, a.err
}

func (a *audience) Beat(_ context.Context, _, listenerID, origin string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.beats = append(a.beats, listenerID+" "+origin)
	return a.err
}

func (a *audience) Leave(_ context.Context, _, listenerID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = append(a.left, listenerID)
	return a.err
}

func (a *audience) React(_ context.Context, r station.Reacting) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reacted = append(a.reacted, r)
	return len(a.reacted) == 1, a.err
}

func (a *audience) Counters(_ context.Context, liveIDs ...string) map[string]station.Counters {
	shown := map[string]station.Counters{}
	for _, id := range liveIDs {
		shown[id] = a.counters[id]
	}
	return shown
}

// named answers with its name, to see which handler was reached.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(name)) })
}

// newAPI makes an API over a small catalog, with everything mounted.
func newAPI(t *testing.T, edit func(*api.Config)) *api.API {
	t.Helper()
	c := newCatalog()
	config := api.Config{Lives: c, Replays: c, Audience: &audience{}, WHIP: named("whip"), Media: named("media"), Pages: named("pages")}
	if edit != nil {
		edit(&config)
	}
	a, err := api.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func do(a http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// deaf is an audience that costs nothing.
type deaf struct{ *audience }

func (deaf) Beat(context.Context, string, string, string) error { return nil }

func (deaf) Join(context.Context, station.Join) (station.Ticket, error) {
	return station.Ticket{ListenerID: "t", Heartbeat: 10 * time.Second}, nil
}

// changing is a catalog in which the live on air can be lost, and that can go
// away.
type changing struct {
	*catalog
	mu    sync.Mutex
	over  bool
	away  bool
	asked int
}

func (c *changing) goAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = true
}

func (c *changing) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}

func (c *changing) questions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func (c *changing) Live(ctx context.Context, id string) (station.Live, error) {
	l, err := c.catalog.Live(ctx, id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.over {
		l.State = station.Lost
	}
	if c.away {
		return station.Live{}, station.ErrAway
	}
	return l, err
}
