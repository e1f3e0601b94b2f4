package whip

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/pion/ice/v4"
)

// servePatch takes candidates (204) or an ICE restart (200, RFC 9725 §4.3).
func (s *Session) servePatch(w http.ResponseWriter, r *http.Request) error {
	match := r.Header.Get("If-Match")
	if match == "" {
		return refuse(http.StatusPreconditionRequired, "if-match-missing", `a PATCH needs If-Match: the ETag of the ICE session, or "*" to restart it`)
	}
	body, err := readBody(w, r, typeFragment, "Accept-Patch")
	if err != nil {
		return err
	}
	f, err := parseFragment(body, s.offer.mid())
	if err != nil {
		return err
	}
	s.negotiation.Lock()
	defer s.negotiation.Unlock()
	if !matches(match, s.entityTag()) {
		return refuse(http.StatusPreconditionFailed, "if-match-failed", "the ICE session was restarted since; its ETag is another one now")
	}
	if s.State() == Ended {
		return refuse(http.StatusNotFound, "session-unknown", "the session has ended")
	}
	// Candidates of the next ICE session may overtake the request that begins it.
	// Only that one, which says "*", must: its answer is the one that is read.
	if strings.TrimSpace(match) == "*" && f.restarts(s.remoteUfrag) {
		return s.restart(w, r, f)
	}
	if f.ufrag != "" && f.ufrag != s.remoteUfrag {
		return unprocessable("ice-session-unknown", `the candidates belong to an ICE session with another ufrag; to restart, send its a=ice-pwd too, with If-Match: "*"`)
	}
	if err := s.trickle(f.candidates); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// matches compares as RFC 9110 §13.1.1 says.
func matches(header, tag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		if item = strings.TrimSpace(item); item == "*" || item == tag {
			return true
		}
	}
	return false
}

func (s *Session) restart(w http.ResponseWriter, r *http.Request, f fragment) error {
	for _, c := range f.candidates { // before anything changes: the present session must go on
		if _, err := ice.UnmarshalCandidate(c); err != nil {
			return refuse(http.StatusBadRequest, "fragment-malformed", "a candidate cannot be read: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), gatherTimeout)
	defer cancel()
	s.offer.more = append([]string{}, f.candidates...)
	answer, err := s.negotiate(ctx, f.ufrag, f.pwd)
	if err != nil {
		return err
	}
	body, err := fragmentOf(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeFragment)
	w.Header().Set("ETag", s.entityTag())
	_, _ = io.WriteString(w, body)
	return nil
}
