package whip

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// answer makes the answer to the whole offer out of Pion's answer to its audio
// section: the other sections are refused (port 0, RFC 3264 §6), and the Opus
// parameters say what the creator's encoder should do.
func (o *offer) answer(pion string, bitrate int) (string, error) {
	var a sdp.SessionDescription
	if err := a.UnmarshalString(pion); err != nil {
		return "", fmt.Errorf("whip: Pion's answer: %w", err)
	}
	if len(a.MediaDescriptions) != 1 || a.MediaDescriptions[0].MediaName.Port.Value == 0 {
		return "", unprocessable("no-opus", "the audio section of the offer cannot be received")
	}
	audio := a.MediaDescriptions[0]
	audio.Attributes = keep(audio.Attributes, func(a sdp.Attribute) bool { return a.Key != "fmtp" && !secondComponent(a) })
	audio.WithValueAttribute("fmtp", strconv.Itoa(int(o.opus))+" "+o.opusParameters(bitrate))

	sections := make([]*sdp.MediaDescription, len(o.full.MediaDescriptions))
	for i, m := range o.full.MediaDescriptions {
		if sections[i] = audio; i != o.audio {
			sections[i] = rejected(m)
		}
	}
	a.MediaDescriptions = sections
	if !o.bundle {
		a.Attributes = keep(a.Attributes, func(a sdp.Attribute) bool { return a.Key != "group" })
	}
	text, err := a.Marshal()
	return string(text), err
}

// secondComponent finds the candidates that Pion lists again for RTCP, which
// shares the port of RTP here (rtcp-mux).
func secondComponent(a sdp.Attribute) bool {
	fields := strings.Fields(a.Value)
	return a.Key == "candidate" && len(fields) > 1 && fields[1] == "2"
}

// opusParameters are those of RFC 7587 §6.1. maxaveragebitrate is where a
// browser starts instead of its own 32 kbit/s; in-band FEC lets a decoder
// rebuild what NACK could not bring back in time.
func (o *offer) opusParameters(bitrate int) string {
	parameters := []string{"minptime=10", "useinbandfec=1"}
	if v, ok := o.fmtp["minptime"]; ok {
		parameters[0] = "minptime=" + v
	}
	for _, name := range []string{"stereo", "sprop-stereo"} {
		if v, ok := o.fmtp[name]; ok {
			parameters = append(parameters, name+"="+v)
		}
	}
	return strings.Join(append(parameters, "maxaveragebitrate="+strconv.Itoa(bitrate)), ";")
}

func rejected(m *sdp.MediaDescription) *sdp.MediaDescription {
	r := &sdp.MediaDescription{MediaName: m.MediaName}
	r.MediaName.Port = sdp.RangedPort{}
	r.ConnectionInformation = &sdp.ConnectionInformation{NetworkType: "IN", AddressType: "IP4", Address: &sdp.Address{Address: "0.0.0.0"}}
	if mid, ok := m.Attribute("mid"); ok {
		r.WithValueAttribute("mid", mid)
	}
	return r.WithPropertyAttribute("inactive")
}
