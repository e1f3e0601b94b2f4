package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// AdminConfig makes an [Admin]. The zero AdminConfig shows that the process
// lives, and its inside.
type AdminConfig struct {
	// Checks are what the daemon works with.
	Checks []Check
	// Identify, where set, asks everybody for an operator's token, but for
	// /healthz, and for /readyz in few words. Leave it nil only on a loopback
	// address.
	Identify func(*http.Request) (auth.Identity, error)
	// LoopbackOnly refuses requests whose Host is not this machine's own name or
	// address, as that of [Config] does. Set it where Identify is nil.
	LoopbackOnly bool
	// Jobs are the replays in the making, and Queue gives them to workers. nil:
	// there is no /v1/jobs.
	Jobs interface {
		Job(ctx context.Context, liveID string) (station.Job, error)
		ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error)
		Reopen(ctx context.Context, liveID string) error
	}
	Queue interface {
		Enqueue(ctx context.Context, liveID string, p station.Priority) error
	}
	// Records hold the audit log. nil: there is no /v1/audit.
	Records interface {
		ListEvents(ctx context.Context, q station.EventQuery) ([]station.Event, error)
	}
	// Logger gets what fails inside. nil discards.
	Logger *slog.Logger
}

// An Admin is the handler of the admin listener:
//
//	GET  /healthz                     the process lives
//	GET  /readyz                      ok, degraded, or 503 when something vital is away; operators read why
//	GET  /v1/jobs?state=              replays in the making, the oldest first
//	POST /v1/jobs/{live_id}/retry     makes a parked one again
//	GET  /v1/audit?live_id=&user_id=&kind=&since=&until=    the audit log (M24)
//	GET  /debug/pprof/                what goes on inside
//
// Lists come in pages: pass next_cursor as cursor. Who accepts
// application/x-ndjson gets all of the audit log at once, one event per line.
type Admin struct {
	gate
	config AdminConfig
	checks checkup
	mux    *http.ServeMux
	sites  *http.CrossOriginProtection
}

// NewAdmin makes the handler.
func NewAdmin(c AdminConfig) *Admin {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Admin{gate: gate{c.Logger, c.Identify}, config: c, checks: checkup{of: c.Checks}, mux: http.NewServeMux(), sites: http.NewCrossOriginProtection()}
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]string{"status": "ok"}, http.StatusOK)
	})
	a.mux.HandleFunc("GET /readyz", a.ready)
	if c.Jobs != nil {
		a.handleFunc("GET /v1/jobs", a.listJobs)
		a.handleFunc("POST /v1/jobs/{live_id}/retry", a.retryJob)
	}
	if c.Records != nil {
		a.handleFunc("GET /v1/audit", a.listEvents)
	}
	a.handleFunc("/debug/pprof/", pprof.Index)
	a.handleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	a.handleFunc("/debug/pprof/profile", pprof.Profile)
	a.handleFunc("/debug/pprof/symbol", pprof.Symbol)
	a.handleFunc("/debug/pprof/trace", pprof.Trace)
	return a
}

// Handle adds a handler, for operators like the others.
func (a *Admin) Handle(pattern string, h http.Handler) { a.handleFunc(pattern, h.ServeHTTP) }

// ServeHTTP implements [http.Handler].
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // an export before on this connection had one
	if a.config.LoopbackOnly && !isLoopback(r.Host) {
		writeProblem(w, misdirected())
		return
	}
	a.mux.ServeHTTP(w, r)
}

func (a *Admin) handleFunc(pattern string, h http.HandlerFunc) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := a.mayOperate(r); err != nil {
			a.writeError(w, r, err)
			return
		}
		h(w, r)
	})
}

func (a *Admin) mayOperate(r *http.Request) error {
	if a.sites.Check(r) != nil { // a page that an operator looks at
		return crossSite()
	}
	who, err := a.identify(r)
	switch {
	case err != nil || a.who == nil || who.Operator:
		return err
	case who == auth.Identity{}:
		return challenge(auth.ErrNoToken)
	}
	return newProblem(http.StatusForbidden, "not-an-operator", "Cette action est réservée aux opérateurs.")
}

func writeJSON(w http.ResponseWriter, answer any, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the reader may be gone
}
