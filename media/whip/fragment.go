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

// parseFragment reads what concerns the section with the given mid. Sections
// that were refused have ICE credentials of their own in some browsers; those
// of a bundle may list its candidates in another section.
func parseFragment(text []byte, mid string) (fragment, error) {
	sections := []fragment{{}} // the first is what stands before all sections
	ours := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' {
			return fragment{}, refuse(http.StatusBadRequest, "fragment-malformed", "the body is not an SDP fragment (RFC 8840 §9)")
		}
		if line[0] == 'm' && len(sections) <= maxSections {
			sections = append(sections, fragment{})
		}
		section := &sections[len(sections)-1]
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "a="), ":")
		switch {
		case key == "mid" && value == mid && len(sections) > 1:
			ours = len(sections) - 1
		case key == "ice-ufrag" && section.ufrag == "":
			section.ufrag = value
		case key == "ice-pwd" && section.pwd == "":
			section.pwd = value
		case key == "candidate" && len(section.candidates) < maxCandidates && usable(value):
			section.candidates = append(section.candidates, value)
		}
	}
	return merge(sections, ours), nil
}

// merge takes the credentials of our section, or else the first there are, and
// the candidates of all sections that do not name others.
func merge(sections []fragment, ours int) fragment {
	f := fragment{ufrag: sections[ours].ufrag, pwd: sections[ours].pwd}
	for _, section := range sections {
		if f.ufrag == "" {
			f.ufrag, f.pwd = section.ufrag, section.pwd
		}
	}
	for _, section := range sections {
		if section.ufrag == "" || section.ufrag == f.ufrag {
			f.candidates = append(f.candidates, section.candidates...)
		}
	}
	f.candidates = f.candidates[:min(len(f.candidates), maxCandidates)]
	return f
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
