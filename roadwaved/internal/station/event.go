package station

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
)

// An EventLog keeps what is to be written into [Records]. [Journal] is one.
type EventLog interface {
	// Add takes events and samples. It waits for no disk and no database.
	Add(events []Event, samples []Sample)
	// Flush returns when everything added before is safe from a crash.
	Flush(ctx context.Context) error
}

// noLog forgets everything.
type noLog struct{}

func (noLog) Add([]Event, []Sample)       {}
func (noLog) Flush(context.Context) error { return nil }

// eventSpace is the namespace of the ids of events (RFC 9562, version 5).
var eventSpace = uuid.MustParse("5f2c1a57-6d0b-4a7e-9d43-2c0f6a1e8b90")

// eventID derives the id of an event from what it is about: whoever sees the
// same thing happen, and how often ever, writes the same event.
func eventID(kind EventKind, about ...string) string {
	return uuid.NewSHA1(eventSpace, []byte(string(kind)+"\x00"+strings.Join(about, "\x00"))).String()
}

// micro is a time as the catalog keeps it.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func (l Live) startEvent() Event {
	return Event{
		ID: eventID(EventLiveStart, l.ID), Kind: EventLiveStart,
		At: l.StartedAt, LiveID: l.ID, UserID: l.CreatorID, ZoneGeo: l.ZoneGeo,
	}
}

func (l Live) endEvent(e End) Event {
	return Event{
		ID: eventID(EventLiveEnd, l.ID), Kind: EventLiveEnd,
		At: e.At, LiveID: l.ID, UserID: l.CreatorID, ZoneGeo: l.ZoneGeo, Stats: e.Stats,
	}
}

func (v Visit) joinEvent(p *Position) Event {
	return Event{
		ID: eventID(EventJoin, v.LiveID, v.ID), Kind: EventJoin,
		At: v.JoinedAt, LiveID: v.LiveID, UserID: v.UserID, Position: p,
	}
}

func (v Visit) leaveEvent(at time.Time) Event { return v.joinEvent(nil).leave(at) }

// leave ends the visit that a join began. Its id comes from that of the join, so
// that the log alone tells which leaves it lacks.
func (join Event) leave(at time.Time) Event {
	if at.Before(join.At) { // by the clock of another machine
		at = join.At
	}
	at = micro(at)
	return Event{
		ID: eventID(EventLeave, join.ID), Kind: EventLeave,
		At: at, LiveID: join.LiveID, UserID: join.UserID, Listened: at.Sub(join.At),
	}
}
