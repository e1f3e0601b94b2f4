package api

import (
	"encoding/json"
	"fmt"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An EventType names what an [Event] is about; it is the "event" field of the
// stream.
type EventType string

// The events of a live.
const (
	EventWarning  EventType = "warning"  // creator: something is wrong with the sound or the link
	EventCounters EventType = "counters" // everybody: how many listen and react
	EventEnded    EventType = "ended"    // everybody: the live is over, the stream ends
)

// An Event is something that happens to a live while it runs. Its JSON is the
// "data" field of the stream; an event of counters is those alone.
type Event struct {
	Type EventType `json:"-"`
	// Message is for people, in French.
	Message string `json:"message"`
	// Code is for programs: what a warning is about.
	Code string `json:"code,omitempty"`
	// State is how an ended live ended.
	State station.LiveState `json:"state,omitempty"`
	// Counters are set on an event of counters, which has nothing else.
	Counters *Counters `json:"-"`
}

// Counters are the figures of a live that everybody sees.
type Counters struct {
	Listeners int64 `json:"listeners" minimum:"0" doc:"Who listens now."`
	Likes     int64 `json:"likes" minimum:"0"`
	Reports   int64 `json:"reports" minimum:"0"`
}

func newCounters(c station.Counters) Counters {
	return Counters{Listeners: c.Listeners, Likes: c.Likes, Reports: c.Reports}
}

// Counted is the event that shows the counters of a live.
func Counted(c station.Counters) Event {
	shown := newCounters(c)
	return Event{Type: EventCounters, Counters: &shown}
}

// frame is the event as it stands in a stream.
func (e Event) frame() ([]byte, error) {
	var content any = e
	if e.Counters != nil {
		content = e.Counters
	}
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", e.Type, data), nil
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
