package whip_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
)

var update = flag.Bool("update", false, "write testdata anew")

// keepOffer saves an outside client's offer as a golden file with -update.
func keepOffer(t *testing.T, name, offer string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(offer), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const publishPage = `<!doctype html><title>publish</title><script>
async function publish(video) {
	const stream = await navigator.mediaDevices.getUserMedia({audio: true, video})
	window.pc = new RTCPeerConnection()
	for (const track of stream.getTracks()) pc.addTransceiver(track, {direction: 'sendonly', streams: [stream]})
	const early = [], bundled = {}
	let patch = c => early.push(c)
	pc.onicecandidate = e => e.candidate && patch(e.candidate)
	await pc.setLocalDescription()
	const response = await fetch('/whip', {method: 'POST', headers: {'Content-Type': 'application/sdp', Authorization: 'Bearer chromium'}, body: pc.localDescription.sdp})
	if (response.status !== 201) throw new Error(await response.text())
	window.session = response.headers.get('Location')
	const etag = response.headers.get('ETag')
	await pc.setRemoteDescription({type: 'answer', sdp: await response.text()})
	const statuses = []
	patch = async c => {
		const ufrag = /a=ice-ufrag:(.*)\r/.exec(pc.localDescription.sdp)[1], pwd = /a=ice-pwd:(.*)\r/.exec(pc.localDescription.sdp)[1]
		const body = 'a=ice-ufrag:' + ufrag + '\r\na=ice-pwd:' + pwd + '\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:' + c.sdpMid + '\r\na=' + c.candidate + '\r\n'
		statuses.push((await fetch(session, {method: 'PATCH', headers: {'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': etag, Authorization: 'Bearer chromium'}, body})).status)
	}
	for (const c of early) await patch(c)
	await new Promise((ok, no) => { const look = () => pc.connectionState === 'connected' ? ok() : pc.connectionState === 'failed' ? no(new Error('failed')) : setTimeout(look, 20); look() })
	return {offer: pc.localDescription.sdp, answer: pc.remoteDescription.sdp, statuses}
}
async function restart() {
	await pc.setLocalDescription(await pc.createOffer({iceRestart: true}))
	while (pc.iceGatheringState !== 'complete') await new Promise(ok => setTimeout(ok, 20))
	const lines = (text, wanted) => text.split('\r\n').filter(l => /^a=(ice-ufrag|ice-pwd|candidate):/.test(l) === wanted)
	const response = await fetch(session, {method: 'PATCH', headers: {'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*', Authorization: 'Bearer chromium'}, body: lines(pc.localDescription.sdp, true).join('\r\n') + '\r\n'})
	const fragment = lines(await response.text(), true).join('\r\n')
	await pc.setRemoteDescription({type: 'answer', sdp: lines(pc.remoteDescription.sdp, false).join('\r\n').replace(/(m=audio [^]*?\r\n)(?=a=)/, '$1' + fragment + '\r\n')})
	return response.status
}
async function finish() {
	const status = (await fetch(session, {method: 'DELETE', headers: {Authorization: 'Bearer chromium'}})).status
	pc.close()
	return status
}
</script>`

func withPage(server http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/whip", server)
	mux.Handle("/whip/", server)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, publishPage) })
	return mux
}

func chromium(t *testing.T, url string) context.Context {
	t.Helper()
	path := mediatest.Tool(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
	)
	// Its profile is not in the test's folder, which must be empty as soon as the
	// test has ended: Chromium's children write a moment longer than Chromium lives.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	return ctx
}

type chromiumCall struct {
	Offer    string `json:"offer"`
	Answer   string `json:"answer"`
	Statuses []int  `json:"statuses"`
}

func TestChromium(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	st.web.Config.Handler = withPage(st.Server)
	ctx := chromium(t, strings.TrimSuffix(st.url, "/whip")+"/")
	for _, video := range []bool{false, true} {
		name := map[bool]string{false: "chromium_audio.sdp", true: "chromium_video.sdp"}[video]
		t.Run(name, func(t *testing.T) {
			call, err := chromedp.Run(ctx, chromedp.Evaluate[chromiumCall](fmt.Sprintf("publish(%v)", video), chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatal(err)
			}
			keepOffer(t, name, call.Offer)
			for _, status := range call.Statuses {
				if status != http.StatusNoContent {
					t.Errorf("PATCH answered %d", status)
				}
			}
			s := wait(t, "live", st.live)
			stats := received(t, s, 100)
			if stats.Invalid > 0 {
				t.Errorf("2 s of Chromium: %+v", stats)
			}
			status, err := chromedp.Run(ctx, chromedp.Evaluate[int]("restart()", chromedp.EvalAwaitPromise))
			if err != nil || status != http.StatusOK {
				t.Errorf("restart: %d %v", status, err)
			}
			if again := received(t, s, stats.Received+50); again.Rebased > 0 || again.Filled > time.Second {
				t.Errorf("the restart left a hole: %+v", again)
			}
			status, err = chromedp.Run(ctx, chromedp.Evaluate[int]("finish()", chromedp.EvalAwaitPromise))
			if err != nil || status != http.StatusOK {
				t.Errorf("DELETE: %d %v", status, err)
			}
			wait(t, "end", s.Done())
			if s.Reason() != whip.EndDeleted {
				t.Errorf("ended because %q", s.Reason())
			}
			t.Logf("%+v", stats)
		})
	}
}

// received waits until a session has so many packets.
func received(t *testing.T, s *whip.Session, packets int64) whip.SessionStats {
	t.Helper()
	for deadline := time.Now().Add(patience); s.Stats().Received < packets; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %d packets yet: %+v", packets, s.Stats())
		}
	}
	return s.Stats()
}

// igdStub is what libnice needs of libgupnp-igd, and nothing more. Debian 12's
// library brings libsoup 3 into a process where whip-client already has
// libsoup 2, and the two refuse to live together.
const igdStub = `
void *gupnp_simple_igd_thread_new(void) { return 0; }
unsigned long gupnp_simple_igd_get_type(void) { return 0; }
void gupnp_simple_igd_add_port(void) {}
void gupnp_simple_igd_remove_port_local(void) {}
`

// simpleWHIPClient starts Debian's simple-whip-client with a sine.
func simpleWHIPClient(t *testing.T, url string, arguments ...string) *os.Process {
	t.Helper()
	path, cc := mediatest.Tool(t, "whip-client"), mediatest.Tool(t, "cc")
	folder := t.TempDir()
	build := exec.Command(cc, "-x", "c", "-shared", "-fPIC", "-Wl,-soname,libgupnp-igd-1.0.so.4", "-o", filepath.Join(folder, "libgupnp-igd-1.0.so.4"), "-")
	build.Stdin = strings.NewReader(igdStub)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var log bytes.Buffer
	command := exec.Command(path, append(arguments, "-u", url, "-t", "secret", "-o",
		"-A", "audiotestsrc is-live=true ! audioconvert ! opusenc bitrate=48000 ! rtpopuspay pt=100 ! queue ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100")...)
	command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+folder)
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return command.Process
}

func TestSimpleWHIPClient(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]string{"simple_whip_trickle.sdp": nil, "simple_whip_full.sdp": {"--no-trickle"}} {
		t.Run(name, func(t *testing.T) {
			st := newStation(t, nil)
			st.web.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					body, _ := io.ReadAll(r.Body)
					keepOffer(t, name, string(body))
					r.Body = io.NopCloser(bytes.NewReader(body))
				}
				st.ServeHTTP(w, r)
			})
			process := simpleWHIPClient(t, st.url, arguments...)
			s := wait(t, "live", st.live)
			if stats := received(t, s, 50); stats.Invalid > 0 {
				t.Errorf("1 s of simple-whip-client: %+v", stats)
			}
			_ = process.Signal(syscall.SIGINT)
			wait(t, "end", s.Done())
			if s.Reason() != whip.EndDeleted {
				t.Errorf("ended because %q", s.Reason())
			}
			if s.Header().Get("Authorization") != "Bearer secret" {
				t.Error("the token is missing")
			}
		})
	}
}
