package whip

import (
	"reflect"
	"strings"
	"testing"
)

func TestFragments(t *testing.T) {
	const c1, c2 = "1 1 udp 1 192.0.2.1 1 typ host", "2 1 udp 1 192.0.2.2 2 typ host"
	for name, test := range map[string]struct {
		text string
		want fragment
	}{
		"RFC 8840":                {"a=ice-ufrag:u\na=ice-pwd:p\nm=audio 9 RTP/AVP 0\na=mid:a\na=candidate:" + c1 + "\na=end-of-candidates\n", fragment{"u", "p", []string{c1}}},
		"in the section":          {"m=audio 9 RTP/AVP 0\na=mid:a\na=ice-ufrag:u\na=ice-pwd:p\na=candidate:" + c1, fragment{"u", "p", []string{c1}}},
		"a refused section":       {"m=video 0 RTP/AVP 0\na=mid:v\na=ice-ufrag:v\na=ice-pwd:q\na=candidate:" + c2 + "\nm=audio 9 RTP/AVP 0\na=mid:a\na=ice-ufrag:u\na=ice-pwd:p\na=candidate:" + c1, fragment{"u", "p", []string{c1}}},
		"bundled under another":   {"a=ice-ufrag:u\na=ice-pwd:p\nm=video 9 RTP/AVP 0\na=mid:v\na=candidate:" + c1, fragment{"u", "p", []string{c1}}},
		"no sections":             {"a=ice-ufrag:u\na=ice-pwd:p\na=ice-ufrag:v\na=candidate:" + c1, fragment{"u", "p", []string{c1}}},
		"nothing but a candidate": {"a=candidate:" + c1, fragment{candidates: []string{c1}}},
		"a name, not an address":  {"a=candidate:1 1 udp 1 x.local 1 typ host", fragment{}},
	} {
		got, err := parseFragment([]byte(strings.ReplaceAll(test.text, "\n", "\r\n")), "a")
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
	}
	if f, err := parseFragment([]byte(strings.Repeat("m=x\na=candidate:"+c1+"\n", 1000)), "a"); err != nil || len(f.candidates) > maxCandidates {
		t.Errorf("%d candidates of a flood, %v", len(f.candidates), err)
	}
}
