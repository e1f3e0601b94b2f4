package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// identify tells who sends a request; the error is a problem ready to be sent.
func (g gate) identify(r *http.Request) (auth.Identity, error) {
	if g.who == nil {
		return auth.Identity{}, nil
	}
	who, err := g.who(r)
	var bad *auth.Error
	switch {
	case err == nil:
		return who, nil
	case errors.As(err, &bad):
		return auth.Identity{}, challenge(bad)
	}
	return auth.Identity{}, g.failed(r.Context(), "identify", err)
}

// challenge asks for a token, or for a better one (RFC 6750 §3).
func challenge(e *auth.Error) *Problem {
	return newProblem(http.StatusUnauthorized, e.Code, e.Message).with("WWW-Authenticate", e.Challenge())
}

// userOf is who takes part in a live, and whether they proved it: who the token
// says, else who they say. Where people are known by their tokens, what anybody
// may say begins with [auth.Claimed], so that it is nobody's name who has one.
func (a *API) userOf(r *http.Request, claimed string) (user string, proven bool, err error) {
	who, err := a.identify(r)
	switch claimed = strings.TrimSpace(claimed); {
	case err != nil:
		return "", false, err
	case who.Subject != "":
		return who.Subject, who.Proven, nil
	case a.who == nil || who.Authenticated || claimed == "" || strings.HasPrefix(claimed, auth.Claimed):
		return claimed, false, nil
	}
	return auth.Claimed + claimed, false, nil
}

// atTheDoor lets nobody reach the WHIP handler with a token that is not good,
// or without one to go live, and nobody too often. Whose live it is, the handler
// decides.
func (a *API) atTheDoor(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := a.mayBroadcast(r); err != nil {
			a.writeError(w, r, err)
			return
		}
		next(w, r)
	}
}

func (a *API) mayBroadcast(r *http.Request) error {
	switch r.Method {
	case http.MethodPost:
		if err := a.admit(a.publishes, r); err != nil {
			return err
		}
	case http.MethodPatch, http.MethodDelete:
	default:
		return nil // whatever it is, it changes nothing
	}
	who, err := a.identify(r)
	if err == nil && a.who != nil && !who.MayGoLive() {
		return challenge(auth.ErrNoToken)
	}
	return err
}

// mayFollow tells whether a request may read what the creator of a live is
// told.
func (a *API) mayFollow(who auth.Identity, l station.Live) error {
	switch {
	case a.who == nil || who.MayRun(l.CreatorID):
		return nil
	case !who.Authenticated:
		return challenge(auth.ErrNoToken)
	}
	return newProblem(http.StatusForbidden, "not-your-live", "Ce live n'est pas le vôtre.")
}

// When to try again what cannot be done now, and what a whole network did too
// much of.
const (
	awayFor    = 5 * time.Second
	crowdedFor = 30 * time.Second
)
