package api

import (
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// A Problem is an error as RFC 9457 writes it. Its type is about:blank, so
// the title is the phrase of the status; programs look at Code.
type Problem struct {
	Title  string  `json:"title" doc:"The HTTP status in words, in English." example:"Not Found"`
	Status int     `json:"status" doc:"The HTTP status." example:"404"`
	Detail string  `json:"detail" doc:"A sentence for people, in French." example:"Ce live n'existe pas."`
	Code   string  `json:"code" doc:"A stable word for programs." example:"live-not-found"`
	Errors []*Flaw `json:"errors,omitempty" doc:"What is wrong with the request, part by part."`
}

// A Flaw is one thing that is wrong with a request.
type Flaw struct {
	Message  string `json:"message" doc:"What is wrong, in English." example:"expected number <= 200"`
	Location string `json:"location,omitempty" doc:"Where." example:"query.limit"`
}

// newProblem makes a problem from an HTTP status, a stable code and a French
// sentence for people.
func newProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

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
	h.Set("Content-Type", problemType)
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the reader may be gone
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
			flaw := &Flaw{Message: err.Error()}
			if d, ok := err.(huma.ErrorDetailer); ok {
				flaw.Message, flaw.Location = d.ErrorDetail().Message, d.ErrorDetail().Location
			}
			p.Errors = append(p.Errors, flaw)
		}
		if len(errs) == 0 && msg != "" {
			p.Errors = append(p.Errors, &Flaw{Message: msg})
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
