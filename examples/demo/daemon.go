package main

import (
	"bufio"
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
	cmd *exec.Cmd
	url string
}

// startDaemon builds roadwaved and starts it on free loopback ports.
func startDaemon(ctx context.Context, folder string) (*daemon, error) {
	binary := filepath.Join(folder, "roadwaved")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/roadwave/roadwave/roadwaved")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building roadwaved: %w\n%s", err, out)
	}
	logs, err := os.Create(filepath.Join(folder, "roadwaved.log"))
	if err != nil {
		return nil, err
	}
	defer logs.Close()
	cmd := exec.Command(binary, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--media-udp", "127.0.0.1:0", "--data", filepath.Join(folder, "data"))
	cmd.Stderr = logs
	// Ctrl-C is for us: the daemon is told in its turn.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{cmd: cmd}
	for lines := bufio.NewScanner(out); d.url == "" && lines.Scan(); {
		if _, url, ok := strings.Cut(lines.Text(), "listen  "); ok {
			d.url = strings.TrimSuffix(url, "/")
		}
	}
	if d.url == "" {
		err := cmd.Wait()
		why, _ := os.ReadFile(logs.Name())
		return nil, fmt.Errorf("roadwaved did not start (%w): %s", err, why)
	}
	go io.Copy(io.Discard, out)
	return d, nil
}

// stop asks the daemon to end properly.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	_ = d.cmd.Wait()
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
