package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Replay is a replay as the world sees it.
type Replay struct {
	ReplayID        string    `json:"replay_id" format:"uuid"`
	LiveID          string    `json:"live_id" format:"uuid"`
	Title           string    `json:"title" example:"[REPLAY] La nationale 7 en direct"`
	GeoType         string    `json:"geo_type" example:"Géo-neutre"`
	PublishedAt     time.Time `json:"published_at" doc:"UTC."`
	DurationSeconds float64   `json:"duration_seconds" minimum:"0"`
	HLSURL          string    `json:"hls_url" format:"uri"`
	MP3URL          string    `json:"mp3_url" format:"uri"`

	LoudnessLUFS          float64 `json:"loudness_lufs" doc:"Integrated loudness (EBU R128), measured on the MP3." example:"-14.1"`
	SilenceRemovedSeconds float64 `json:"silence_removed_seconds" minimum:"0"`
}

func newReplay(r station.Replay, o origin) Replay {
	return Replay{
		ReplayID: r.ID, LiveID: r.LiveID, Title: r.Title, GeoType: r.GeoType,
		PublishedAt: r.PublishedAt.UTC(), DurationSeconds: r.Duration.Seconds(),
		HLSURL: o.to(r.Key, "index.m3u8"), MP3URL: o.to(r.Key, "audio.mp3"),
		LoudnessLUFS: math.Round(10*r.Loudness) / 10, SilenceRemovedSeconds: r.Removed.Round(time.Millisecond).Seconds(),
	}
}

// ReplayList is one page of replays, the newest first.
type ReplayList struct {
	Replays []Replay `json:"replays" nullable:"false"`
	Next
}

type listReplaysInput struct{ PageInput }

type listReplaysOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         ReplayList
}

func (a *API) listReplays(ctx context.Context, in *listReplaysInput) (*listReplaysOutput, error) {
	before, id, err := in.after()
	if err != nil {
		return nil, err
	}
	replays, err := a.config.Replays.ListReplays(ctx, station.ReplayQuery{Limit: in.Limit, Before: before, BeforeID: id})
	if err != nil {
		return nil, a.failed(ctx, "list replays", err)
	}
	o := a.originOf(ctx)
	out := &listReplaysOutput{CacheControl: o.cacheControl(), Body: ReplayList{Replays: make([]Replay, len(replays))}}
	for i, r := range replays {
		out.Body.Replays[i] = newReplay(r, o)
	}
	if n := len(replays); n > 0 {
		out.Body.Next = in.next(n, replays[n-1].PublishedAt, replays[n-1].ID)
	}
	return out, nil
}

type getReplayInput struct {
	ID string `path:"replay_id" maxLength:"64" doc:"replay_id"`
}

type getReplayOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         Replay
}

func (a *API) getReplay(ctx context.Context, in *getReplayInput) (*getReplayOutput, error) {
	r, err := a.config.Replays.Replay(ctx, in.ID)
	if errors.Is(err, station.ErrNotFound) {
		return nil, newProblem(http.StatusNotFound, "replay-not-found", "Ce replay n'existe pas.")
	}
	if err != nil {
		return nil, a.failed(ctx, "read replay", err)
	}
	o := a.originOf(ctx)
	return &getReplayOutput{CacheControl: o.cacheControl(), Body: newReplay(r, o)}, nil
}
