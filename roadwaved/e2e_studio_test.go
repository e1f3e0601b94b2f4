package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/web/webtest"
)

var pictures = flag.String("pictures", "", "folder to write pictures of the pages to")

// tape is what the creator says, again and again: some seconds that nowhere
// resemble themselves, so that any half second of it can be found again.
func tape() []float32 {
	const length = 18 * time.Second
	return mediatest.Mix(mediatest.Speech(mediatest.Voice{Pitch: 150, Seed: 7}, -22, length), mediatest.Sweep(300, 3000, -32, length))
}

// microphone writes a WAV file for Chromium's fake microphone.
func microphone(t *testing.T, pcm []float32) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "microphone.wav")
	if err := os.WriteFile(name, mediatest.EncodeWAV(pcm, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestStudioToListener is the daemon as two people meet it: one Chromium goes
// live from the studio with a microphone, another listens, and what is heard
// is what was said; then again in the replay.
func TestStudioToListener(t *testing.T) {
	if testing.Short() {
		t.Skip("a live of half a minute in two browsers")
	}
	mediatest.Tool(t, "ffmpeg")
	said := tape()
	creator := webtest.Open(t, microphone(t, said))
	public := webtest.Open(t, "")
	d := startPlainDaemon(t, t.TempDir())

	studio := goLive(t, creator, d)
	since := time.Now()
	id := webtest.Eval[string](studio, `document.getElementById('listen-link').pathname.split('/').pop()`)
	if l := d.live(id); l.Title != "La nationale 7" || l.CreatorID != "elise-martin" || l.State != "on_air" {
		t.Errorf("the live is %+v", l)
	}

	// Long enough for the hold-back of 15 s to exist.
	time.Sleep(time.Until(since.Add(20 * time.Second)))
	listener := public.Tab(t, 390, 760)
	listener.Expect("503", "404") // the ladder is being made; is it a live or a replay?
	listener.Go(d.url + "/")
	listener.Wait(10*time.Second, `document.querySelector('#lives a')`)
	listener.Go(d.url + "/listen/" + id)
	listener.Wait(10*time.Second, `document.getElementById('status').textContent === 'Appuyez pour écouter'`)
	listener.Click("play")
	listener.Wait(30*time.Second, `document.getElementById('audio').currentTime > 0.5 && document.querySelector('main').dataset.behind`)
	playOpus(listener, "/live/"+id+"/opus.m3u8")
	heard := capture(listener, 6, `document.getElementById('audio')`, `opusPlayer.media`)
	matches(t, "the live in AAC", said, heard[0])
	matches(t, "the live in Opus", said, heard[1])
	behind(t, "AAC ladder", webtest.Eval[float64](listener, `Number(document.querySelector('main').dataset.behind)`))
	behind(t, "Opus playlist", webtest.Eval[float64](listener, `opusPlayer.latency`))
	webtest.Eval[bool](listener, `opusPlayer.destroy() ?? true`)
	listener.Click("play")
	listener.Wait(5*time.Second, `document.getElementById('status').textContent === 'Appuyez pour écouter'`)
	listener.Click("play")
	listener.Wait(30*time.Second, `document.getElementById('audio').currentTime > 0.5`)
	studio.Picture(*pictures, "e2e-studio-onair")
	listener.Picture(*pictures, "e2e-listen-live")

	studio.Click("end")
	studio.Click("confirm-end")
	studio.Wait(10*time.Second, `document.getElementById('ended-title').textContent === 'Le live est terminé'`)
	studio.Picture(*pictures, "e2e-studio-ended")
	listener.Wait(10*time.Second, `document.getElementById('over-message').textContent === 'Le live est terminé'`)
	listener.Wait(90*time.Second, `!document.getElementById('over-link').hidden`)
	listener.Wait(60*time.Second, `document.getElementById('stage').hidden`) // heard to the end
	listener.Picture(*pictures, "e2e-listen-ended")
	hearReplay(t, listener, d, id, said)
}

// startPlainDaemon starts a roadwaved built without the race detector, which
// makes the encoders slower than the sound on a busy machine: what is heard is
// then cut for reasons of no interest here.
func startPlainDaemon(t *testing.T, data string) *testDaemon {
	t.Helper()
	info, ok := debug.ReadBuildInfo()
	raced := ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
	if raced {
		plain := filepath.Join(t.TempDir(), "roadwaved")
		if out, err := exec.Command("go", "build", "-o", plain, ".").CombinedOutput(); err != nil {
			t.Fatalf("building roadwaved: %v\n%s", err, out)
		}
		self := os.Args[0]
		os.Args[0] = plain
		defer func() { os.Args[0] = self }()
	}
	return startDaemon(t, data)
}

// goLive fills in the studio's form and presses the button.
func goLive(t *testing.T, b *webtest.Browser, d *testDaemon) *webtest.Tab {
	t.Helper()
	studio := b.Tab(t, 390, 760)
	studio.Go(d.url + "/studio")
	studio.Type("title", "La nationale 7")
	studio.Type("creator", "Élise Martin")
	studio.Type("zone_geo", "Drôme")
	studio.Type("tags", "route, nuit")
	studio.Click("go")
	studio.Wait(20*time.Second, `document.getElementById('state').textContent === 'À L’ANTENNE'`)
	studio.Wait(5*time.Second, `document.getElementById('meter').ariaValueNow > -60`)
	return studio
}

// playOpus plays a playlist in hls.js as it is, without the page's player.
func playOpus(p *webtest.Tab, path string) {
	webtest.Eval[bool](p, `(() => {
		globalThis.opusPlayer = new Hls({ enableWorker: false });
		const audio = document.createElement('audio');
		opusPlayer.attachMedia(audio);
		opusPlayer.loadSource(`+quote(path)+`);
		audio.play();
		return true;
	})()`)
	p.Wait(30*time.Second, `opusPlayer.media.currentTime > 0.5 && opusPlayer.latency`)
}

// hearReplay follows the link to the replay, seeks and listens.
func hearReplay(t *testing.T, p *webtest.Tab, d *testDaemon, liveID string, said []float32) {
	t.Helper()
	replay := d.replayOf(liveID, time.Second)
	p.Click("over-link")
	p.Wait(10*time.Second, `document.getElementById('title')?.textContent === '[REPLAY] La nationale 7'`)
	if !strings.HasSuffix(webtest.Eval[string](p, `location.pathname`), replay.ReplayID) {
		t.Errorf("the link leads to %s, not to %s", webtest.Eval[string](p, `location.pathname`), replay.ReplayID)
	}
	p.Click("play")
	p.Wait(15*time.Second, `document.getElementById('audio').currentTime > 0.5`)
	p.Click("forward") // beyond the end
	p.Wait(15*time.Second, `document.getElementById('audio').ended`)
	p.Click("back") // who goes back from there wants to hear
	p.Wait(15*time.Second, `(({ currentTime, paused }) => currentTime > 5 && !paused)(document.getElementById('audio'))`)
	matches(t, "the replay", said, capture(p, 6, `document.getElementById('audio')`)[0])
	p.Picture(*pictures, "e2e-listen-replay")
}

// capture records what audio elements of the page play at the same time.
func capture(p *webtest.Tab, seconds int, elements ...string) [][]float32 {
	p.T.Helper()
	encoded := webtest.Eval[[]string](p, `(async () => {
		const context = new AudioContext({ sampleRate: 48000 });
		const recordings = [`+strings.Join(elements, ", ")+`].map((element) => {
			const source = context.createMediaElementSource(element);
			const recorder = context.createScriptProcessor(16384, 1, 1);
			const blocks = [];
			recorder.onaudioprocess = (e) => blocks.push(e.inputBuffer.getChannelData(0).slice());
			source.connect(recorder).connect(context.destination);
			source.connect(context.destination);
			return { blocks, recorder };
		});
		await context.resume();
		const enough = `+quote(seconds)+` * 48000 / 16384;
		while (recordings.some((r) => r.blocks.length < enough)) await new Promise((done) => setTimeout(done, 100));
		return Promise.all(recordings.map(async ({ blocks, recorder }) => {
			recorder.onaudioprocess = null;
			const bytes = new Uint8Array(await new Blob(blocks).arrayBuffer());
			let text = '';
			for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
			return btoa(text);
		}));
	})()`)
	heard := make([][]float32, len(encoded))
	for i, text := range encoded {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			p.T.Fatal(err)
		}
		heard[i] = make([]float32, len(raw)/4)
		for j := range heard[i] {
			heard[i][j] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*j:]))
		}
	}
	return heard
}

// matches finds what was heard in what was said, half a second at a time: on a
// busy machine a browser's microphone and loudspeaker drop some milliseconds now
// and then, which moves what follows but makes no other sound of it.
func matches(t *testing.T, what string, said, heard []float32) {
	t.Helper()
	found, similarities := findAgain(said, trim(heard))
	t.Logf("%s: %d of %d half seconds found again, similarities %.2f", what, found, len(similarities), similarities)
	if len(similarities) < 6 || found*3 < len(similarities)*2 {
		t.Errorf("%s: what was heard is not what was said", what)
	}
}

// findAgain looks for each half second of heard in said, first where it should
// follow the one before it, then everywhere.
func findAgain(said, heard []float32) (found int, similarities []float64) {
	const same = 0.8 // correlation; another voice stays below
	piece := int(media.Samples(time.Second / 2))
	loop := append(append([]float32{}, said...), said[:3*piece]...)
	next := -1 // where in loop the next piece should be; -1 is unknown
	for ; len(heard) >= piece; heard = heard[piece:] {
		at, s := 0, 0.0
		if next >= 0 {
			from, to := max(0, next-piece), min(len(loop), next+2*piece)
			at, s = mediatest.Align(heard[:piece], loop[from:to])
			at += from
		}
		if s <= same {
			at, s = mediatest.Align(heard[:piece], loop)
		}
		similarities = append(similarities, s)
		if next = (at + piece) % len(said); s > same {
			found++
		}
	}
	return found, similarities
}

// TestFindAgain makes sure that another voice is not taken for the same.
func TestFindAgain(t *testing.T) {
	said := tape()
	end := said[len(said)-int(media.Samples(1200*time.Millisecond)):]
	if found, all := findAgain(said, append(append([]float32{}, end...), said[:media.Samples(3*time.Second)]...)); found != len(all) {
		t.Errorf("of the same sound only %d of %d half seconds were found: %.2f", found, len(all), all)
	}
	other := mediatest.Speech(mediatest.Voice{Pitch: 150, Seed: 8}, -22, 2*time.Second)
	if found, all := findAgain(said, other); found > 0 {
		t.Errorf("of another voice %d of %d half seconds were found: %.2f", found, len(all), all)
	} else {
		t.Logf("another voice: similarities %.2f", all)
	}
}

// quote makes a value part of a script.
func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// trim drops the digital silence before sound flows.
func trim(pcm []float32) []float32 {
	for i, v := range pcm {
		if v != 0 {
			return pcm[i:]
		}
	}
	return nil
}

// behind checks the distance to the live edge that the playlist asks for.
func behind(t *testing.T, what string, seconds float64) {
	t.Helper()
	t.Logf("%s: %.1f s behind live", what, seconds)
	if seconds < 12 || seconds > 30 {
		t.Errorf("%s: %.1f s behind live, want about 15", what, seconds)
	}
}

// TestStudioTellsThatTheHouseIsFull tries to go live where no place is left.
func TestStudioTellsThatTheHouseIsFull(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser")
	}
	creator := webtest.Open(t, "")
	d := startDaemon(t, t.TempDir(), "--max-lives", "1")
	goLive(t, creator, d)
	second := creator.Tab(t, 390, 760)
	second.Expect("503")
	second.Go(d.url + "/studio")
	second.Click("go")
	second.Wait(10*time.Second, `document.getElementById('trouble').textContent === `+quote(station.MessageFull))
	second.Picture(*pictures, "e2e-studio-full")
}

// TestServerIsKilled kills the daemon under a live and starts it again: creator
// and listener are told, and there is a replay all the same (M22).
func TestServerIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a connection counts as lost")
	}
	mediatest.Tool(t, "ffmpeg")
	creator := webtest.Open(t, microphone(t, tape()))
	data := t.TempDir()
	d := startDaemon(t, data)
	studio := goLive(t, creator, d)
	listener := creator.Tab(t, 390, 760)
	listener.Go(d.url + webtest.Eval[string](studio, `document.getElementById('listen-link').pathname`))
	listener.Wait(10*time.Second, `document.getElementById('badge').textContent === 'EN DIRECT'`)
	studio.Expect("ERR_")
	listener.Expect("ERR_", "503", "404", "410")
	time.Sleep(3 * time.Second) // something to make a replay of
	d.kill()
	studio.Wait(60*time.Second, `document.getElementById('ended-title').textContent === 'Connexion perdue. Veuillez redémarrer le live'`)
	studio.Picture(*pictures, "e2e-studio-lost")

	startDaemon(t, data, "--listen", strings.TrimPrefix(d.url, "http://"))
	listener.Wait(30*time.Second, `document.getElementById('over-message').textContent === `+quote(station.MessageLost))
	listener.Wait(90*time.Second, `!document.getElementById('over-link').hidden`)
}

// TestStudioKeepsALiveAcrossNetworks restarts ICE as the studio does when the
// phone changes networks: the session goes on, in stereo where it was asked for.
func TestStudioKeepsALiveAcrossNetworks(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser")
	}
	d := startDaemon(t, t.TempDir())
	tab := webtest.Open(t, "").Tab(t, 390, 760)
	tab.Go(d.url + "/studio")
	webtest.Eval[bool](tab, `(async () => {
		const { Publication } = await import('/assets/whip.js');
		const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
		globalThis.publication = new Publication({ stream, token: 'ada', stereo: true });
		await publication.start('/whip?title=Mobile');
		return true;
	})()`)
	const report = `publication.sender.getStats().then((s) => [...s.values()])`
	codec := webtest.Eval[string](tab, report+`.then((r) => r.find((x) => x.type === 'codec').sdpFmtpLine)`)
	if !strings.Contains(codec, "stereo=1") || !strings.Contains(codec, "maxaveragebitrate=48000") {
		t.Errorf("the encoder was told %q", codec)
	}
	if limit := webtest.Eval[int](tab, `publication.sender.getParameters().encodings[0].maxBitrate`); limit != 48000 {
		t.Errorf("the encoder may use %d bit/s, want 48000", limit)
	}
	const ufrag = report + `.then((r) => r.find((x) => x.type === 'transport').iceLocalUsernameFragment)`
	const sent = report + `.then((r) => r.find((x) => x.type === 'outbound-rtp').packetsSent)`
	before := webtest.Eval[string](tab, ufrag)
	webtest.Eval[bool](tab, `publication.restart().then(() => true)`)
	tab.Wait(15*time.Second, `await `+ufrag+` !== `+quote(before)+` && publication.state === 'connected'`)
	received := webtest.Eval[int](tab, sent)
	tab.Wait(15*time.Second, `await `+sent+` > `+quote(received+50))
	id := webtest.Eval[string](tab, `publication.id`)
	if l := d.live(id); l.State != "on_air" {
		t.Errorf("after the restart the live is %s", l.State)
	}
	webtest.Eval[bool](tab, `publication.end().then(() => true)`)
	d.eventually("the live has ended", 10*time.Second, func() bool { return d.live(id).State == "ended" })
}
