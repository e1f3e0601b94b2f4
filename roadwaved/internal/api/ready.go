package api

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// checkTimeout bounds one readiness check.
	checkTimeout = 2 * time.Second
	// checkEvery is for how long its result is believed, whoever asks.
	checkEvery = time.Second
)

// A Check tells whether something that the daemon works with answers.
type Check struct {
	Name string
	Ping func(context.Context) error
	// Vital is what the daemon cannot do without. What is not only degrades it:
	// who takes it out of service for that would also end the lives that go on.
	Vital bool
}

// ready tells operators what is wrong, and others that something is: errors say
// much about the inside.
func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	who, err := a.identify(r)
	inside := a.who == nil || err == nil && who.Operator
	answer, status := map[string]string{"status": "ok"}, http.StatusOK
	for i, err := range a.checks.run(r.Context()) {
		c := a.config.Checks[i]
		switch {
		case err == nil:
			answer[c.Name] = "ok"
			continue
		case c.Vital:
			answer["status"], status = "unavailable", http.StatusServiceUnavailable
		case status == http.StatusOK:
			answer["status"] = "degraded"
		}
		if answer[c.Name] = "away"; inside {
			answer[c.Name] = err.Error()
		}
	}
	writeJSON(w, answer, status)
}

// A checkup is what the checks found, which is not sought anew for everybody who
// asks.
type checkup struct {
	of    []Check
	mu    sync.Mutex // whoever comes while one looks waits for what is found
	found []error
	until time.Time
}

func (c *checkup) run(ctx context.Context) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) {
		return c.found
	}
	c.found = make([]error, len(c.of))
	var checks sync.WaitGroup
	for i, one := range c.of {
		checks.Go(func() { c.found[i] = ping(context.WithoutCancel(ctx), one) }) // others wait for it too
	}
	checks.Wait()
	c.until = time.Now().Add(checkEvery)
	return c.found
}

func ping(ctx context.Context, c Check) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.Ping(ctx)
}
