package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Listeners is what the API asks of those who count who listens; a
// [station.Audience] is that.
type Listeners interface {
	Join(ctx context.Context, j station.Join) (station.Ticket, error)
	Beat(ctx context.Context, liveID, listenerID, origin string) error
	Leave(ctx context.Context, liveID, listenerID string) error
	React(ctx context.Context, r station.Reacting) (first bool, err error)
	Counters(ctx context.Context, liveIDs ...string) map[string]station.Counters
}

// Position is where a listener is.
type Position struct {
	_   struct{} `json:"-" additionalProperties:"true"`
	Lat float64  `json:"lat" minimum:"-90" maximum:"90" doc:"Degrees north (WGS 84)." example:"44.93"`
	Lon float64  `json:"lon" minimum:"-180" maximum:"180" doc:"Degrees east." example:"4.89"`
}

// JoinRequest is who begins to listen.
type JoinRequest struct {
	_        struct{}  `json:"-" additionalProperties:"true"`
	UserID   string    `json:"user_id,omitempty" maxLength:"200" doc:"Who listens. A token goes before it. Where the service knows people by their tokens, an id without one is noted with a ~ before it, 200 characters in all."`
	Position *Position `json:"position,omitempty" doc:"Where they are, if they agreed to say so. Kept in the audit log for 90 days."`
}

// ListenerTicket is the place of a listener in the audience.
type ListenerTicket struct {
	ListenerID       string  `json:"listener_id" doc:"Says who sends heartbeats. Nobody else should know it."`
	HeartbeatSeconds float64 `json:"heartbeat_seconds" minimum:"1" doc:"How often to PUT it; after 30 s without one the listener is counted out." example:"10"`
}

type joinInput struct {
	ID   string `path:"live_id" maxLength:"64"`
	Body JoinRequest
}

type joinOutput struct {
	CacheControl string `header:"Cache-Control"`
	Location     string `header:"Location" doc:"Where heartbeats go."`
	Body         ListenerTicket
}

func (a *API) join(ctx context.Context, in *joinInput) (*joinOutput, error) {
	r := requestOf(ctx)
	if err := a.mayTakePart(a.joins, r); err != nil {
		return nil, err
	}
	user, _, err := a.userOf(r, in.Body.UserID)
	if err != nil {
		return nil, err
	}
	j := station.Join{LiveID: in.ID, UserID: user, Origin: a.standIn(r)}
	if p := in.Body.Position; p != nil {
		j.Position = &station.Position{Lat: p.Lat, Lon: p.Lon}
	}
	ticket, err := a.config.Audience.Join(ctx, j)
	if err != nil {
		return nil, a.unheard(ctx, "join", ofLive, err)
	}
	return &joinOutput{
		CacheControl: "no-store",
		Location:     "/v1/lives/" + in.ID + "/listeners/" + ticket.ListenerID,
		Body:         ListenerTicket{ListenerID: ticket.ListenerID, HeartbeatSeconds: ticket.Heartbeat.Seconds()},
	}, nil
}

// LikeRequest is who likes a live.
type LikeRequest struct {
	_      struct{} `json:"-" additionalProperties:"true"`
	UserID string   `json:"user_id,omitempty" maxLength:"200" doc:"Who it is. A token goes before it. Where the service knows people by their tokens, an id without one is noted with a ~ before it, 200 characters in all."`
}

// ReactionResult is what became of a reaction.
type ReactionResult struct {
	First    bool `json:"first" doc:"Whether it was counted: the first of this user to this live."`
	Counters      // as they were shown last; they follow within 2 s
}

type likeInput struct {
	ID   string `path:"live_id" maxLength:"64"`
	Body LikeRequest
}

// ReportRequest is who reports a live, and why.
type ReportRequest struct {
	LikeRequest
	_        struct{} `json:"-" additionalProperties:"true"`
	Category category `json:"category" doc:"What is wrong with the live."`
}

type reportInput struct {
	ID   string `path:"live_id" maxLength:"64"`
	Body ReportRequest
}

// A category is a reason to report a live.
type category string

// Schema is how huma learns what it may be.
func (category) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, c := range station.ReportCategories {
		s.Enum = append(s.Enum, c)
	}
	s.PrecomputeMessages()
	return s
}

type reactOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         ReactionResult
}

func (a *API) like(ctx context.Context, in *likeInput) (*reactOutput, error) {
	return a.react(ctx, station.Reacting{LiveID: in.ID, UserID: in.Body.UserID, Reaction: station.Like})
}

func (a *API) report(ctx context.Context, in *reportInput) (*reactOutput, error) {
	return a.react(ctx, station.Reacting{LiveID: in.ID, UserID: in.Body.UserID, Reaction: station.Report, Category: string(in.Body.Category)})
}

func (a *API) react(ctx context.Context, s station.Reacting) (_ *reactOutput, err error) {
	r := requestOf(ctx)
	if err := a.mayTakePart(a.reactions, r); err != nil {
		return nil, err
	}
	var proven bool
	if s.UserID, proven, err = a.userOf(r, s.UserID); err != nil {
		return nil, err
	}
	// Who proved who they are counts once; where from says nothing.
	if s.Origin = a.standIn(r); proven {
		s.Origin = a.standInOf(s.UserID)
	}
	first, err := a.config.Audience.React(ctx, s)
	if err != nil {
		return nil, a.unheard(ctx, "react", ofLive, err)
	}
	shown := newCounters(a.config.Audience.Counters(ctx, s.LiveID)[s.LiveID])
	return &reactOutput{"no-store", ReactionResult{First: first, Counters: shown}}, nil
}

// An absence says in which words something is unknown, or gone.
type absence struct{ unknown, gone, message, over string }

var (
	ofLive     = absence{"live-not-found", "live-over", "Ce live n'existe pas.", "Ce live est terminé."}
	ofListener = absence{"listener-unknown", "listener-gone", "Cet auditeur n'existe pas.", "Vous n'êtes plus compté parmi les auditeurs. Rejoignez le live à nouveau."}
)

// unheard is the problem of an error of those who count.
func (a *API) unheard(ctx context.Context, what string, of absence, err error) error {
	var invalid *station.InvalidError
	switch {
	case errors.As(err, &invalid):
		p := newProblem(http.StatusUnprocessableEntity, codeOf(422), invalid.Message)
		p.Errors = []*ErrorDetail{{Message: invalid.Detail, Location: "body." + invalid.Field}}
		return p
	case errors.Is(err, station.ErrNotFound):
		return newProblem(http.StatusNotFound, of.unknown, of.message)
	case errors.Is(err, station.ErrGone):
		return newProblem(http.StatusGone, of.gone, of.over)
	case errors.Is(err, station.ErrCrowded):
		p := newProblem(http.StatusTooManyRequests, "crowded", "Trop d'auditeurs depuis votre réseau.")
		return p.retryAfter(crowdedFor)
	}
	return a.failed(ctx, what, err)
}
