package api

import (
	"hash/maphash"
	"mime"
	"net/http"

	lru "github.com/hashicorp/golang-lru/v2"
)

// mayTakePart keeps one network from taking part too often, and pages of other
// sites from making their visitors do so.
func (a *API) mayTakePart(l *limiter, r *http.Request) error {
	if !a.sameSite(r) {
		return crossSite()
	}
	if r.Method == http.MethodPost { // what has a body
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			p := newProblem(http.StatusUnsupportedMediaType, codeOf(415), detailOf(415))
			p.Errors = []*ErrorDetail{{Message: "expected application/json", Location: "header.Content-Type"}}
			return p
		}
	}
	return a.admit(l, r)
}

// beat takes a heartbeat. With ten thousand listeners a thousand come every
// second, which is why it is a plain handler.
func (a *API) beat(w http.ResponseWriter, r *http.Request) {
	err := a.mayTakePart(a.beats, r)
	if err == nil {
		err = a.config.Audience.Beat(r.Context(), r.PathValue("live_id"), r.PathValue("listener_id"), a.standIn(r))
		err = a.ofVisit(r, "heartbeat", err)
	}
	a.settle(w, r, err)
}

// leave is for who stops listening. It is written to disk, so once for each: who
// says it again hears the same.
func (a *API) leave(w http.ResponseWriter, r *http.Request) {
	err := a.mayTakePart(a.beats, r)
	liveID, listenerID := r.PathValue("live_id"), r.PathValue("listener_id")
	if err == nil && a.departed.note(liveID, listenerID) {
		err = a.ofVisit(r, "leave", a.config.Audience.Leave(r.Context(), liveID, listenerID))
		if err != nil {
			a.departed.forget(liveID, listenerID)
		}
	}
	a.settle(w, r, err)
}

func (a *API) ofVisit(r *http.Request, what string, err error) error {
	if err == nil {
		return nil
	}
	return a.unheard(r.Context(), what, ofListener, err)
}

func (a *API) settle(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Cache-Control"] = noStore
	w.WriteHeader(http.StatusNoContent)
}

// Header values that are the same in every answer.
var (
	anyOrigin = []string{"*"}
	noStore   = []string{"no-store"}
)

// departed knows the visits that ended here last, by a hash that nobody outside
// can aim at.
type departed struct {
	seed  maphash.Seed
	known *lru.Cache[uint64, struct{}]
}

func newDeparted() (departed, error) {
	known, err := lru.New[uint64, struct{}](remembered)
	return departed{maphash.MakeSeed(), known}, err
}

// note tells whether a visit was not known to have ended; now it is.
func (d departed) note(liveID, listenerID string) bool {
	known, _ := d.known.ContainsOrAdd(d.key(liveID, listenerID), struct{}{})
	return !known
}

func (d departed) forget(liveID, listenerID string) { d.known.Remove(d.key(liveID, listenerID)) }

// A listener id that is one has no slash.
func (d departed) key(liveID, listenerID string) uint64 {
	return maphash.String(d.seed, liveID+"/"+listenerID)
}
