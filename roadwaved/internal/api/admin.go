package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"
)

// checkTimeout bounds one readiness check.
const checkTimeout = 2 * time.Second

// A Check tells whether something that the daemon cannot do without answers.
type Check struct {
	Name string
	Ping func(context.Context) error
}

// NewAdmin makes the handler of the admin listener: /healthz (the process
// lives), /readyz (every check passes, 503 else) and /debug/pprof; more can be
// added to it. It shows
// what is inside the process: keep it off public addresses.
func NewAdmin(checks ...Check) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, map[string]string{"status": "ok"}, http.StatusOK)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		answer, status := map[string]string{"status": "ok"}, http.StatusOK
		for _, c := range checks {
			answer[c.Name] = "ok"
			if err := ping(r.Context(), c); err != nil {
				answer[c.Name] = err.Error()
				answer["status"], status = "unavailable", http.StatusServiceUnavailable
			}
		}
		writeStatus(w, answer, status)
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func ping(ctx context.Context, c Check) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.Ping(ctx)
}

func writeStatus(w http.ResponseWriter, answer map[string]string, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
