package onair

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// absent answers for a live whose media are not here. One on air is on another
// daemon that could not be asked, or begins just now: it is never called unknown.
func (d *Desk) absent(w http.ResponseWriter, r *http.Request, id string) {
	l, err := d.cfg.Lives.Live(r.Context(), id)
	switch {
	case errors.Is(err, station.ErrNotFound):
		unknown.write(w)
	case err == nil && l.State != station.OnAir:
		over(l).write(w)
	default:
		if err != nil && !errors.Is(err, station.ErrAway) && r.Context().Err() == nil {
			d.cfg.Logger.Error("a live cannot be read", "live_id", id, "err", err)
		}
		later.write(w)
	}
}

// An absence is a problem (RFC 9457), in the words that the API has for it.
type absence struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"` // for people
	Code   string `json:"code"`   // for programs
}

var (
	noFile  = newAbsence(http.StatusNotFound, "not-found", "Cette page n'existe pas.")
	unknown = newAbsence(http.StatusNotFound, "live-not-found", "Ce live n'existe pas.")
	later   = newAbsence(http.StatusServiceUnavailable, "unavailable", "Service momentanément indisponible. Veuillez réessayer dans quelques instants.")
)

func over(l station.Live) absence { return newAbsence(http.StatusGone, "live-over", l.Message()) }

func newAbsence(status int, code, detail string) absence {
	return absence{Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// write answers. That there is nothing may be cached, but not for long: a live
// that does not exist yet may begin. That nobody can tell is not.
func (a absence) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "max-age=1")
	if a.Status == http.StatusServiceUnavailable {
		h.Set("Cache-Control", "no-store")
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(a.Status)
	_ = json.NewEncoder(w).Encode(a) // the reader may be gone
}

// retryAfter is in seconds: what is away comes back, and players hold some.
const retryAfter = "5"
