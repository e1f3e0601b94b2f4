package replay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/roadwave/roadwave/media"
)

const (
	mp3Header   = 4
	mp3Samples  = 1152 // per frame, MPEG-1 Layer III
	mp3MaxFrame = 1441 // bytes: 320 kbit/s at 32 kHz, padded

	// mp3Search bounds the bytes that are no frames between two frames.
	mp3Search = 1 << 16
)

// errNotMP3 is returned, wrapped with a reason, for what is not an MP3 as a
// replay has it: MPEG-1 Layer III at 48 kHz.
var errNotMP3 = errors.New("replay: not an MP3 at 48 kHz")

// An mp3Frame is the header of a frame (ISO 11172-3 §2.4.1.3).
type mp3Frame struct {
	bitrate   int // bits per second
	channels  int
	size      int // bytes, header included
	sideStart int // where the side information begins: after header and checksum
	sideSize  int
}

// mp3Bitrates of MPEG-1 Layer III in kbit/s (ISO 11172-3 §2.4.2.3); 0 is free
// format, which nobody writes.
var mp3Bitrates = [16]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}

// parseMP3 reads a frame header; ok is false for anything but MPEG-1 Layer III
// at 48 kHz.
func parseMP3(b []byte) (f mp3Frame, ok bool) {
	if len(b) < mp3Header {
		return f, false
	}
	h := binary.BigEndian.Uint32(b)
	const (
		mask      = 0xfffe0c00 // sync, version, layer, sampling rate
		mpeg1At48 = 0xfffa0400
	)
	kilobits := mp3Bitrates[h>>12&15]
	if h&mask != mpeg1At48 || kilobits == 0 || h&3 == 2 { // emphasis 2 is reserved
		return f, false
	}
	f = mp3Frame{bitrate: kilobits * 1000, channels: 2, sideStart: mp3Header, sideSize: 32}
	f.size = 144*f.bitrate/media.SampleRate + int(h>>9&1)
	if h>>6&3 == 3 {
		f.channels, f.sideSize = 1, 17
	}
	if h>>16&1 == 0 { // a checksum follows the header
		f.sideStart += 2
	}
	return f, true
}

// An mp3Reader gives the audio frames of an MP3: without tags, without the
// information frame that encoders put first, and without what is damaged.
type mp3Reader struct {
	src    *bufio.Reader
	first  *mp3Frame
	pts    int64
	offset int64 // of what comes next in the source
}

func newMP3Reader(src io.Reader) *mp3Reader {
	return &mp3Reader{src: bufio.NewReaderSize(src, 2*mp3MaxFrame)}
}

// next gives the next frame, or io.EOF after the last.
func (r *mp3Reader) next() (media.Frame, mp3Frame, error) {
	for {
		header, err := r.sync()
		if err != nil {
			return media.Frame{}, header, err
		}
		data := make([]byte, header.size)
		n, err := io.ReadFull(r.src, data)
		r.offset += int64(n)
		if err != nil {
			if err == io.ErrUnexpectedEOF { // a torn last frame
				err = io.EOF
			}
			return media.Frame{}, header, r.finish(err)
		}
		if r.first == nil {
			r.first = &header
			if isInformation(data, header) {
				continue
			}
		}
		f := media.Frame{PTS: r.pts, Duration: mp3Samples, Data: data}
		r.pts = f.End()
		return f, header, nil
	}
}

// finish turns the end of a source that never had a frame into an error.
func (r *mp3Reader) finish(err error) error {
	if err == io.EOF && r.first == nil {
		return fmt.Errorf("%w: it has no frame", errNotMP3)
	}
	return err
}

// sync skips to the next frame. Four bytes can look like a header by chance, so
// a frame counts only when another follows it or the source ends with it.
func (r *mp3Reader) sync() (mp3Frame, error) {
	for skipped := 0; ; {
		if skipped > mp3Search {
			return mp3Frame{}, fmt.Errorf("%w: %d bytes without a frame", errNotMP3, skipped)
		}
		b, err := r.src.Peek(mp3Header)
		if len(b) < mp3Header {
			if err != io.EOF {
				return mp3Frame{}, err
			}
			return mp3Frame{}, r.finish(io.EOF)
		}
		n, err := r.skipTag(b)
		if err != nil {
			return mp3Frame{}, err
		}
		if n > 0 {
			continue
		}
		if f, ok := parseMP3(b); ok && (r.first == nil || f.channels == r.first.channels) && r.followed(f.size) {
			return f, nil
		}
		if _, err := r.src.Discard(1); err != nil {
			return mp3Frame{}, err
		}
		r.offset++
		skipped++
	}
}

// followed says whether a frame, a tag or the end comes after size bytes.
func (r *mp3Reader) followed(size int) bool {
	b, err := r.src.Peek(size + mp3Header)
	if len(b) < size+mp3Header {
		return err == io.EOF
	}
	after := b[size:]
	_, ok := parseMP3(after)
	return ok || bytes.HasPrefix(after, []byte("TAG")) || bytes.HasPrefix(after, []byte("ID3"))
}

// skipTag skips an ID3v2 tag (its size is in four bytes of seven bits) or the
// ID3v1 tag of 128 bytes, and gives its size.
func (r *mp3Reader) skipTag(b []byte) (int, error) {
	size := 0
	switch {
	case bytes.HasPrefix(b, []byte("ID3")):
		h, err := r.src.Peek(10)
		if err != nil {
			return 0, r.finish(io.EOF)
		}
		size = 10 + int(h[6]&0x7f)<<21 + int(h[7]&0x7f)<<14 + int(h[8]&0x7f)<<7 + int(h[9]&0x7f)
		if h[5]&0x10 != 0 { // a footer
			size += 10
		}
	case bytes.HasPrefix(b, []byte("TAG")):
		size = 128
	default:
		return 0, nil
	}
	n, err := r.src.Discard(size)
	r.offset += int64(n)
	if err == io.EOF {
		err = r.finish(io.EOF)
	}
	return n, err
}

// isInformation recognises the frame of silence in which an encoder tells the
// length and its delay.
func isInformation(data []byte, f mp3Frame) bool {
	at := f.sideStart + f.sideSize
	if len(data) < at+4 {
		return false
	}
	name := string(data[at : at+4])
	return name == "Xing" || name == "Info"
}
