package whip_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/whip"
)

func golden(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// do sends a request; headers come as "Name: value".
func do(t testing.TB, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(got)
}

const (
	sdp      = "Content-Type: application/sdp"
	fragment = "Content-Type: application/trickle-ice-sdpfrag"
)

func without(sdp string, prefixes ...string) string {
	var kept []string
	for line := range strings.Lines(sdp) {
		drop := false
		for _, p := range prefixes {
			drop = drop || strings.HasPrefix(line, p)
		}
		if !drop {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestRequests(t *testing.T) {
	t.Parallel()
	st := newStation(t, func(cfg *whip.Config) {
		cfg.Admit = func(r *http.Request) (whip.Admission, error) {
			switch r.Header.Get("Authorization") {
			case "Bearer full":
				return whip.Admission{}, &whip.Refusal{Status: 503, Code: "station-full", Detail: "Capacité maximale atteinte. Veuillez réessayer dans quelques minutes", RetryAfter: 90 * time.Second}
			case "Bearer stranger":
				return whip.Admission{}, &whip.Refusal{Status: 401, Code: "token-unknown", Detail: "no"}
			case "Bearer broken":
				return whip.Admission{}, errors.New("the database is away")
			case "Bearer twin":
				return whip.Admission{ID: "twin"}, nil
			case "Bearer slash":
				return whip.Admission{ID: "a/b"}, nil
			}
			return whip.Admission{}, nil
		}
	})
	offer := golden(t, "chromium_audio.sdp")
	response, _ := do(t, "POST", st.url, offer, sdp, "Authorization: Bearer owner")
	if response.StatusCode != 201 {
		t.Fatal(response.Status)
	}
	session := strings.TrimSuffix(st.url, "/whip") + response.Header.Get("Location")
	etag := "If-Match: " + response.Header.Get("ETag")
	if r, _ := do(t, "POST", st.url, offer, sdp, "Authorization: Bearer twin"); r.StatusCode != 201 {
		t.Fatal(r.Status)
	}
	const owner = "Authorization: Bearer owner"
	ufrag := "a=ice-ufrag:OAce\r\n"
	candidate := "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\n"

	for _, c := range []struct {
		name, method, url, body string
		headers                 []string
		status                  int
		code                    string // of the problem
		header                  string // that must be there: "Name: value"
	}{
		{"no content type", "POST", st.url, offer, nil, 415, "unsupported-media-type", "Accept-Post: application/sdp"},
		{"json", "POST", st.url, offer, []string{"Content-Type: application/json"}, 415, "unsupported-media-type", ""},
		{"wants json", "POST", st.url, offer, []string{sdp, "Accept: application/json, application/sdp;q=0"}, 406, "not-acceptable", ""},
		{"empty", "POST", st.url, "", []string{sdp}, 400, "body-empty", ""},
		{"no SDP", "POST", st.url, "hello", []string{sdp}, 400, "offer-malformed", ""},
		{"too large", "POST", st.url, offer + strings.Repeat("a=x\r\n", 20000), []string{sdp}, 413, "body-too-large", ""},
		{"no audio", "POST", st.url, strings.Replace(offer, "m=audio", "m=video", 1), []string{sdp}, 422, "no-audio", ""},
		{"no section", "POST", st.url, offer[:strings.Index(offer, "m=")], []string{sdp}, 422, "no-audio", ""},
		{"no Opus", "POST", st.url, strings.Replace(offer, "opus/48000/2", "speex/16000", 1), []string{sdp}, 422, "no-opus", ""},
		{"two microphones", "POST", st.url, offer + offer[strings.Index(offer, "m="):], []string{sdp}, 422, "several-audio", ""},
		{"recvonly", "POST", st.url, strings.Replace(offer, "a=sendonly", "a=recvonly", 1), []string{sdp}, 422, "offer-not-sending", ""},
		{"inactive", "POST", st.url, strings.Replace(offer, "a=sendonly", "a=inactive", 1), []string{sdp}, 422, "offer-not-sending", ""},
		{"no fingerprint", "POST", st.url, without(offer, "a=fingerprint"), []string{sdp}, 422, "offer-incomplete", ""},
		{"no ICE", "POST", st.url, without(offer, "a=ice-ufrag"), []string{sdp}, 422, "offer-incomplete", ""},
		{"odd fingerprint", "POST", st.url, strings.Replace(offer, "sha-256 ", "sha-256", 1), []string{sdp}, 422, "offer-refused", ""},
		{"full", "POST", st.url, offer, []string{sdp, "Authorization: Bearer full"}, 503, "station-full", "Retry-After: 90"},
		{"stranger", "POST", st.url, offer, []string{sdp, "Authorization: Bearer stranger"}, 401, "token-unknown", "WWW-Authenticate: Bearer"},
		{"admission fails", "POST", st.url, offer, []string{sdp, "Authorization: Bearer broken"}, 500, "internal-error", ""},
		{"ID taken", "POST", st.url, offer, []string{sdp, "Authorization: Bearer twin"}, 409, "session-exists", ""},
		{"ID unfit", "POST", st.url, offer, []string{sdp, "Authorization: Bearer slash"}, 500, "internal-error", ""},
		{"GET endpoint", "GET", st.url, "", nil, 405, "method-not-allowed", "Allow: POST, OPTIONS"},
		{"DELETE endpoint", "DELETE", st.url, "", nil, 405, "method-not-allowed", "Allow: POST, OPTIONS"},
		{"OPTIONS endpoint", "OPTIONS", st.url, "", nil, 204, "", "Accept-Post: application/sdp"},
		{"preflight", "OPTIONS", st.url, "", []string{"Origin: https://a.example", "Access-Control-Request-Method: POST"}, 204, "", "Access-Control-Allow-Headers: Authorization, Content-Type, If-Match"},
		{"OPTIONS session", "OPTIONS", session, "", nil, 204, "", "Access-Control-Allow-Methods: PATCH, DELETE, OPTIONS"},
		{"GET session", "GET", session, "", nil, 405, "method-not-allowed", "Allow: PATCH, DELETE, OPTIONS"},
		{"POST session", "POST", session, offer, []string{sdp}, 405, "method-not-allowed", ""},
		{"elsewhere", "POST", st.url + "/a/b", offer, []string{sdp}, 404, "not-found", ""},
		{"DELETE unknown", "DELETE", st.url + "/unknown", "", nil, 404, "session-unknown", ""},
		{"PATCH unknown", "PATCH", st.url + "/unknown", candidate, []string{fragment, etag}, 404, "session-unknown", ""},
		{"PATCH without a token", "PATCH", session, candidate, []string{fragment, etag}, 401, "unauthorized", "WWW-Authenticate: Bearer"},
		{"PATCH by another", "PATCH", session, candidate, []string{fragment, etag, "Authorization: Bearer twin"}, 403, "forbidden", ""},
		{"DELETE by another", "DELETE", session, "", []string{"Authorization: Bearer twin"}, 403, "forbidden", ""},
		{"PATCH without If-Match", "PATCH", session, candidate, []string{fragment, owner}, 428, "if-match-missing", ""},
		{"PATCH of an old session", "PATCH", session, candidate, []string{fragment, owner, `If-Match: "old"`}, 412, "if-match-failed", ""},
		{"PATCH with SDP", "PATCH", session, offer, []string{sdp, owner, etag}, 415, "unsupported-media-type", "Accept-Patch: application/trickle-ice-sdpfrag"},
		{"PATCH no fragment", "PATCH", session, "hello", []string{fragment, owner, etag}, 400, "fragment-malformed", ""},
		{"PATCH empty", "PATCH", session, "", []string{fragment, owner, etag}, 400, "body-empty", ""},
		{"PATCH odd candidate", "PATCH", session, "a=candidate:1 1 udp x 192.0.2.7 9 typ host\r\n", []string{fragment, owner, etag}, 400, "fragment-malformed", ""},
		{"PATCH other ufrag", "PATCH", session, "a=ice-ufrag:else\r\n" + candidate, []string{fragment, owner, etag}, 422, "ice-session-unknown", ""},
		{"trickle", "PATCH", session, ufrag + candidate, []string{fragment, owner, etag}, 204, "", ""},
		{"trickle mDNS", "PATCH", session, ufrag + "a=candidate:1 1 udp 1 8ff2ad6c.local 9 typ host\r\na=end-of-candidates\r\n", []string{fragment, owner, etag}, 204, "", ""},
		{"restart with an odd candidate", "PATCH", session, "a=ice-ufrag:anew\r\na=ice-pwd:aNewPasswordOfTwentyFour\r\na=candidate:1 1 udp x 192.0.2.7 9 typ host\r\n", []string{fragment, owner, "If-Match: *"}, 400, "fragment-malformed", ""},
		{"restart", "PATCH", session, "a=ice-ufrag:anew\r\na=ice-pwd:aNewPasswordOfTwentyFour\r\n" + candidate, []string{fragment, owner, "If-Match: *"}, 200, "", "Content-Type: application/trickle-ice-sdpfrag"},
		{"trickle after the restart", "PATCH", session, candidate, []string{fragment, owner, etag}, 412, "if-match-failed", ""},
		{"DELETE", "DELETE", session, "", []string{owner}, 200, "", ""},
		{"DELETE again", "DELETE", session, "", []string{owner}, 404, "session-unknown", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body := do(t, c.method, c.url, c.body, c.headers...)
			if response.StatusCode != c.status {
				t.Fatalf("%s, want %d\n%s", response.Status, c.status, body)
			}
			if response.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Error("no CORS header")
			}
			if name, want, ok := strings.Cut(c.header, ": "); ok && response.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, response.Header.Get(name), want)
			}
			var problem struct{ Code, Detail, Title, Type string }
			if c.code != "" {
				if err := json.Unmarshal([]byte(body), &problem); err != nil || response.Header.Get("Content-Type") != "application/problem+json" {
					t.Fatalf("%v: %s", err, body)
				}
				if problem.Detail == "" || problem.Title == "" || problem.Type == "" {
					t.Errorf("incomplete: %s", body)
				}
			}
			if problem.Code != c.code {
				t.Errorf("code %q, want %q", problem.Code, c.code)
			}
		})
	}
	if got := st.Sessions(); len(got) != 1 || got[0].ID() != "twin" {
		t.Errorf("%d sessions are left", len(got))
	}
}

func TestCreated(t *testing.T) {
	t.Parallel()
	st := newStation(t, func(cfg *whip.Config) {
		cfg.Admit = func(*http.Request) (whip.Admission, error) { return whip.Admission{ID: "one", Value: 7}, nil }
		cfg.UDPAddress = ":0"
		cfg.PublicHosts = []string{"192.0.2.33"}
		cfg.ICEServers = []whip.ICEServer{
			{URLs: []string{"stun:127.0.0.1:9"}},
			{URLs: []string{"turn:turn.example:3478?transport=udp"}, Username: "u", Credential: `p"q`},
		}
	})
	response, _ := do(t, "OPTIONS", st.url, "")
	if links := response.Header.Values("Link"); len(links) != 1 || links[0] != `<stun:127.0.0.1:9>; rel="ice-server"` {
		t.Errorf("links before a session: %q", links)
	}
	response, answer := do(t, "POST", st.url+"?title=On+the+road", golden(t, "chromium_video.sdp"), sdp)
	if response.StatusCode != 201 || response.Header.Get("Location") != "/whip/one" || response.Header.Get("Content-Type") != "application/sdp" {
		t.Fatal(response.Status, response.Header)
	}
	if tag := response.Header.Get("ETag"); len(tag) < 6 || tag[0] != '"' {
		t.Errorf("ETag %s", tag)
	}
	if links := response.Header.Values("Link"); len(links) != 2 || links[1] != `<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="u"; credential="p\"q"; credential-type="password"` {
		t.Errorf("links: %q", links)
	}
	if !strings.Contains(answer, " 192.0.2.33 ") || !strings.Contains(answer, " 127.0.0.1 ") {
		t.Errorf("the public host or loopback is missing:\n%s", answer)
	}
	s, ok := st.Session("one")
	if !ok || s.Value() != 7 || s.Query().Get("title") != "On the road" || s.State() != whip.Connecting {
		t.Errorf("%v %+v", ok, s)
	}
}
