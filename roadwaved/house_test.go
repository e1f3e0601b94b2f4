package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
	"github.com/roadwave/roadwave/roadwaved/internal/redis"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Two daemons and a worker, each in a process of its own, on PostgreSQL, Redis
// and an S3 server: the creator is on one daemon, everybody else on the other.
func TestHouse(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	first, second := s.daemon(), s.daemon()
	s.worker()
	creator := first.publish(programme(time.Minute), "title=Deux+d%C3%A9mons&zone_geo=Dr%C3%B4me&tag=route", nil)

	// The other daemon knows the live and gives its media.
	l := second.live(creator.id)
	if l.State != "on_air" || l.Title != "Deux démons" {
		t.Errorf("the other daemon says %+v", l)
	}
	second.eventually("segments are listed through the other daemon", 20*time.Second, func() bool {
		resp, err := http.Get(second.url + "/live/" + creator.id + "/opus.m3u8")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK && len(second.mediaPlaylist(creator.id, "opus.m3u8").Segments) >= 3
	})
	counters := second.nextEvent("/v1/lives/"+creator.id+"/events", "counters")
	listener := second.join(creator.id, "léa")
	for _, d := range []*testDaemon{first, second} {
		d.eventually("one listener is counted", 10*time.Second, func() bool { return d.live(creator.id).Listeners == 1 })
	}
	for got := counters(); !strings.Contains(got, `"listeners":1,`); got = counters() {
	}
	s.checkOrigin(creator.id)
	second.leave(creator.id, listener)
	first.eventually("nobody is counted", 10*time.Second, func() bool { return first.live(creator.id).Listeners == 0 })

	first.hangUp(creator, 16*time.Second)
	if over := second.mediaPlaylist(creator.id, "opus.m3u8"); !over.Endlist { // for who is behind
		t.Errorf("the other daemon's playlist has no end: %+v", over)
	}
	r := second.replayOf(creator.id, 2*time.Minute)
	if r.Title != "[REPLAY] Deux démons" || r.GeoType != "Géo-neutre" || r.DurationSeconds < 10 {
		t.Errorf("the replay is %+v", r)
	}
	if mp3 := second.body(strings.TrimPrefix(r.MP3URL, second.url)); len(mp3) < 100_000 {
		t.Errorf("the MP3 has %d bytes", len(mp3))
	}
	second.eventually("the audit log has the whole live", 20*time.Second, func() bool {
		kinds := s.events(creator.id)
		return kinds == "live_start join leave live_end"
	})
}

// checkOrigin looks for the segments and playlists of a live in the bucket (M16).
func (s *stack) checkOrigin(liveID string) {
	s.t.Helper()
	kinds := map[string]int{}
	for info, err := range s.store().List(s.t.Context(), station.LivePrefix+liveID+"/") {
		if err != nil {
			s.t.Fatal(err)
		}
		kinds[path.Ext(info.Key)]++
	}
	if kinds[".m3u8"] < 4 || kinds[".ts"] < 4 || kinds[".mp4"] < 3 {
		s.t.Errorf("the bucket has %v of the live", kinds)
	}
}

// nextEvent opens an event stream; the function it gives waits for the data of
// the next event of a type.
func (d *testDaemon) nextEvent(path, kind string) func() string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	d.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	return func() string {
		d.t.Helper()
		for ours := false; lines.Scan(); {
			if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				ours = event == kind
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && ours {
				return data
			}
		}
		d.t.Fatalf("the stream ended without an event %q: %v", kind, lines.Err())
		return ""
	}
}

// Everything through the real NGINX: a creator, a listener who joins, and media
// from its cache (M3).
func TestBehindNGINX(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--workers", "0")
	front := deploytest.Nginx(t, deploy.NginxConfig{Daemons: []string{strings.TrimPrefix(d.url, "http://")}})
	direct := d.url
	d.url = front.URL
	creator := d.publish(programme(time.Minute), "title=Devant", nil)
	d.eventually("segments are listed", 20*time.Second, func() bool {
		return d.get("/live/"+creator.id+"/opus/media.m3u8", nil) == http.StatusOK && d.edge(creator.id) >= 3
	})
	segment := "/live/" + creator.id + "/opus/" + d.mediaPlaylist(creator.id, "opus.m3u8").Segments[0].URI
	for _, want := range []string{"MISS", "HIT"} {
		resp, err := http.Get(front.URL + segment)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Cache"); resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("a segment: %d %s, want %s", resp.StatusCode, got, want)
		}
	}
	if l := d.live(creator.id); !strings.HasPrefix(l.HLSURL, front.URL+"/live/") {
		t.Errorf("listeners are sent to %s, NGINX is %s", l.HLSURL, front.URL)
	}
	listener := d.join(creator.id, "léa")
	d.eventually("one listens", 10*time.Second, func() bool { return d.live(creator.id).Listeners == 1 })
	d.leave(creator.id, listener)
	if status := d.request(http.MethodDelete, "/whip/"+creator.id, "ada", nil); status != http.StatusOK {
		t.Errorf("ending the live: %d", status)
	}
	d.url = direct
	d.eventually("the live is over", 10*time.Second, func() bool { return d.live(creator.id).State == "ended" })
}

// A creator whose live another daemon has on air ends it through this one.
func TestForwardedEnd(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	first, second := s.daemon(), s.daemon()
	creator := first.publish(programme(time.Minute), "", nil)
	if status := second.request(http.MethodDelete, "/whip/"+creator.id, "ada", nil); status != http.StatusOK {
		t.Errorf("the other daemon answers %d", status)
	}
	first.eventually("the live is over", 10*time.Second, func() bool { return first.live(creator.id).State == "ended" })
	if status := second.request(http.MethodDelete, "/whip/"+creator.id, "ada", nil); status != http.StatusNotFound {
		t.Errorf("once more: %d", status)
	}
}

// The limit on lives holds for all daemons together, and a dead one's slots come
// back (M13).
func TestLimitOfTheHouse(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	first, second := s.daemon("--max-lives", "2"), s.daemon("--max-lives", "2")
	first.publish(programme(time.Minute), "", nil)
	second.publish(programme(time.Minute), "", nil)
	for _, d := range []*testDaemon{first, second} {
		status, body := d.offer()
		if status != http.StatusServiceUnavailable || !strings.Contains(body, station.MessageFull) {
			t.Errorf("the third live: %d %s", status, body)
		}
	}
	first.kill()
	second.eventually("the dead daemon's slot is free", time.Minute, func() bool {
		status, _ := second.offer()
		return status == http.StatusCreated
	})
}

// A daemon that dies and does not come back: the others say so to its listeners
// (M22). When its disk is there again the replay is made. One that only Redis does
// not hear of, for longer than that, keeps its live and listeners.
func TestDeadDaemon(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	data := t.TempDir()
	way := newLink(t, s.redis.Addr)
	patience := []string{"--node-patience", "30s"}
	first, second := s.daemonOn(data, patience...), s.daemon(patience...)
	cut := s.daemon(append(patience, "--redis-url", "redis://"+way.addr)...)
	s.worker()
	goesOn := cut.publish(endless(), "title=Isol%C3%A9", nil)
	creator := first.publish(programme(20*time.Second), "title=Perdu", nil)
	time.Sleep(6 * time.Second)
	way.cut()
	first.kill()
	killed := time.Now()
	second.eventually("the live is lost", 2*time.Minute, func() bool { return second.live(creator.id).State == "lost" })
	if l := second.live(creator.id); l.Message != station.MessageLost || l.Replay.State != "uploading" {
		t.Errorf("the live is %+v", l)
	}
	if l, err := s.catalog().Live(t.Context(), creator.id); err != nil || l.EndedAt.After(killed) || l.EndedAt.Before(l.StartedAt) {
		t.Errorf("it ended at %v, its daemon at %v (%v)", l.EndedAt, killed, err)
	}
	if s.presents(cut) {
		t.Error("Redis heard of the daemon that is cut off from it")
	}
	for _, d := range []*testDaemon{second, cut} {
		d.hears(goesOn.id)
	}
	way.mend()
	cut.eventually("Redis hears of it again", time.Minute, func() bool { return s.presents(cut) })
	second.hears(goesOn.id)
	s.daemonOn(data)
	if r := second.replayOf(creator.id, 2*time.Minute); r.DurationSeconds < 4 {
		t.Errorf("the replay lasts %.1f s", r.DurationSeconds)
	}
}

// endless is a live that lasts longer than a test, of which ten seconds are encoded.
func endless() media.Source {
	part := spoken(10 * time.Second)
	var packets []media.Packet
	for len(packets) < 180*len(part) {
		at := int64(len(packets))
		for _, p := range part {
			p.PTS += at * int64(p.Duration)
			packets = append(packets, p)
		}
	}
	return mediatest.Packets(packets...)
}

// presents tells whether Redis knows a daemon to be up.
func (s *stack) presents(d *testDaemon) bool {
	s.t.Helper()
	name, err := os.ReadFile(filepath.Join(d.data, "node"))
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := redis.Dial(s.redis.URL, redis.Config{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Nodes().Node(s.t.Context(), strings.TrimSpace(string(name)))
	if err != nil && !errors.Is(err, station.ErrNotFound) {
		s.t.Fatal(err)
	}
	return err == nil
}

// hears checks that a live is on air, on the list, and grows.
func (d *testDaemon) hears(liveID string) {
	d.t.Helper()
	var list struct {
		Lives []apiLive `json:"lives"`
	}
	d.get("/v1/lives", &list)
	if !slices.ContainsFunc(list.Lives, func(l apiLive) bool { return l.LiveID == liveID && l.State == "on_air" }) {
		d.t.Errorf("on the list are %+v", list.Lives)
	}
	before := d.edge(liveID)
	d.eventually("the live grows", 30*time.Second, func() bool { return d.edge(liveID) > before })
}

// A data folder that was copied: the daemon on the copy does not start, and says
// what to do.
func TestCopiedFolder(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	d := s.daemon()
	creator := d.publish(endless(), "", nil)
	copied := t.TempDir()
	name, err := os.ReadFile(filepath.Join(d.data, "node"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, "node"), name, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	twin := exec.CommandContext(ctx, os.Args[0], "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--media-udp", "127.0.0.1:0", "--data", copied)
	twin.Env = append(append(os.Environ(), childEnv+"=1"), s.env...)
	out, err := twin.CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "delete "+filepath.Join(copied, "node")) {
		t.Errorf("the copy ends with %v and says:\n%s", err, out)
	}
	if l := d.live(creator.id); l.State != "on_air" {
		t.Errorf("the live is %+v", l)
	}
}

// SIGTERM uploads what was recorded before the process ends: its disk may go
// with it.
func TestStoppedDaemonUploads(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	first, second := s.daemon(), s.daemon()
	creator := first.publish(programme(time.Minute), "", nil)
	time.Sleep(5 * time.Second)
	first.signal(syscall.SIGTERM)
	if state := second.live(creator.id).Replay.State; state != "pending" {
		t.Errorf("after the daemon stopped the replay is %q", state)
	}
}

// events are the kinds of what the audit log has of a live, in order.
func (s *stack) events(liveID string) string {
	s.t.Helper()
	events, err := s.catalog().ListEvents(s.t.Context(), station.EventQuery{LiveID: liveID, Limit: station.MaxPage})
	if err != nil {
		s.t.Fatal(err)
	}
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, string(e.Kind))
	}
	return strings.Join(kinds, " ")
}

// offer tries to go live for a moment and tells how that was answered.
func (d *testDaemon) offer() (status int, detail string) {
	d.t.Helper()
	_, err := whip.Publish(d.t.Context(), d.url+"/whip", programme(100*time.Millisecond), whip.PublishConfig{Token: "bob"})
	var refusal *whip.Refusal
	if errors.As(err, &refusal) {
		return refusal.Status, refusal.Detail
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return http.StatusCreated, ""
}

// request sends one with a token and gives the status.
func (d *testDaemon) request(method, path, token string, body io.Reader) int {
	d.t.Helper()
	status, _ := d.exchange(method, path, token, "application/json", body)
	return status
}

func (d *testDaemon) exchange(method, path, token, contentType string, body io.Reader) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, body)
	if err != nil {
		d.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// join makes somebody a listener.
func (d *testDaemon) join(liveID, user string) (listenerID string) {
	d.t.Helper()
	var ticket struct {
		ListenerID string `json:"listener_id"`
	}
	body := fmt.Sprintf(`{"user_id": %q, "position": {"lat": 44.7, "lon": 5.0}}`, user)
	status, answer := d.exchange(http.MethodPost, "/v1/lives/"+liveID+"/listeners", "", "application/json", bytes.NewReader([]byte(body)))
	if status != http.StatusCreated {
		d.t.Fatalf("joining: %d %s", status, answer)
	}
	if err := json.Unmarshal([]byte(answer), &ticket); err != nil {
		d.t.Fatal(err)
	}
	return ticket.ListenerID
}

func (d *testDaemon) leave(liveID, listenerID string) {
	d.t.Helper()
	if status := d.request(http.MethodDelete, "/v1/lives/"+liveID+"/listeners/"+listenerID, "", nil); status != http.StatusNoContent {
		d.t.Errorf("leaving: %d", status)
	}
}
