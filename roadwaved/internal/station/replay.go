package station

import (
	"context"
	"time"
)

// GeoNeutral is the geographic type of every replay (M10).
const GeoNeutral = "Géo-neutre"

// ReplayTitle is the title of the replay of a live (M10).
func ReplayTitle(liveTitle string) string { return "[REPLAY] " + liveTitle }

// A Replay is the published recording of a live (M10).
type Replay struct {
	ID          string // a uuid
	LiveID      string // unique: a live has at most one replay
	Title       string
	GeoType     string
	PublishedAt time.Time
	Duration    time.Duration
	Key         string        // where its files are in the object store: "replay/<id>"
	Loudness    float64       // LUFS, measured on the finished MP3
	Removed     time.Duration // silence cut out
}

// Replays is the catalog of what can be listened to again.
type Replays interface {
	Replay(ctx context.Context, id string) (Replay, error)
	ReplayOf(ctx context.Context, liveID string) (Replay, error)
	// ListReplays gives the newest first: by publication, then by id.
	ListReplays(ctx context.Context, q ReplayQuery) ([]Replay, error)
}

// A ReplayQuery selects replays; zero fields do not restrict.
type ReplayQuery struct {
	Limit  int       // 1 to 200, 0 means 50
	Before time.Time // published before: the page after this one
	// BeforeID splits the replays that were published at Before itself: those
	// with a smaller id are given too. Empty gives none of them.
	BeforeID string
}
