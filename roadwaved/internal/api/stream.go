package api

import (
	"context"
	"net/http"
	"net/netip"
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
	who, err := a.identify(r)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	a.stream(w, r, ToCreator, func(l station.Live) error { return a.mayFollow(who, l) })
}

// creatorEventsOptions lets pages of other sites send a token to creatorEvents.
func creatorEventsOptions(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Allow", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// stream sends the events of a live until it is over, the reader leaves or
// the API closes (the HTML standard, §9.2 server-sent events).
func (a *API) stream(w http.ResponseWriter, r *http.Request, to Audience, allow func(station.Live) error) {
	// Subscribed first, read after: an end in between is seen twice, not never.
	id := r.PathValue("live_id")
	events, cancel := a.config.Events.Subscribe(id, to)
	defer cancel()
	live, err := a.live(r.Context(), id)
	if err == nil {
		err = allow(live)
	}
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	from, places := a.client(r), a.streams.of(to)
	if a.streams.closed.Err() != nil || !places.enter(from) {
		writeProblem(w, tooManyStreams())
		return
	}
	defer places.leave(from)

	s := sseWriter{w: w, rc: http.NewResponseController(w)}
	if s.open() != nil || r.Method == http.MethodHead {
		return
	}
	if live.State != station.OnAir {
		_ = s.send(Ended(live, to))
		return
	}
	vigil, leave := a.vigils.join(id)
	defer leave()
	a.relay(r, s, follower{id, to, events, vigil})
}

// A follower is somebody who follows a live.
type follower struct {
	liveID string
	to     Audience
	events <-chan Event
	vigil  *vigil
}

func (a *API) relay(r *http.Request, s sseWriter, f follower) {
	keepAlive := time.NewTicker(a.config.KeepAlive)
	defer keepAlive.Stop()
	for {
		var err error
		select {
		case e, ok := <-f.events:
			if !ok {
				return // too slow; the reader comes back and reads the state anew
			}
			if err = s.send(e); err == nil && e.Type == EventEnded {
				return
			}
		case <-f.vigil.over:
			_ = s.send(Ended(f.vigil.end, f.to))
			return
		case <-keepAlive.C:
			if err = s.comment(); err == nil {
				f.vigil.look(r.Context(), a.config.Lives, f.liveID, a.config.KeepAlive/2)
			}
		case <-a.streams.closed.Done():
			s.finish(f.events)
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
	h.Set("Connection", "close")     // a stream is the last on its connection
	_ = s.rc.SetReadDeadline(time.Time{})
	// A reader that lost the server comes back after 3 s.
	return s.write([]byte("retry: 3000\n\n"))
}

func (s sseWriter) send(e Event) error {
	frame, err := e.frame()
	if err != nil {
		return err
	}
	return s.write(frame)
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

func (s sseWriter) comment() error { return s.write([]byte(":\n\n")) }

func (s sseWriter) write(text []byte) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.rc.Flush()
}

// streams counts the event streams and ends them all. Creators have places of
// their own, that no crowd of listeners takes; so has who is sent on to the
// daemon that has their live.
type streams struct {
	places
	listeners places
	closed    context.Context // a context for the functions that run after it
	close     context.CancelFunc
}

func (s *streams) init(c Config) {
	perAddress := bound{c.Limits.Streams, tenth(c.Limits.Streams)}
	s.listeners.init(c.MaxStreams, perAddress)
	s.places.init(c.MaxCreatorStreams, perAddress.tenth())
	s.closed, s.close = context.WithCancel(context.Background())
}

func (s *streams) of(to Audience) *places {
	if to == ToCreator {
		return &s.places
	}
	return &s.listeners
}

// places are for so many streams in all, and from one network.
type places struct {
	taken  chan struct{}
	crowds crowds
}

func (p *places) init(n int, perAddress bound) {
	p.taken = make(chan struct{}, n)
	p.crowds.limit = perAddress
}

func (p *places) enter(from netip.Addr) bool {
	if !p.crowds.enter(from) {
		return false
	}
	select {
	case p.taken <- struct{}{}:
		return true
	default:
		p.crowds.leave(from)
		return false
	}
}

func (p *places) leave(from netip.Addr) {
	<-p.taken
	p.crowds.leave(from)
}

func tooManyStreams() *Problem {
	p := newProblem(http.StatusServiceUnavailable, "too-many-streams", "Trop de connexions en ce moment. Veuillez réessayer dans quelques minutes.")
	return p.retryAfter(30 * time.Second)
}
