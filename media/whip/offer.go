package whip

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

const (
	maxSections   = 32 // m-lines in an offer
	maxCandidates = 50 // remote candidates of one ICE session: each costs checks
)

// An offer is a creator's SDP offer, reduced to the one audio section that is
// taken. Whatever else it holds is only remembered to be refused in the answer.
type offer struct {
	full   sdp.SessionDescription
	audio  int // index of the section that is taken
	media  *sdp.MediaDescription
	bundle bool  // the offer groups its sections (RFC 8843)
	opus   uint8 // payload type
	fmtp   map[string]string
	ufrag  string
	pwd    string
	more   []string // candidates that an ICE restart brought, as attribute values
}

// parseOffer reads an offer leniently and refuses, with a reason, what cannot
// become a live.
func parseOffer(text []byte) (*offer, error) {
	o := &offer{audio: -1}
	if err := o.full.Unmarshal(text); err != nil {
		return nil, refuse(http.StatusBadRequest, "offer-malformed", "the body is not an SDP offer (RFC 8866): %v", err)
	}
	if len(o.full.MediaDescriptions) > maxSections {
		return nil, unprocessable("offer-too-large", "the offer has %d media sections, at most %d are read", len(o.full.MediaDescriptions), maxSections)
	}
	if err := o.pickAudio(); err != nil {
		return nil, err
	}
	if err := o.pickOpus(); err != nil {
		return nil, err
	}
	return o, o.inheritTransport()
}

func unprocessable(code, format string, args ...any) *Refusal {
	return refuse(http.StatusUnprocessableEntity, code, format, args...)
}

func (o *offer) pickAudio() error {
	for i, m := range o.full.MediaDescriptions {
		_, bundleOnly := m.Attribute("bundle-only")
		if m.MediaName.Media != "audio" || m.MediaName.Port.Value == 0 && !bundleOnly {
			continue
		}
		if o.media != nil {
			return unprocessable("several-audio", "the offer has several audio sections; send one (mix several microphones first)")
		}
		o.audio, o.media = i, m
	}
	if o.media == nil {
		return unprocessable("no-audio", "the offer has no audio section; add an audio track")
	}
	for _, direction := range []string{"recvonly", "inactive"} {
		if _, ok := o.attribute(direction); ok {
			return unprocessable("offer-not-sending", "the audio section is %s; offer sendonly", direction)
		}
	}
	return nil
}

// attribute looks in the audio section, then in the session's part, which
// holds for all sections.
func (o *offer) attribute(key string) (string, bool) {
	if value, ok := o.media.Attribute(key); ok {
		return value, true
	}
	for _, direction := range directions { // a section's own direction wins
		if _, ok := o.media.Attribute(direction); ok && slices.Contains(directions, key) {
			return "", false
		}
	}
	return o.full.Attribute(key)
}

var directions = []string{"sendrecv", "sendonly", "recvonly", "inactive"}

func (o *offer) pickOpus() error {
	names := map[string]string{} // payload type to encoding name
	for _, a := range o.media.Attributes {
		if pt, name, ok := strings.Cut(a.Value, " "); ok && a.Key == "rtpmap" {
			names[pt] = strings.ToLower(strings.TrimSpace(name))
		}
	}
	for _, pt := range o.media.MediaName.Formats {
		n, err := strconv.ParseUint(pt, 10, 7)
		if err != nil || names[pt] != "opus/48000/2" {
			continue
		}
		o.opus, o.fmtp = uint8(n), map[string]string{}
		for _, a := range o.media.Attributes {
			if owner, parameters, ok := strings.Cut(a.Value, " "); ok && a.Key == "fmtp" && owner == pt {
				o.fmtp = parseParameters(parameters)
			}
		}
		return nil
	}
	return unprocessable("no-opus", "the audio section does not offer opus/48000/2 (RFC 7587)")
}

func parseParameters(s string) map[string]string {
	parameters := map[string]string{}
	for p := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		parameters[strings.ToLower(name)] = value
	}
	return parameters
}

// transportAttributes belong to the transport, which the sections of a bundle
// share: they may stand in its first section only (RFC 8843 §7.1.3).
var transportAttributes = []string{"ice-ufrag", "ice-pwd", "fingerprint", "setup", "ice-options", "rtcp-mux", "candidate"}

// inheritTransport completes the audio section with what the first section of
// its bundle says, and checks that ICE and DTLS can begin.
func (o *offer) inheritTransport() error {
	mid, hasMid := o.media.Attribute("mid")
	group, _ := o.full.Attribute("group")
	tags := strings.Fields(group)
	o.bundle = hasMid && len(tags) > 1 && tags[0] == "BUNDLE" && slices.Contains(tags[1:], mid)
	if o.bundle {
		for _, m := range o.full.MediaDescriptions {
			if first, _ := m.Attribute("mid"); first == tags[1] && m != o.media {
				o.inherit(m)
			}
		}
	}
	for _, need := range []string{"ice-ufrag", "ice-pwd", "fingerprint"} {
		if value, _ := o.attribute(need); value == "" {
			return unprocessable("offer-incomplete", "the offer has no a=%s: it is not a WebRTC offer (RFC 9429)", need)
		}
	}
	o.ufrag, _ = o.attribute("ice-ufrag")
	o.pwd, _ = o.attribute("ice-pwd")
	if setup, _ := o.attribute("setup"); setup == "holdconn" {
		return unprocessable("offer-not-sending", "the offer holds the connection back (a=setup:holdconn)")
	}
	return nil
}

func (o *offer) inherit(from *sdp.MediaDescription) {
	for _, key := range transportAttributes {
		if _, ok := o.attribute(key); ok {
			continue
		}
		for _, a := range from.Attributes {
			if a.Key == key {
				o.media.Attributes = append(o.media.Attributes, a)
			}
		}
	}
}

// forPion is the offer with the audio section alone. Header extensions and
// transport-cc stay out, so nothing of the kind is negotiated.
func (o *offer) forPion(ufrag, pwd string, version uint64) (string, error) {
	reduced := o.full
	reduced.Origin.SessionVersion = version
	reduced.Attributes = keep(o.full.Attributes, func(a sdp.Attribute) bool {
		return a.Key == "fingerprint" || a.Key == "setup" || a.Key == "ice-options" || a.Key == "ice-lite" || slices.Contains(directions, a.Key)
	})
	audio := *o.media
	audio.MediaName.Port = sdp.RangedPort{Value: 9}
	candidates := 0
	audio.Attributes = keep(o.media.Attributes, func(a sdp.Attribute) bool {
		switch a.Key {
		case "candidate":
			candidates++
			return o.more == nil && candidates <= maxCandidates && usable(a.Value)
		case "ice-ufrag", "ice-pwd", "extmap", "extmap-allow-mixed", "rid", "simulcast", "bundle-only", "end-of-candidates":
			return false
		}
		return true
	})
	for _, candidate := range o.more {
		audio.Attributes = append(audio.Attributes, sdp.NewAttribute("candidate", candidate))
	}
	audio.Attributes = append(audio.Attributes, sdp.NewAttribute("ice-ufrag", ufrag), sdp.NewAttribute("ice-pwd", pwd))
	if _, ok := audio.Attribute("mid"); !ok {
		audio.Attributes = append(audio.Attributes, sdp.NewAttribute("mid", o.mid()))
	}
	reduced.Attributes = append(reduced.Attributes, sdp.NewAttribute("group", "BUNDLE "+o.mid()))
	reduced.MediaDescriptions = []*sdp.MediaDescription{&audio}
	text, err := reduced.Marshal()
	return string(text), err
}

// mid names the audio section.
func (o *offer) mid() string {
	if mid, ok := o.media.Attribute("mid"); ok {
		return mid
	}
	return "0"
}

func keep(attributes []sdp.Attribute, want func(sdp.Attribute) bool) []sdp.Attribute {
	kept := make([]sdp.Attribute, 0, len(attributes)+4)
	for _, a := range attributes {
		if want(a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// usable tells whether a candidate can be reached by us. Names that hide an
// address (mDNS) mean nothing here: such a creator reaches us first, and is
// then known by the address it came from.
func usable(candidate string) bool {
	fields := strings.Fields(candidate)
	return len(fields) >= 8 && !strings.HasSuffix(strings.ToLower(fields[4]), ".local")
}
