package main

import (
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "0s",
		59*time.Second + 900*time.Millisecond: "59s",
		5*time.Minute + 3*time.Second:         "5m3s",
		2*time.Hour + 5*time.Minute:           "2h5m",
		49 * time.Hour:                        "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
}

func TestWhatOfJobs(t *testing.T) {
	for _, c := range []struct {
		job  station.Job
		want string
	}{
		{station.Job{State: station.JobUploading, Node: "north"}, "from north"},
		{station.Job{State: station.JobRunning, Step: "master", Progress: 0.425, Worker: "w/1"}, "master 42 % on w/1"},
		{station.Job{State: station.JobPending, Step: "waits for the object store"}, "waits for the object store"},
		{station.Job{State: station.JobParked, Step: "master", Error: "no\nsound"}, "no sound"},
	} {
		if got := what(c.job); got != c.want {
			t.Errorf("a job that is %s is shown as %q, want %q", c.job.State, got, c.want)
		}
	}
}
