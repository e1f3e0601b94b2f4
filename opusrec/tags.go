package opusrec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tags describe a recording (OpusTags, RFC 7845 §5.2).
type Tags struct {
	// Title is the title of the live.
	Title string
	// Artist is the name of the creator.
	Artist string
	// Date is when the live began; it is written in UTC to the second. The zero
	// time is left out.
	Date time.Time
	// Comments are further comments, each "NAME=value" with a NAME of printable
	// ASCII other than '='. A NAME may come more than once.
	Comments []string
}

// Get gives the value of the first comment with that name, which has no case,
// or "".
func (t Tags) Get(name string) string {
	for _, comment := range t.list() {
		if key, value, _ := strings.Cut(comment, "="); strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// The names of the comments that are fields of Tags (the field names that the
// Vorbis comment specification proposes).
const (
	tagTitle  = "TITLE"
	tagArtist = "ARTIST"
	tagDate   = "DATE"
)

func (t Tags) list() []string {
	var list []string
	if t.Title != "" {
		list = append(list, tagTitle+"="+t.Title)
	}
	if t.Artist != "" {
		list = append(list, tagArtist+"="+t.Artist)
	}
	if !t.Date.IsZero() {
		list = append(list, tagDate+"="+t.Date.UTC().Format(time.RFC3339))
	}
	return append(list, t.Comments...)
}

func (t *Tags) set(comment string) {
	name, value, _ := strings.Cut(comment, "=")
	switch {
	case strings.EqualFold(name, tagTitle) && t.Title == "":
		t.Title = value
	case strings.EqualFold(name, tagArtist) && t.Artist == "":
		t.Artist = value
	case strings.EqualFold(name, tagDate) && t.Date.IsZero() && !parseDate(value).IsZero():
		t.Date = parseDate(value)
	default:
		t.Comments = append(t.Comments, comment)
	}
}

// parseDate understands a time, which we write, and a day, as most others do.
func parseDate(value string) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if date, err := time.Parse(layout, value); err == nil {
			return date.UTC()
		}
	}
	return time.Time{}
}

const (
	vendor = "RoadWave opusrec"

	headMagic = "OpusHead"
	tagsMagic = "OpusTags"

	// maxPacket is the largest packet a demuxer must take (RFC 7845 §6); it also
	// fits on one page, which keeps pages complete in themselves.
	maxPacket = 61440
)

// packet is the second packet of the file.
func (t Tags) packet() ([]byte, error) {
	list := t.list()
	b := []byte(tagsMagic)
	b = appendString(b, vendor)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for _, comment := range list {
		name, _, ok := strings.Cut(comment, "=")
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r > 0x7d }) {
			return nil, fmt.Errorf("opusrec: comment %q is not NAME=value", comment)
		}
		// Names come from people; a stray byte must not make the file invalid.
		b = appendString(b, strings.ToValidUTF8(comment, "\uFFFD"))
	}
	if len(b) > maxPacket {
		return nil, fmt.Errorf("opusrec: the tags take %d bytes, the most is %d", len(b), maxPacket)
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// parseTags reads what is there: of a damaged or cut packet the comments before
// the damage.
func parseTags(b []byte) (t Tags) {
	b = b[len(tagsMagic):]
	_, b, ok := cutString(b) // vendor
	if !ok || len(b) < 4 {
		return t
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	for range n {
		var comment string
		if comment, b, ok = cutString(b); !ok {
			break
		}
		t.set(comment)
	}
	return t
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-4) {
		return "", nil, false
	}
	return string(b[4 : 4+n]), b[4+n:], true
}

// head is the identification header (RFC 7845 §5.1), the first packet.
type head struct {
	channels int
	preSkip  int
	raw      []byte
}

func newHead(channels, preSkip int) head {
	b := []byte(headMagic)
	b = append(b, 1, byte(channels)) // version, channels
	b = binary.LittleEndian.AppendUint16(b, uint16(preSkip))
	b = binary.LittleEndian.AppendUint32(b, 48000) // rate of the original input
	b = append(b, 0, 0)                            // output gain
	b = append(b, 0)                               // mapping family 0: mono or stereo
	return head{channels, preSkip, b}
}

func parseHead(b []byte) (head, error) {
	if !bytes.HasPrefix(b, []byte(headMagic)) {
		return head{}, fmt.Errorf("%w: the stream is %s", ErrNotOpus, codecName(b))
	}
	if len(b) < 19 || b[8]>>4 != 0 {
		return head{}, fmt.Errorf("%w: its header has an unknown version", ErrNotOpus)
	}
	channels, family := int(b[9]), b[18]
	if family != 0 || channels < 1 || channels > 2 {
		return head{}, fmt.Errorf("%w: %d channels in mapping family %d; mono and stereo (family 0) are supported", ErrNotOpus, channels, family)
	}
	return head{channels, int(binary.LittleEndian.Uint16(b[10:])), slices.Clone(b)}, nil
}

// codecName names what an Ogg stream that is not Opus begins with.
func codecName(b []byte) string {
	for prefix, name := range map[string]string{
		"\x01vorbis": "Vorbis", "\x7fFLAC": "FLAC", "Speex   ": "Speex", "\x80theora": "Theora", "fishead": "an Ogg skeleton",
	} {
		if bytes.HasPrefix(b, []byte(prefix)) {
			return name
		}
	}
	return "of another codec"
}
