package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// A stack is the servers of a whole house: PostgreSQL, Redis, an S3 server and
// NGINX, on free ports, in a process of its own that ends them with itself.
type stack struct {
	*process
	settings  []string // NAME=value: what makes roadwaved use them
	publicURL string
	accessLog string // of NGINX
}

func startStack(ctx context.Context, folder string) (*stack, error) {
	fmt.Println("Building and starting PostgreSQL, Redis, an S3 server and NGINX ...")
	if err := build(ctx, folder, "stack", "roadwaved/deploy/stack"); err != nil {
		return nil, err
	}
	s := &stack{}
	var err error
	s.process, err = startProcess(folder, "stack", nil, nil, func(line string) (ready bool) {
		name, value, _ := strings.Cut(line, "=")
		value = strings.Trim(value, "'")
		switch name {
		case "ready":
			return true
		case "ROADWAVE_PUBLIC_URL":
			s.publicURL = value
		case "NGINX_ACCESS_LOG":
			s.accessLog = value
			return false
		}
		s.settings = append(s.settings, name+"="+value)
		return false
	})
	return s, err
}

// environment is what daemon and worker need to use the stack; without one,
// nothing.
func (s *stack) environment() []string {
	if s == nil {
		return nil
	}
	return s.settings
}

// startWorker starts a worker beside the daemon.
func (s *stack) startWorker(folder string) (*process, error) {
	return startProcess(folder, "roadwaved worker", s.settings, []string{"worker", "--data", folder + "/worker"},
		func(line string) bool { return strings.Contains(line, "admin") })
}

// crowdSize is how many listeners come beside the one who is measured.
const crowdSize = 100

// crowd makes listeners fetch the playlist every 2 s and each new segment once,
// as players do, until ctx ends.
func crowd(ctx context.Context, playlist string) {
	var listeners sync.WaitGroup
	for i := range crowdSize {
		listeners.Go(func() {
			heard := map[string]bool{}
			for time.Sleep(time.Duration(i) * 2 * time.Second / crowdSize); ctx.Err() == nil; time.Sleep(2 * time.Second) {
				entries, err := lines(ctx, playlist)
				if err != nil {
					continue // the live has not begun, or is over
				}
				for _, line := range entries {
					if line == "" || strings.HasPrefix(line, "#") || heard[line] {
						continue
					}
					heard[line] = true
					if body, err := fetch(ctx, playlist[:strings.LastIndex(playlist, "/")+1]+line); err == nil {
						_, _ = io.Copy(io.Discard, body)
						body.Close()
					}
				}
			}
		})
	}
	listeners.Wait()
}

// A cacheReport is what NGINX made of the requests for media of the live.
type cacheReport struct {
	requests int
	origin   int // of them, those that reached the daemon
}

func (s *stack) cache(liveID string) (r cacheReport, err error) {
	f, err := os.Open(s.accessLog)
	if err != nil {
		return r, err
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		var line struct {
			Method, URI, Cache string
			Status             int
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return r, fmt.Errorf("%s: %w", s.accessLog, err)
		}
		if line.Method != http.MethodGet || !strings.HasPrefix(line.URI, "/live/"+liveID) {
			continue
		}
		r.requests++
		switch line.Cache {
		case "HIT", "STALE", "UPDATING":
		default:
			r.origin++
		}
	}
	return r, scanner.Err()
}
