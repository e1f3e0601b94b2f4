package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// streamWrite is how long a reader may take to accept one event.
const streamWrite = 10 * time.Second

// listenerEvents streams what listeners of a live must know.
func (a *API) listenerEvents(w http.ResponseWriter, r *http.Request) {
	a.stream(w, r, ToListeners, func(station.Live) error { return nil })
}

// creatorEvents streams what the creator of a live must know, to nobody else.
func (a *API) creatorEvents(w http.ResponseWriter, r *http.Request) {
	a.stream(w, r, ToCreator, func(l station.Live) error {
		if a.config.Creator == nil {
			return nil
		}
		creator, err := a.config.Creator(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			return newProblem(http.StatusUnauthorized, "unauthorized", "Identifiez-vous pour suivre ce live.")
		}
		if cmp.Or(creator, station.AnonymousCreator) != l.CreatorID {
			return newProblem(http.StatusForbidden, "not-your-live", "Ce live n'est pas le vôtre.")
		}
		return nil
	})
}

// stream sends the events of a live until it is over, the reader leaves or
// the API closes (the HTML standard, §9.2 server-sent events).
func (a *API) stream(w http.ResponseWriter, r *http.Request, to Audience, allow func(station.Live) error) {
	if !a.streams.enter() {
		w.Header().Set("Retry-After", "30")
		writeProblem(w, newProblem(http.StatusServiceUnavailable, "too-many-streams", "Trop de connexions en ce moment. Veuillez réessayer dans quelques minutes."))
		return
	}
	defer a.streams.leave()

	// Subscribed first, read after: an end in between is seen twice, not never.
	id := r.PathValue("live_id")
	events, cancel := a.config.Events.Subscribe(id, to)
	defer cancel()
	live, err := a.live(r.Context(), id)
	if err == nil {
		err = allow(live)
	}
	var p *Problem
	if errors.As(err, &p) {
		writeProblem(w, p)
		return
	}

	s := sseWriter{w: w, rc: http.NewResponseController(w)}
	if s.open() != nil || r.Method == http.MethodHead {
		return
	}
	if live.State != station.OnAir {
		_ = s.send(Ended(live, to))
		return
	}
	a.relay(r, s, events)
}

func (a *API) relay(r *http.Request, s sseWriter, events <-chan Event) {
	keepAlive := time.NewTicker(a.config.KeepAlive)
	defer keepAlive.Stop()
	for {
		var err error
		select {
		case e, ok := <-events:
			if !ok {
				return // too slow; the reader comes back and reads the state anew
			}
			if err = s.send(e); err == nil && e.Type == EventEnded {
				return
			}
		case <-keepAlive.C:
			err = s.comment()
		case <-a.streams.done:
			s.finish(events)
			return
		case <-r.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// sseWriter writes server-sent events, each flushed at once and none waited
// for longer than streamWrite.
type sseWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (s sseWriter) open() error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Accel-Buffering", "no") // else NGINX collects events
	_ = s.rc.SetReadDeadline(time.Time{})
	// A reader that lost the server comes back after 3 s.
	return s.write("retry: 3000\n\n")
}

func (s sseWriter) send(e Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", e.Type, data))
}

// finish sends what was published before the API closed: lives end as the daemon
// stops, and that is worth knowing.
func (s sseWriter) finish(events <-chan Event) {
	for {
		select {
		case e, ok := <-events:
			if !ok || s.send(e) != nil || e.Type == EventEnded {
				return
			}
		default:
			return
		}
	}
}

func (s sseWriter) comment() error { return s.write(":\n\n") }

func (s sseWriter) write(text string) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}

// streams counts the event streams and ends them all.
type streams struct {
	places chan struct{}
	done   chan struct{}
	once   sync.Once
}

func (s *streams) init(n int) {
	s.places = make(chan struct{}, n)
	s.done = make(chan struct{})
}

func (s *streams) enter() bool {
	select {
	case <-s.done:
		return false
	default:
	}
	select {
	case s.places <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *streams) leave() { <-s.places }

func (s *streams) close() { s.once.Do(func() { close(s.done) }) }
