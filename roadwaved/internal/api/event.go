package api

import (
	"sync"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An EventType names what an [Event] is about; it is the "event" field of the
// stream.
type EventType string

// The events of a live.
const (
	EventWarning EventType = "warning" // creator: something is wrong with the sound or the link
	EventEnded   EventType = "ended"   // everybody: the live is over, the stream ends
)

// An Event is something that happens to a live while it runs. Its JSON is the
// "data" field of the stream.
type Event struct {
	Type EventType `json:"-"`
	// Message is for people, in French.
	Message string `json:"message"`
	// Code is for programs: what a warning is about.
	Code string `json:"code,omitempty"`
	// State is how an ended live ended.
	State station.LiveState `json:"state,omitempty"`
}

// Ended is the event that ends the streams of a live, in words for one audience.
func Ended(l station.Live, to Audience) Event {
	e := Event{Type: EventEnded, State: l.State, Message: l.Message()}
	if to == ToCreator {
		e.Message = l.CreatorMessage()
	}
	return e
}

// An Audience says who gets an event.
type Audience uint8

// The audiences of a live; join them with |.
const (
	ToCreator Audience = 1 << iota
	ToListeners
)

// Events gives what happens to lives as it happens.
type Events interface {
	// Subscribe gives the events of one live meant for one audience until
	// cancel is called. The channel is closed when the reader was too slow;
	// it then reads the catalog and subscribes again. An event that ends a
	// live is published after the catalog says so.
	Subscribe(liveID string, to Audience) (events <-chan Event, cancel func())
}

// silence is the Events in which nothing ever happens.
type silence struct{}

func (silence) Subscribe(string, Audience) (<-chan Event, func()) { return nil, func() {} }

// hubQueue is how many events may wait for one subscriber. Lives have a few
// events a minute: who does not take one for that long is gone.
const hubQueue = 16

// A Hub passes events on within this process. The zero Hub is ready to use,
// by any number of goroutines.
type Hub struct {
	mu    sync.Mutex
	lives map[string]map[*subscription]struct{}
}

type subscription struct {
	to     Audience
	events chan Event
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

// Publish gives an event to the subscribers of a live. It never blocks: a
// subscriber whose queue is full is dropped.
func (h *Hub) Publish(liveID string, to Audience, e Event) {
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
