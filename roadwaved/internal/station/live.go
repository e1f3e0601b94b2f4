package station

import (
	"context"
	"time"
)

// A LiveState says where a live is in its life.
type LiveState string

// The states of a live. Both ends are final.
const (
	OnAir LiveState = "on_air" // the creator is broadcasting
	Ended LiveState = "ended"  // the creator ended it, or went silent for good
	Lost  LiveState = "lost"   // our process died under it, or could keep nothing
)

// What listeners read when a live is over (M22).
const (
	MessageEnded = "Le live est terminé"
	MessageLost  = "Le live est terminé suite à un problème technique"
)

// MessageCut is what a creator reads whose live ended without their wish (M22).
const MessageCut = "Connexion perdue. Veuillez redémarrer le live"

// An EndReason says why a live ended, for logs and support.
type EndReason string

// The reasons for which a live ends.
const (
	EndCreator  EndReason = "creator"  // the creator pressed the end button
	EndVanished EndReason = "vanished" // no media until the patience ran out
	EndShutdown EndReason = "shutdown" // this daemon was asked to stop
	EndFailed   EndReason = "failed"   // nothing could be kept or sent on
	EndCrash    EndReason = "crash"    // found on air by a process that did not start it
)

// State is what a live becomes when it ends for this reason.
func (r EndReason) State() LiveState {
	if r == EndCrash || r == EndFailed {
		return Lost
	}
	return Ended
}

// A Live is one broadcast (M19).
//
// A catalog keeps every time in UTC to the microsecond, and every string and
// the order of the tags as they were given.
type Live struct {
	ID                string // uuid v4
	CreatorID         string
	Title             string
	StartedAt         time.Time
	ZoneGeo           string
	Tags              []string
	ClassificationAge string // one of [AgeClasses]
	Premium           bool   // the creator is a Premium one
	State             LiveState
	Node              string    // the daemon it runs on
	EndedAt           time.Time // zero while on air
	EndReason         EndReason
	Stats             LiveStats // final figures, zero while on air
}

// LiveStats are the figures of a live that has ended.
type LiveStats struct {
	Duration time.Duration // of the recording
	Packets  int64         // received and recorded
	Lost     int64         // packets marked lost on the timeline

	Visits        int64 // listeners who joined, each time they did
	PeakListeners int64 // most at the same time
	Likes         int64
	Reports       int64
}

// Heard tells whether sound is known to have come. That a live was on air for a
// while before its daemon died does not say so.
func (l Live) Heard() bool { return l.Stats.Duration > 0 && l.EndReason != EndCrash }

// Message is what a listener is told about the live, empty while it is on air.
func (l Live) Message() string {
	switch l.State {
	case Ended:
		return MessageEnded
	case Lost:
		return MessageLost
	}
	return ""
}

// CreatorMessage is what the creator is told about the live, empty while it is on
// air.
func (l Live) CreatorMessage() string {
	switch {
	case l.State == OnAir:
		return ""
	case l.EndReason == EndCreator:
		return MessageEnded
	}
	return MessageCut
}

// An End closes a live. [Station.Close] fills in what is left zero; a catalog
// takes it as it is.
type End struct {
	At     time.Time // zero means now
	State  LiveState // Ended or Lost; empty means what the reason implies
	Reason EndReason
	Stats  LiveStats
}

// Lives is the catalog of lives.
//
// An unknown id is [ErrNotFound] everywhere.
type Lives interface {
	// StartLive records a live that goes on air; an id already known is an error.
	StartLive(ctx context.Context, l Live) error
	// EndLive closes a live and, in the same transaction, opens its replay job,
	// [JobUploading]. On a live already closed it changes nothing and returns nil.
	EndLive(ctx context.Context, id string, e End) error
	Live(ctx context.Context, id string) (Live, error)
	// ListLives gives the newest first: by start, then by id.
	ListLives(ctx context.Context, q LiveQuery) ([]Live, error)
}

// A LiveQuery selects lives; zero fields do not restrict.
type LiveQuery struct {
	State     LiveState
	Node      string
	CreatorID string
	ZoneGeo   string
	Tag       string // one of its tags, in lower case
	// Text is words that must all stand in the title or begin one of its words,
	// whatever their case and accents; a catalog may also know grammar.
	Text   string
	Since  time.Time // started then or later
	Limit  int       // 1 to 200, 0 means 50
	Before time.Time // started before: the page after this one
	// BeforeID splits the lives that started at Before itself: those with a
	// smaller id are given too. Empty gives none of them.
	BeforeID string
}
