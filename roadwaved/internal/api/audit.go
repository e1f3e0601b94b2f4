package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// AuditEvent is one line of the audit log (M24), as operators see it.
type AuditEvent struct {
	ID       string            `json:"event_id"`
	Kind     station.EventKind `json:"kind"`
	At       time.Time         `json:"at"`
	LiveID   string            `json:"live_id"`
	UserID   string            `json:"user_id"`
	ZoneGeo  string            `json:"zone_geo,omitempty"`
	Position *Position         `json:"position,omitempty"`
	Category string            `json:"category,omitempty"`
	Listened float64           `json:"listened_seconds,omitempty"`
	Stats    *AuditStats       `json:"stats,omitempty"` // of a live that ended
}

// AuditStats are the final figures of a live.
type AuditStats struct {
	DurationSeconds float64 `json:"duration_seconds"`
	Packets         int64   `json:"packets"`
	Lost            int64   `json:"lost"`
	Visits          int64   `json:"visits"`
	PeakListeners   int64   `json:"peak_listeners"`
	Likes           int64   `json:"likes"`
	Reports         int64   `json:"reports"`
}

// AuditPage is one page of the audit log, the oldest first.
type AuditPage struct {
	Events     []AuditEvent `json:"events"`
	NextCursor cursor       `json:"next_cursor,omitempty"`
}

func newAuditEvent(e station.Event) AuditEvent {
	out := AuditEvent{
		ID: e.ID, Kind: e.Kind, At: e.At.UTC(), LiveID: e.LiveID, UserID: e.UserID,
		ZoneGeo: e.ZoneGeo, Category: e.Category, Listened: e.Listened.Seconds(),
	}
	if p := e.Position; p != nil {
		out.Position = &Position{Lat: p.Lat, Lon: p.Lon}
	}
	if s := e.Stats; e.Kind == station.EventLiveEnd {
		out.Stats = &AuditStats{s.Duration.Seconds(), s.Packets, s.Lost, s.Visits, s.PeakListeners, s.Likes, s.Reports}
	}
	return out
}

const typeLines = "application/x-ndjson"

func (a *Admin) listEvents(w http.ResponseWriter, r *http.Request) {
	q := ask{values: r.URL.Query()}
	query := station.EventQuery{LiveID: q.text("live_id"), UserID: q.text("user_id"), Since: q.time("since"), Until: q.time("until")}
	for _, kind := range q.among("kind", "live_start", "join", "leave", "like", "report", "live_end") {
		query.Kind = station.EventKind(kind)
	}
	query.Limit, query.After, query.AfterID = q.page()
	lines := strings.Contains(r.Header.Get("Accept"), typeLines)
	if lines {
		query.Limit = station.MaxPage
	}
	if err := q.err(); err != nil {
		a.writeError(w, r, err)
		return
	}
	events, err := a.config.Records.ListEvents(r.Context(), query)
	if err != nil {
		a.writeError(w, r, a.failed(r.Context(), "list events", err))
		return
	}
	if lines {
		a.writeLines(r.Context(), newPatient(w), query, events)
		return
	}
	page := AuditPage{Events: make([]AuditEvent, len(events))}
	for i, e := range events {
		page.Events[i] = newAuditEvent(e)
	}
	if n := len(events); n > 0 && n >= query.Limit {
		page.NextCursor = cursorAt(events[n-1].At, events[n-1].ID)
	}
	writeJSON(w, page, http.StatusOK)
}

// writeLines writes all events from the first page on. Where a later page fails
// the connection is cut: an export that ends well is whole.
func (a *Admin) writeLines(ctx context.Context, w *patient, q station.EventQuery, events []station.Event) {
	w.Header().Set("Content-Type", typeLines)
	w.Header().Set("Cache-Control", "no-store")
	lines := json.NewEncoder(w)
	for {
		for _, e := range events {
			if lines.Encode(newAuditEvent(e)) != nil {
				return
			}
		}
		if len(events) < q.Limit {
			return
		}
		last := events[len(events)-1]
		q.After, q.AfterID = last.At, last.ID
		var err error
		if events, err = a.config.Records.ListEvents(ctx, q); err != nil {
			_ = a.failed(ctx, "list events", err)
			panic(http.ErrAbortHandler)
		}
	}
}
