package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Job is a replay in the making, as operators see it.
type Job struct {
	LiveID   string           `json:"live_id"`
	State    station.JobState `json:"state"`
	Node     string           `json:"node"` // of the live
	Priority station.Priority `json:"priority"`
	OpenedAt time.Time        `json:"opened_at"`
	Attempts int              `json:"attempts"`
	Worker   string           `json:"worker,omitempty"`
	Lease    *time.Time       `json:"lease,omitempty"`
	Step     string           `json:"step,omitempty"`
	Progress float64          `json:"progress"`
	Error    string           `json:"error,omitempty"` // of the last failure
	Updated  time.Time        `json:"updated_at"`
}

// JobList is one page of jobs, the oldest first.
type JobList struct {
	Jobs       []Job  `json:"jobs"`
	NextCursor cursor `json:"next_cursor,omitempty"`
}

// NewJob is a job as operators see it.
func NewJob(j station.Job) Job {
	out := Job{
		LiveID: j.LiveID, State: j.State, Node: j.Node, Priority: j.Priority, OpenedAt: j.Opened.UTC(), Attempts: j.Attempts,
		Worker: j.Worker, Step: j.Step, Progress: j.Progress, Error: j.Error, Updated: j.Updated.UTC(),
	}
	if !j.Lease.IsZero() {
		lease := j.Lease.UTC()
		out.Lease = &lease
	}
	return out
}

func (a *Admin) listJobs(w http.ResponseWriter, r *http.Request) {
	q := ask{values: r.URL.Query()}
	query := station.JobQuery{Node: q.text("node")}
	for _, s := range q.among("state", "uploading", "pending", "running", "done", "empty", "parked") {
		query.States = append(query.States, station.JobState(s))
	}
	query.Limit, query.After, query.AfterID = q.page()
	if err := q.err(); err != nil {
		a.writeError(w, r, err)
		return
	}
	jobs, err := a.config.Jobs.ListJobs(r.Context(), query)
	if err != nil {
		a.writeError(w, r, a.failed(r.Context(), "list jobs", err))
		return
	}
	list := JobList{Jobs: make([]Job, len(jobs))}
	for i, j := range jobs {
		list.Jobs[i] = NewJob(j)
	}
	if n := len(jobs); n > 0 && n >= query.Limit {
		list.NextCursor = cursorAt(jobs[n-1].Opened, jobs[n-1].LiveID)
	}
	writeJSON(w, list, http.StatusOK)
}

func (a *Admin) retryJob(w http.ResponseWriter, r *http.Request) {
	job, err := a.reopen(r.Context(), r.PathValue("live_id"))
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	writeJSON(w, NewJob(job), http.StatusAccepted)
}

// reopen makes a parked job wait for a worker again and wakes one. A queue that
// is away is no error: the catalog is asked again soon.
func (a *Admin) reopen(ctx context.Context, liveID string) (station.Job, error) {
	err := a.config.Jobs.Reopen(ctx, liveID)
	switch {
	case errors.Is(err, station.ErrNotFound):
		return station.Job{}, newProblem(http.StatusNotFound, "job-not-found", "Ce replay n'est pas en préparation.")
	case errors.Is(err, station.ErrJobOver):
		return station.Job{}, newProblem(http.StatusConflict, "job-over", "Ce replay est terminé.")
	case err != nil:
		return station.Job{}, a.failed(ctx, "reopen job", err)
	}
	job, err := a.config.Jobs.Job(ctx, liveID)
	if err != nil {
		return station.Job{}, a.failed(ctx, "read job", err)
	}
	a.config.Logger.Info("an operator wants this replay made again", "live_id", liveID, "state", job.State)
	if job.State == station.JobPending && a.config.Queue != nil {
		if err := a.config.Queue.Enqueue(ctx, liveID, job.Priority); err != nil {
			a.config.Logger.Warn("the queue does not answer, the replay will be asked for again", "live_id", liveID, "err", err)
		}
	}
	return job, nil
}
