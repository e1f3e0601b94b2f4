package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/onair"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// admit lets a creator on air, or tells why not.
func (d *daemon) admit(r *http.Request) (whip.Admission, error) {
	who, err := d.auth.Identify(r)
	if err != nil {
		return whip.Admission{}, refusal(err)
	}
	if !who.MayGoLive() {
		return whip.Admission{}, refusal(auth.ErrNoToken)
	}
	q := r.URL.Query()
	live, err := d.station.Open(r.Context(), station.Request{
		CreatorID:         who.Subject,
		Premium:           who.Premium,
		Title:             q.Get("title"),
		ZoneGeo:           q.Get("zone_geo"),
		Tags:              q["tag"],
		ClassificationAge: q.Get("classification_age"),
	})
	if err != nil {
		return whip.Admission{}, refusal(err)
	}
	b, err := d.desk.Open(live)
	if err != nil {
		return whip.Admission{}, errors.Join(err, d.station.Close(r.Context(), live.ID, station.End{Reason: station.EndFailed}))
	}
	return whip.Admission{ID: live.ID, Value: b, Release: func() { d.release(b) }}, nil
}

// authorize lets only the creator of a live, and operators, change it.
func (d *daemon) authorize(r *http.Request, s *whip.Session) error {
	who, err := d.auth.Identify(r)
	switch {
	case err != nil:
		return refusal(err)
	case who.MayRun(s.Value().(*onair.Broadcast).Live.CreatorID):
		return nil
	case who.Authenticated:
		return &whip.Refusal{Status: http.StatusForbidden, Code: "not-your-live", Detail: "Ce live n'est pas le vôtre."}
	}
	return refusal(auth.ErrNoToken)
}

// refusal says to the creator what went wrong, as far as it is theirs to know.
func refusal(err error) error {
	var invalid *station.InvalidError
	var token *auth.Error
	switch {
	case errors.As(err, &token):
		return &whip.Refusal{Status: http.StatusUnauthorized, Code: token.Code, Detail: token.Message}
	case errors.As(err, &invalid):
		return &whip.Refusal{Status: http.StatusBadRequest, Code: "invalid-" + strings.ReplaceAll(invalid.Field, "_", "-"), Detail: invalid.Message}
	case errors.Is(err, station.ErrAway):
		return &whip.Refusal{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: messageAway, RetryAfter: 10 * time.Second}
	case errors.Is(err, station.ErrBusy):
		return &whip.Refusal{Status: http.StatusTooManyRequests, Code: "too-many-lives", Detail: station.MessageBusy, RetryAfter: 15 * time.Second}
	case errors.Is(err, station.ErrFull):
		return &whip.Refusal{Status: http.StatusServiceUnavailable, Code: "full", Detail: station.MessageFull, RetryAfter: time.Minute}
	default:
		return err
	}
}

// messageAway is what a creator reads when the catalog does not answer.
const messageAway = "Service momentanément indisponible. Veuillez réessayer dans quelques instants"

// publish runs a live: whip calls it when the first sound is there.
func publish(_ context.Context, s *whip.Session) error {
	b := s.Value().(*onair.Broadcast)
	err := b.Run(s)
	b.SetReason(endReason(s.Reason()))
	return err
}

// stateChanged tells the creator that the network loses them, and that it has
// found them again.
func (d *daemon) stateChanged(s *whip.Session, state whip.State) {
	b := s.Value().(*onair.Broadcast)
	switch state {
	case whip.Stalled:
		b.Warn(warnStalled)
	case whip.Live:
		d.hub.Publish(b.Live.ID, api.ToCreator, api.Event{Type: api.EventWarning, Code: "heard", Message: "Nous vous entendons"})
	}
}

var warnStalled = onair.Warning{Code: "stalled", Message: "Connexion instable : nous ne recevons plus votre son"}

func endReason(r whip.EndReason) station.EndReason {
	switch r {
	case whip.EndDeleted, whip.EndClosed:
		return station.EndCreator
	case whip.EndVanished, whip.EndUnused:
		return station.EndVanished
	case whip.EndServer:
		return station.EndShutdown
	default:
		return station.EndFailed
	}
}

// release closes a live whose session is over, or could not begin.
func (d *daemon) release(b *onair.Broadcast) {
	end := station.End{Reason: b.Reason(), Stats: b.Stats()}
	if err := d.station.Close(context.Background(), b.Live.ID, end); err != nil {
		d.log.Warn("live over but not yet in the catalog", "live_id", b.Live.ID, "err", err)
	}
	d.desk.Release(b)
	over := b.Live
	over.State, over.EndReason = end.Reason.State(), end.Reason
	d.publishEnd(over)
}

func (d *daemon) publishEnd(over station.Live) {
	for _, to := range []api.Audience{api.ToCreator, api.ToListeners} {
		d.hub.Publish(over.ID, to, api.Ended(over, to))
	}
}

// ended is told of every end that is in the catalog: of lives here, and of lives
// of daemons that died, whose media nobody else removes.
func (d *daemon) ended(liveID string) {
	d.archive.Nudge(liveID)
	if !d.here(liveID) && d.cfg.StorageURL != "" {
		d.desk.Discard(liveID)
	}
}

// hangUp ends a live here that the others believe to be lost.
func (d *daemon) hangUp(liveID string) {
	if session, ok := d.whip.Session(liveID); ok {
		_ = session.Close() // which tells the creator, too
	}
}

// warned passes a warning on to the creator.
func (d *daemon) warned(liveID string, w onair.Warning) {
	d.hub.Publish(liveID, api.ToCreator, api.Event{Type: api.EventWarning, Code: w.Code, Message: w.Message})
}

// counted tells everybody how many listen.
func (d *daemon) counted(liveID string, c station.Counters) {
	d.hub.Publish(liveID, api.ToCreator|api.ToListeners, api.Counted(c))
}
