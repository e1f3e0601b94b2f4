package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/onair"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// creator tells who sends a request: in open mode the bearer token, if any, is
// the creator's id.
func creator(r *http.Request) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	return strings.TrimSpace(token), nil
}

// admit lets a creator on air, or tells why not.
func (d *daemon) admit(r *http.Request) (whip.Admission, error) {
	id, err := creator(r)
	if err != nil {
		return whip.Admission{}, err
	}
	q := r.URL.Query()
	live, err := d.station.Open(r.Context(), station.Request{
		CreatorID:         id,
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

// refusal says to the creator what went wrong, as far as it is theirs to know.
func refusal(err error) error {
	var invalid *station.InvalidError
	switch {
	case errors.As(err, &invalid):
		return &whip.Refusal{Status: http.StatusBadRequest, Code: "invalid-" + strings.ReplaceAll(invalid.Field, "_", "-"), Detail: invalid.Message}
	case errors.Is(err, station.ErrFull):
		return &whip.Refusal{Status: http.StatusServiceUnavailable, Code: "full", Detail: station.MessageFull, RetryAfter: time.Minute}
	default:
		return err
	}
}

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
		d.log.Error("live over but not yet in the catalog", "live_id", b.Live.ID, "err", err)
	}
	d.desk.Release(b)
	over := b.Live
	over.State, over.EndReason = end.Reason.State(), end.Reason
	for _, to := range []api.Audience{api.ToCreator, api.ToListeners} {
		d.hub.Publish(over.ID, to, api.Ended(over, to))
	}
}
