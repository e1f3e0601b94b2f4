package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Live is a live as the world sees it.
type Live struct {
	LiveID            string    `json:"live_id" format:"uuid"`
	CreatorID         string    `json:"creator_id"`
	Title             string    `json:"title" example:"La nationale 7 en direct"`
	StartedAt         time.Time `json:"started_at" doc:"UTC."`
	ZoneGeo           string    `json:"zone_geo" doc:"Where it is about; may be empty." example:"Drôme"`
	Tags              []string  `json:"tags" nullable:"false"`
	ClassificationAge string    `json:"classification_age" doc:"Who it is fit for."`
	State             string    `json:"state" enum:"on_air,ended,lost" doc:"lost: our server died under it."`
	Message           string    `json:"message" doc:"What to tell the listener when it is over, in French; empty while on air."`

	Counters // while on air; then likes and reports are final

	HLSURL  string `json:"hls_url,omitempty" format:"uri" doc:"AAC ladder for every player; only while on air."`
	OpusURL string `json:"opus_url,omitempty" format:"uri" doc:"Opus as the creator sent it; only while on air."`

	EndedAt         *time.Time   `json:"ended_at,omitempty" doc:"UTC; once it is over."`
	DurationSeconds float64      `json:"duration_seconds,omitempty" minimum:"0" doc:"Of the recording; once it is over."`
	Replay          *ReplayState `json:"replay,omitempty" doc:"What becomes of it; once it is over, and only when one live is asked for."`
}

// ReplayState is how far the replay of a live is.
type ReplayState struct {
	State    string  `json:"state" enum:"uploading,pending,running,done,empty,parked" doc:"uploading: the recording is on its way to those who make replays. empty: nothing was recorded. parked: it failed too often, a human will look."`
	Step     string  `json:"step" doc:"What is being done, while running."`
	Progress float64 `json:"progress" minimum:"0" maximum:"1"`
	ReplayID string  `json:"replay_id,omitempty" format:"uuid" doc:"Once it is done."`
}

// newLive writes a live; shown are its counters where it is on air.
func newLive(l station.Live, shown station.Counters, o origin) Live {
	if l.State != station.OnAir {
		shown = station.Counters{Likes: l.Stats.Likes, Reports: l.Stats.Reports}
	}
	j := Live{
		LiveID: l.ID, CreatorID: l.CreatorID, Title: l.Title, StartedAt: l.StartedAt.UTC(),
		ZoneGeo: l.ZoneGeo, Tags: append([]string{}, l.Tags...), ClassificationAge: l.ClassificationAge,
		State: string(l.State), Message: l.Message(), Counters: newCounters(shown),
	}
	if l.State == station.OnAir {
		j.HLSURL = o.to("live", l.ID, "index.m3u8")
		j.OpusURL = o.to("live", l.ID, "opus.m3u8")
		return j
	}
	ended := l.EndedAt.UTC()
	j.EndedAt = &ended
	j.DurationSeconds = l.Stats.Duration.Seconds()
	return j
}

// LiveList is one page of lives, the newest first.
type LiveList struct {
	Lives []Live `json:"lives" nullable:"false"`
	Next
}

type listLivesInput struct {
	State     string    `query:"state" enum:"on_air,ended,lost,all" default:"on_air" doc:"Which lives."`
	CreatorID string    `query:"creator_id" maxLength:"200" doc:"Only those of this creator."`
	ZoneGeo   string    `query:"zone_geo" maxLength:"100" doc:"Only those about this place."`
	Tag       string    `query:"tag" maxLength:"50" doc:"Only those with this tag."`
	Text      string    `query:"q" maxLength:"200" doc:"Only those whose title has all these words, or words that begin so; one of them has two letters or digits at least. Case and accents do not matter."`
	Since     time.Time `query:"since" doc:"Only those started then or later (RFC 3339)."`
	PageInput
}

// Resolve is how huma learns of what its tags cannot say.
func (in *listLivesInput) Resolve(huma.Context) (errs []error) {
	for _, parameter := range [][2]string{{"creator_id", in.CreatorID}, {"zone_geo", in.ZoneGeo}, {"tag", in.Tag}, {"q", in.Text}} {
		if name, value := parameter[0], parameter[1]; !isText(value) {
			errs = append(errs, &huma.ErrorDetail{Message: "expected text in UTF-8", Location: "query." + name})
		}
	}
	if strings.TrimSpace(in.Text) != "" && !hasWord(in.Text) {
		errs = append(errs, &huma.ErrorDetail{Message: "expected a word of two letters or digits at least", Location: "query.q"})
	}
	return errs
}

// hasWord tells whether a search text has a word that few titles have: what a
// single letter begins is nearly all of them, which is dear to find.
func hasWord(text string) bool {
	letters := 0
	for _, r := range text {
		switch {
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			if letters++; letters == 2 {
				return true
			}
		case !unicode.IsMark(r):
			letters = 0
		}
	}
	return false
}

type listLivesOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         LiveList
}

func (a *API) listLives(ctx context.Context, in *listLivesInput) (*listLivesOutput, error) {
	before, id, err := in.after()
	if err != nil {
		return nil, err
	}
	q := station.LiveQuery{
		State: station.LiveState(in.State), CreatorID: in.CreatorID, ZoneGeo: in.ZoneGeo, Tag: strings.ToLower(in.Tag), Text: in.Text,
		Since: in.Since, Limit: in.Limit, Before: before, BeforeID: id,
	}
	if in.State == "all" {
		q.State = ""
	}
	lives, err := a.config.Lives.ListLives(ctx, q)
	if err != nil {
		return nil, a.failed(ctx, "list lives", err)
	}
	o, counters := a.originOf(ctx), a.counters(ctx, lives...)
	out := &listLivesOutput{CacheControl: o.cacheControl(), Body: LiveList{Lives: make([]Live, len(lives))}}
	for i, l := range lives {
		out.Body.Lives[i] = newLive(l, counters[l.ID], o)
	}
	if n := len(lives); n > 0 {
		out.Body.Next = in.next(n, lives[n-1].StartedAt, lives[n-1].ID)
	}
	return out, nil
}

// counters are those of the lives that are on air.
func (a *API) counters(ctx context.Context, lives ...station.Live) map[string]station.Counters {
	var ids []string
	for _, l := range lives {
		if l.State == station.OnAir {
			ids = append(ids, l.ID)
		}
	}
	if len(ids) == 0 || a.config.Audience == nil {
		return nil
	}
	return a.config.Audience.Counters(ctx, ids...)
}

type getLiveInput struct {
	ID string `path:"live_id" maxLength:"64" doc:"live_id"`
}

type getLiveOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         Live
}

func (a *API) getLive(ctx context.Context, in *getLiveInput) (*getLiveOutput, error) {
	l, err := a.live(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	o := a.originOf(ctx)
	out := &getLiveOutput{CacheControl: o.cacheControl(), Body: newLive(l, a.counters(ctx, l)[l.ID], o)}
	if l.State != station.OnAir {
		out.Body.Replay, err = a.replayState(ctx, l.ID)
	}
	return out, err
}

// live reads a live; the error is a problem ready to be sent.
func (a *API) live(ctx context.Context, id string) (station.Live, error) {
	l, err := a.config.Lives.Live(ctx, id)
	if errors.Is(err, station.ErrNotFound) {
		return l, newProblem(http.StatusNotFound, "live-not-found", "Ce live n'existe pas.")
	}
	if err != nil {
		return l, a.failed(ctx, "read live", err)
	}
	return l, nil
}

// replayState tells how far the replay of a live that is over is.
func (a *API) replayState(ctx context.Context, liveID string) (*ReplayState, error) {
	job, err := a.config.Replays.Job(ctx, liveID)
	if errors.Is(err, station.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, a.failed(ctx, "read job", err)
	}
	s := &ReplayState{State: string(job.State), Step: job.Step, Progress: min(max(job.Progress, 0), 1)}
	if job.State != station.JobDone {
		return s, nil
	}
	replay, err := a.config.Replays.ReplayOf(ctx, liveID)
	if err != nil {
		return nil, a.failed(ctx, "read replay of live", err)
	}
	s.Step, s.Progress, s.ReplayID = "", 1, replay.ID
	return s, nil
}
