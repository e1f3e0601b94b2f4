package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A Problem is an error as RFC 9457 writes it. Its type is about:blank, so
// the title is the phrase of the status; programs look at Code.
type Problem struct {
	Title  string         `json:"title" doc:"The HTTP status in words, in English." example:"Not Found"`
	Status int            `json:"status" doc:"The HTTP status." example:"404"`
	Detail string         `json:"detail" doc:"A sentence for people, in French." example:"Ce live n'existe pas."`
	Code   string         `json:"code" doc:"A stable word for programs." example:"live-not-found"`
	Errors []*ErrorDetail `json:"errors,omitempty" doc:"What is wrong with the request, part by part."`

	header http.Header // of the answer
}

// An ErrorDetail is one thing that is wrong with a request.
type ErrorDetail struct {
	Message  string `json:"message" doc:"What is wrong, in English." example:"expected number <= 200"`
	Location string `json:"location,omitempty" doc:"Where." example:"query.limit"`
}

// newProblem makes a problem from an HTTP status, a stable code and a French
// sentence for people.
func newProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// unavailable is the problem of what cannot be done now and may be done later.
func unavailable() *Problem {
	p := newProblem(http.StatusServiceUnavailable, "unavailable", "Service momentanément indisponible. Veuillez réessayer dans quelques instants.")
	return p.retryAfter(awayFor)
}

// with adds a header to the answer.
func (p *Problem) with(key, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(key, value)
	return p
}

// retryAfter says when to come back.
func (p *Problem) retryAfter(d time.Duration) *Problem { return p.with("Retry-After", seconds(d)) }

// GetHeaders is how huma learns the headers.
func (p *Problem) GetHeaders() http.Header { return p.header }

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus is how huma learns the status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is how huma learns that this is no ordinary JSON.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// writeProblem answers a request with a problem.
func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	maps.Copy(h, p.header)
	h.Set("Content-Type", problemType)
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the reader may be gone
}

// A gate knows who comes in and what to say when something goes wrong.
type gate struct {
	log *slog.Logger
	who func(*http.Request) (auth.Identity, error) // nil: nobody asks
}

// writeError answers with a problem, whatever went wrong.
func (g gate) writeError(w http.ResponseWriter, r *http.Request, err error) {
	writeProblem(w, g.problem(r.Context(), err))
}

// problem is what an error says to the client: one that is no problem yet is
// ours, and the log's.
func (g gate) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if !errors.As(err, &p) {
		errors.As(g.failed(ctx, "answer", err), &p)
	}
	return p
}

// failed logs what went wrong inside and gives the problem that says no more
// than that.
func (g gate) failed(ctx context.Context, what string, err error) error {
	away := errors.Is(err, station.ErrAway)
	if ctx.Err() == nil { // else nobody waits for the answer any more
		level := slog.LevelError
		if away {
			level = slog.LevelWarn
		}
		g.log.Log(ctx, level, "request failed: "+what, "err", err)
	}
	if away {
		return unavailable()
	}
	return newProblem(http.StatusInternalServerError, codeOf(500), detailOf(500))
}

// init makes huma write its own errors (bad parameters, mostly) as ours. The
// hook is a variable of that package; nobody else in the daemon uses it.
func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		p := newProblem(status, codeOf(status), detailOf(status))
		if status >= http.StatusInternalServerError {
			return p // what failed inside is for the log
		}
		for _, err := range errs {
			flaw := &ErrorDetail{Message: err.Error()}
			if d, ok := err.(huma.ErrorDetailer); ok {
				flaw.Message, flaw.Location = d.ErrorDetail().Message, d.ErrorDetail().Location
			}
			p.Errors = append(p.Errors, flaw)
		}
		if len(errs) == 0 && msg != "" {
			p.Errors = append(p.Errors, &ErrorDetail{Message: msg})
		}
		return p
	}
}

func codeOf(status int) string {
	if status >= http.StatusInternalServerError {
		return "internal-error"
	}
	return "invalid-request"
}

func detailOf(status int) string {
	if status >= http.StatusInternalServerError {
		return "Une erreur interne est survenue. Veuillez réessayer."
	}
	return "Cette demande n'est pas valide."
}
