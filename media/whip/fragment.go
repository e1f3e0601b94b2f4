package whip

import (
	"net/http"
	"strings"

	"github.com/pion/sdp/v3"
)

// A fragment is an SDP fragment of trickle ICE (RFC 8840 §9): candidates of the
// ICE session that its ufrag names.
type fragment struct {
	ufrag, pwd string
	candidates []string // attribute values
}

func parseFragment(text []byte) (fragment, error) {
	var f fragment
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' {
			return f, refuse(http.StatusBadRequest, "fragment-malformed", "the body is not an SDP fragment (RFC 8840 §9)")
		}
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "a="), ":")
		switch key {
		case "ice-ufrag":
			f.ufrag = value
		case "ice-pwd":
			f.pwd = value
		case "candidate":
			if len(f.candidates) < maxCandidates && usable(value) {
				f.candidates = append(f.candidates, value)
			}
		}
	}
	return f, nil
}

// restarts tells whether the fragment begins another ICE session (RFC 9725
// §4.3.3): it names a ufrag and password that are not those of the present one.
func (f fragment) restarts(ufrag string) bool {
	return f.ufrag != "" && f.pwd != "" && f.ufrag != ufrag
}

// fragmentOf reduces an answer to its ICE part.
func fragmentOf(answer string) (string, error) {
	var a sdp.SessionDescription
	if err := a.UnmarshalString(answer); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, m := range a.MediaDescriptions {
		if m.MediaName.Port.Value == 0 {
			continue
		}
		line := func(key string) {
			for _, attribute := range m.Attributes {
				if attribute.Key == key && !secondComponent(attribute) {
					b.WriteString("a=" + strings.TrimSuffix(key+":"+attribute.Value, ":") + "\r\n")
				}
			}
		}
		line("ice-ufrag")
		line("ice-pwd")
		b.WriteString("m=" + m.MediaName.String() + "\r\n")
		line("mid")
		line("candidate")
		line("end-of-candidates")
	}
	return b.String(), nil
}
