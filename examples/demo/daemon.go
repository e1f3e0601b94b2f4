package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A daemon is a roadwaved of our own, in a process of its own.
type daemon struct {
	*process
	url string // what creators and listeners use: the daemon, or NGINX before it
}

// startDaemon builds roadwaved and starts it on free loopback ports, or on what
// a stack has for it.
func startDaemon(ctx context.Context, folder string, s *stack) (*daemon, error) {
	if err := build(ctx, folder, "roadwaved", "roadwaved"); err != nil {
		return nil, err
	}
	args := []string{"--admin-listen", "127.0.0.1:0", "--media-udp", "127.0.0.1:0", "--data", filepath.Join(folder, "data")}
	if s == nil {
		args = append(args, "--listen", "127.0.0.1:0")
	} else {
		args = append(args, "--workers", "0")
	}
	d := &daemon{}
	var err error
	d.process, err = startProcess(folder, "roadwaved", s.environment(), args, func(line string) (ready bool) {
		_, url, found := strings.Cut(line, "listen  ")
		d.url = strings.TrimSuffix(url, "/")
		return found
	})
	if s != nil {
		d.url = s.publicURL
	}
	return d, err
}

// build compiles one of this project's programs.
func build(ctx context.Context, folder, name, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(folder, name), "github.com/roadwave/roadwave/"+path)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return nil
}

// A process is one that we started and will stop.
type process struct {
	cmd   *exec.Cmd
	input io.Closer
}

// startProcess starts a program that was built, whose complaints go into a log,
// and returns when it printed the line that ready waits for.
func startProcess(folder, name string, environment, args []string, ready func(line string) bool) (*process, error) {
	program, logName, _ := strings.Cut(name, " ")
	logs, err := os.Create(filepath.Join(folder, cmp.Or(logName, program)+".log"))
	if err != nil {
		return nil, err
	}
	defer logs.Close()
	cmd := exec.Command(filepath.Join(folder, program), args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = logs
	// Ctrl-C is for us: the others are told in their turn.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if ready(lines.Text()) {
			go io.Copy(io.Discard, out)
			return &process{cmd, input}, nil
		}
	}
	err = cmd.Wait()
	why, _ := os.ReadFile(logs.Name())
	return nil, fmt.Errorf("%s did not start (%w): %s", name, err, why)
}

// stop asks the process to end properly.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.input.Close()
	_ = p.cmd.Wait()
}

// liveState and replayState are what the demo reads of the API's answers.
type liveState struct {
	State           string    `json:"state"`
	EndedAt         time.Time `json:"ended_at"`
	DurationSeconds float64   `json:"duration_seconds"`
	Replay          struct {
		State    string  `json:"state"`
		Step     string  `json:"step"`
		Progress float64 `json:"progress"`
		ReplayID string  `json:"replay_id"`
	} `json:"replay"`
}

type replayState struct {
	Title           string    `json:"title"`
	PublishedAt     time.Time `json:"published_at"`
	GeoType         string    `json:"geo_type"`
	DurationSeconds float64   `json:"duration_seconds"`
	Loudness        float64   `json:"loudness_lufs"`
	SilenceRemoved  float64   `json:"silence_removed_seconds"`
	HLSURL          string    `json:"hls_url"`
	MP3URL          string    `json:"mp3_url"`
}

func (d *daemon) live(ctx context.Context, id string) (l liveState, err error) {
	return l, d.get(ctx, d.url+"/v1/lives/"+id, &l)
}

func (d *daemon) get(ctx context.Context, url string, v any) error {
	body, err := fetch(ctx, url)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(v)
}

// fetch gives the body behind a URL.
func fetch(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.Body, nil
}

func (d *daemon) download(ctx context.Context, url, file string) error {
	body, err := fetch(ctx, url)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	return errors.Join(err, f.Close())
}

// waitForReplay waits up to five minutes, and shows how far the worker is.
func (d *daemon) waitForReplay(ctx context.Context, liveID string) (r replayState, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		l, err := d.live(ctx, liveID)
		if err != nil {
			return r, err
		}
		job := l.Replay
		switch job.State {
		case "done":
			fmt.Printf("\rReplay published.%30s\n", "")
			return r, d.get(ctx, d.url+"/v1/replays/"+job.ReplayID, &r)
		case "empty", "parked":
			return r, fmt.Errorf("no replay: its job is %s", job.State)
		}
		fmt.Printf("\rReplay: %-8s %3.0f %%  ", job.Step, 100*job.Progress)
		select {
		case <-ctx.Done():
			return r, errors.New("the replay took longer than five minutes")
		case <-time.After(300 * time.Millisecond):
		}
	}
}
