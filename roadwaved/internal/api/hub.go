package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	// hubQueue is how many events may wait for one subscriber. Lives have a few
	// events a second at the most: who does not take one for that long is gone.
	hubQueue = 16
	// wireQueue is how many events may wait for the wire.
	wireQueue = 1024
	// wirePatience is how long the wire may take for one of them.
	wirePatience = 2 * time.Second
)

// HubConfig makes a [Hub]. The zero HubConfig is of one daemon alone.
type HubConfig struct {
	// Wire reaches the other daemons. nil: there are none.
	Wire station.Wire
	// Logger hears when the wire does not take events. Default: nothing.
	Logger *slog.Logger
}

// A Hub passes events on: within this process at once, to other daemons over a
// wire that may lose them. The zero Hub is ready to use, in one process, by any
// number of goroutines.
type Hub struct {
	cfg  HubConfig
	self string      // what is sent from here
	out  chan []byte // for the wire, nil without one

	mu    sync.Mutex
	lives map[string]map[*subscription]struct{}
}

type subscription struct {
	to     Audience
	events chan Event
}

// NewHub makes a hub. With a wire, call [Hub.Run].
func NewHub(cfg HubConfig) *Hub {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Hub{cfg: cfg, self: rand.Text()}
	if cfg.Wire != nil {
		h.out = make(chan []byte, wireQueue)
	}
	return h
}

// Run carries events from and to other daemons, until ctx ends; then it sends
// what was published before, and returns nil.
func (h *Hub) Run(ctx context.Context) error {
	if h.out == nil {
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	sending.Go(func() { h.send(ctx) })
	defer sending.Wait()
	defer cancel()
	return h.cfg.Wire.Receive(ctx, h.receive)
}

func (h *Hub) send(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			h.sendRest(context.WithoutCancel(ctx))
			return
		case message := <-h.out:
			err := h.sendOne(ctx, message)
			if err != nil && !failing && ctx.Err() == nil {
				h.cfg.Logger.Warn("events do not reach other daemons, streams there catch up from the catalog", "err", err)
			}
			failing = err != nil
		}
	}
}

// sendRest sends the last words of a daemon that stops, as far as the wire takes
// them.
func (h *Hub) sendRest(ctx context.Context) {
	for {
		select {
		case message := <-h.out:
			if h.sendOne(ctx, message) != nil {
				return
			}
		default:
			return
		}
	}
}

func (h *Hub) sendOne(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, wirePatience)
	defer cancel()
	return h.cfg.Wire.Send(ctx, message)
}

// receive takes a message from the wire. Ours come back too, and other parts of
// the daemon may use the same wire.
func (h *Hub) receive(message []byte) {
	m, err := parseMessage(message)
	if err != nil || m.From == h.self {
		return
	}
	h.deliver(m.LiveID, m.To, m.event())
}

// Subscribe implements [Events].
func (h *Hub) Subscribe(liveID string, to Audience) (<-chan Event, func()) {
	s := &subscription{to: to, events: make(chan Event, hubQueue)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lives == nil {
		h.lives = map[string]map[*subscription]struct{}{}
	}
	if h.lives[liveID] == nil {
		h.lives[liveID] = map[*subscription]struct{}{}
	}
	h.lives[liveID][s] = struct{}{}
	return s.events, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(liveID, s)
	}
}

// Publish gives an event to the subscribers of a live, here and on the other
// daemons. It never blocks: a subscriber whose queue is full is dropped, and so
// is the message to the others.
func (h *Hub) Publish(liveID string, to Audience, e Event) {
	h.deliver(liveID, to, e)
	if h.out == nil {
		return
	}
	message, err := newMessage(h.self, liveID, to, e)
	if err != nil {
		h.cfg.Logger.Warn("event not sent to other daemons", "live_id", liveID, "err", err)
		return
	}
	select {
	case h.out <- message:
	default: // the wire hangs, which was logged
	}
}

func (h *Hub) deliver(liveID string, to Audience, e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.lives[liveID] {
		if s.to&to == 0 {
			continue
		}
		select {
		case s.events <- e:
		default:
			h.drop(liveID, s)
			close(s.events)
		}
	}
}

func (h *Hub) drop(liveID string, s *subscription) {
	delete(h.lives[liveID], s)
	if len(h.lives[liveID]) == 0 {
		delete(h.lives, liveID)
	}
}

// A wireMessage is an event on its way to other daemons.
type wireMessage struct {
	Kind     string            `json:"kind"` // always wireEvent
	From     string            `json:"from"` // the hub it comes from
	LiveID   string            `json:"live_id"`
	To       Audience          `json:"to"`
	Type     EventType         `json:"type"`
	Message  string            `json:"message,omitempty"`
	Code     string            `json:"code,omitempty"`
	State    station.LiveState `json:"state,omitempty"`
	Counters *Counters         `json:"counters,omitempty"`
}

const wireEvent = "event"

func newMessage(from, liveID string, to Audience, e Event) ([]byte, error) {
	return json.Marshal(wireMessage{wireEvent, from, liveID, to, e.Type, e.Message, e.Code, e.State, e.Counters})
}

func (m wireMessage) event() Event {
	return Event{Type: m.Type, Message: m.Message, Code: m.Code, State: m.State, Counters: m.Counters}
}

// parseMessage reads what comes by the wire: the event of another daemon, one
// of another version perhaps.
func parseMessage(b []byte) (wireMessage, error) {
	var m wireMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("api: not a message: %w", err)
	}
	switch {
	case m.Kind != wireEvent || m.From == "" || m.LiveID == "":
		return m, errors.New("api: not an event")
	case !slices.Contains([]EventType{EventWarning, EventCounters, EventEnded}, m.Type):
		return m, fmt.Errorf("api: an event of unknown type %q", m.Type)
	case (m.Type == EventCounters) != (m.Counters != nil):
		return m, errors.New("api: counters are missing, or out of place")
	case m.Type == EventEnded && m.State != station.Ended && m.State != station.Lost:
		return m, fmt.Errorf("api: a live does not end as %q", m.State)
	}
	return m, nil
}
