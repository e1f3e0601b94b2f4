package whip

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody       = 64 << 10
	gatherTimeout = 5 * time.Second
	typeSDP       = "application/sdp"
	typeFragment  = "application/trickle-ice-sdpfrag"
)

// ServeHTTP answers for the endpoint and its sessions (RFC 9725 §4).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", s.cfg.AllowOrigin)
	h.Set("Access-Control-Expose-Headers", "Location, Link, ETag, Retry-After, Accept-Post, Accept-Patch")
	var err error
	clean := path.Clean("/" + r.URL.Path)
	switch {
	case clean == s.cfg.Path:
		err = s.serveEndpoint(w, r)
	case path.Dir(clean) == s.cfg.Path:
		err = s.serveSession(w, r, path.Base(clean))
	default:
		err = refuse(http.StatusNotFound, "not-found", "there is no such resource")
	}
	if err != nil {
		s.writeProblem(w, r, err)
	}
}

func (s *Server) serveEndpoint(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodPost:
		return s.serveOffer(w, r)
	case http.MethodOptions:
		w.Header().Set("Accept-Post", typeSDP)
		s.linkServers(w, false)
		preflight(w, "POST, OPTIONS")
		return nil
	}
	return &Refusal{Status: http.StatusMethodNotAllowed, Code: "method-not-allowed", Detail: "send an SDP offer with POST", allow: "POST, OPTIONS"}
}

func (s *Server) serveSession(w http.ResponseWriter, r *http.Request, id string) error {
	const allow = "PATCH, DELETE, OPTIONS"
	switch r.Method {
	case http.MethodPatch, http.MethodDelete:
	case http.MethodOptions:
		w.Header().Set("Accept-Patch", typeFragment)
		preflight(w, allow)
		return nil
	default:
		return &Refusal{Status: http.StatusMethodNotAllowed, Code: "method-not-allowed", Detail: "a session takes PATCH and DELETE", allow: allow}
	}
	session, ok := s.Session(id)
	if !ok {
		return refuse(http.StatusNotFound, "session-unknown", "there is no such session, or it has ended")
	}
	if err := s.cfg.Authorize(r, session); err != nil {
		return err
	}
	if r.Method == http.MethodPatch {
		return session.servePatch(w, r)
	}
	session.end(EndDeleted)
	return nil
}

// preflight answers OPTIONS, a CORS preflight or not.
func preflight(w http.ResponseWriter, methods string) {
	h := w.Header()
	h.Set("Allow", methods)
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// serveOffer begins a session: 201, its URL, and the answer.
func (s *Server) serveOffer(w http.ResponseWriter, r *http.Request) error {
	if !acceptable(r) {
		return refuse(http.StatusNotAcceptable, "not-acceptable", "the answer is %s, which the Accept header rules out", typeSDP)
	}
	body, err := readBody(w, r, typeSDP, "Accept-Post")
	if err != nil {
		return err
	}
	offer, err := parseOffer(body)
	if err != nil {
		return err
	}
	if err := s.room(); err != nil { // a full server need not ask
		return err
	}
	admission, err := s.cfg.Admit(r)
	if err != nil {
		return err
	}
	session, answer, err := s.start(r, offer, admission)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", path.Join(s.cfg.Path, session.id))
	h.Set("ETag", session.entityTag())
	s.linkServers(w, true)
	w.WriteHeader(http.StatusCreated)
	_, err = io.WriteString(w, answer)
	if err != nil { // the creator never learns where its session is
		session.end(EndUnused)
	}
	return nil
}

// start makes a session of an admitted offer, or releases the admission.
func (s *Server) start(r *http.Request, o *offer, admission Admission) (*Session, string, error) {
	session := &Session{
		value: admission.Value, release: admission.Release, server: s, offer: o,
		query: r.URL.Query(), header: r.Header.Clone(), created: time.Now(),
		receiver: newReceiver(s.cfg.Jitter), published: make(chan struct{}), done: make(chan struct{}),
	}
	session.receiver.opus = o.opus
	err := admission.check()
	session.id = admission.ID
	if err == nil {
		err = s.add(session)
	}
	if err != nil {
		if session.release != nil {
			session.release()
		}
		return nil, "", err
	}
	answer, err := session.open(r.Context())
	if err != nil {
		session.end(EndUnused)
		return nil, "", err
	}
	return session, answer, nil
}

// open gives the answer to the session's offer.
func (s *Session) open(ctx context.Context) (string, error) {
	s.negotiation.Lock()
	defer s.negotiation.Unlock()
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	answer, err := s.negotiate(ctx, s.offer.ufrag, s.offer.pwd)
	if err != nil {
		return "", err
	}
	return s.offer.answer(answer, s.server.cfg.MaxAverageBitrate)
}

// acceptable tells whether the client takes an SDP answer.
func acceptable(r *http.Request) bool {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if header == "" {
		return true
	}
	for item := range strings.SplitSeq(header, ",") {
		mediaType, parameters, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil && q == 0 {
			continue
		}
		if mediaType == typeSDP || mediaType == "application/*" || mediaType == "*/*" {
			return true
		}
	}
	return false
}

func readBody(w http.ResponseWriter, r *http.Request, want, acceptHeader string) ([]byte, error) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		w.Header().Set(acceptHeader, want)
		return nil, refuse(http.StatusUnsupportedMediaType, "unsupported-media-type", "the body must be %s", want)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(http.StatusRequestEntityTooLarge, "body-too-large", "the body is larger than %d bytes", maxBody)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "body-unreadable", "the body cannot be read: %v", err)
	case len(body) == 0:
		return nil, refuse(http.StatusBadRequest, "body-empty", "the body is empty")
	}
	return body, nil
}

// linkServers tells the ICE servers (RFC 9725 §4.6). Before a session exists
// those with credentials are left out.
func (s *Server) linkServers(w http.ResponseWriter, credentials bool) {
	for _, server := range s.cfg.ICEServers {
		if server.Credential != "" && !credentials {
			continue
		}
		for _, u := range server.URLs {
			link := fmt.Sprintf(`<%s>; rel="ice-server"`, u)
			if server.Credential != "" {
				link += fmt.Sprintf(`; username=%q; credential=%q; credential-type="password"`, server.Username, server.Credential)
			}
			w.Header().Add("Link", link)
		}
	}
}

// sameAuthorization lets a session's own creator in.
func sameAuthorization(r *http.Request, s *Session) error {
	want := s.header.Get("Authorization")
	got := r.Header.Get("Authorization")
	switch {
	case subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1 || want == "":
		return nil
	case got == "":
		return refuse(http.StatusUnauthorized, "unauthorized", "send the token that the session was begun with")
	}
	return refuse(http.StatusForbidden, "forbidden", "the session belongs to another creator")
}

// problem is the body of an error (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		refusal = refuse(http.StatusInternalServerError, "internal-error", "the server failed; try again")
		s.cfg.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if refusal.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((refusal.RetryAfter+time.Second-1)/time.Second)))
	}
	if refusal.allow != "" {
		h.Set("Allow", refusal.allow)
	}
	if refusal.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		s.cfg.Logger.Info("request refused", "method", r.Method, "path", r.URL.Path, "from", host, "status", refusal.Status, "code", refusal.Code)
	}
	w.WriteHeader(refusal.Status)
	body, _ := json.Marshal(problem{"about:blank", http.StatusText(refusal.Status), refusal.Status, refusal.Code, refusal.Detail})
	_, _ = w.Write(body)
}
