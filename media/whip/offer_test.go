package whip

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pionAnswer is what Pion might answer to any audio section.
const pionAnswer = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\na=candidate:1 1 udp 1 192.0.2.1 8189 typ host\r\na=candidate:1 2 udp 1 192.0.2.1 8189 typ host\r\na=recvonly\r\n"

func TestOffers(t *testing.T) {
	files, err := filepath.Glob("testdata/*.sdp")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			o, err := parseOffer(text)
			if err != nil {
				t.Fatal(err)
			}
			reduced, err := o.forPion("user", "password", 1)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := o.answer(pionAnswer, 48000)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, strings.TrimSuffix(file, ".sdp")+".golden", reduced+"\r\n"+answer)
		})
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestOpusParameters(t *testing.T) {
	for offered, want := range map[string]string{
		"":                              "minptime=10;useinbandfec=1;maxaveragebitrate=48000",
		"minptime=20; stereo=1":         "minptime=20;useinbandfec=1;stereo=1;maxaveragebitrate=48000",
		"useinbandfec=0;sprop-stereo=1": "minptime=10;useinbandfec=1;sprop-stereo=1;maxaveragebitrate=48000",
		"maxaveragebitrate=510000":      "minptime=10;useinbandfec=1;maxaveragebitrate=48000",
	} {
		o := &offer{fmtp: parseParameters(offered)}
		if got := o.opusParameters(48000); got != want {
			t.Errorf("%q: got %q, want %q", offered, got, want)
		}
	}
}
