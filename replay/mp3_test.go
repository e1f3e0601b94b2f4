package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/loudness"
)

func TestParseMP3(t *testing.T) {
	for _, c := range []struct {
		name   string
		header []byte
		want   mp3Frame
		ok     bool
	}{
		{"256 kbit/s joint stereo", []byte{0xff, 0xfb, 0xd4, 0x44}, mp3Frame{256000, 2, 768, 4, 32}, true},
		{"64 kbit/s mono", []byte{0xff, 0xfb, 0x54, 0xc4}, mp3Frame{64000, 1, 192, 4, 17}, true},
		{"320 kbit/s, padded, with checksum", []byte{0xff, 0xfa, 0xe6, 0x00}, mp3Frame{320000, 2, 961, 6, 32}, true},
		{"44.1 kHz", []byte{0xff, 0xfb, 0xd0, 0x44}, mp3Frame{}, false},
		{"layer II", []byte{0xff, 0xfd, 0xd4, 0x44}, mp3Frame{}, false},
		{"MPEG-2", []byte{0xff, 0xf3, 0xd4, 0x44}, mp3Frame{}, false},
		{"free format", []byte{0xff, 0xfb, 0x04, 0x44}, mp3Frame{}, false},
		{"bad bitrate", []byte{0xff, 0xfb, 0xf4, 0x44}, mp3Frame{}, false},
		{"reserved emphasis", []byte{0xff, 0xfb, 0xd4, 0x46}, mp3Frame{}, false},
		{"no sync", []byte{0xfe, 0xfb, 0xd4, 0x44}, mp3Frame{}, false},
		{"short", []byte{0xff, 0xfb, 0xd4}, mp3Frame{}, false},
	} {
		if got, ok := parseMP3(c.header); ok != c.ok || got != c.want {
			t.Errorf("%s: %+v %v, want %+v %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// readMP3 gives all frames and the error that ended them, nil for io.EOF.
func readMP3(b []byte) (out []media.Frame, err error) {
	r := newMP3Reader(bytes.NewReader(b))
	for {
		f, _, err := r.next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, f)
	}
}

// testdata/tone.mp3 is 0.3 s of 64 kbit/s stereo by FFmpeg: an ID3v2 tag, an
// information frame, 14 audio frames of 192 bytes.
func golden(t testing.TB) (file []byte, audio []byte) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", "tone.mp3"))
	if err != nil {
		t.Fatal(err)
	}
	const frame = 192
	at := bytes.Index(file, []byte("Info")) - mp3Header - 32
	return file, file[at+frame:]
}

func TestMP3Reader(t *testing.T) {
	file, audio := golden(t)
	whole := len(audio) / 192
	junk := bytes.Repeat([]byte{0xff, 0xfb, 0x00}, 100)
	id3v1 := append([]byte("TAG"), make([]byte, 125)...)
	id3 := []byte{'I', 'D', '3', 4, 0, 0x10, 0, 0, 0, 5, 1, 2, 3, 4, 5, '3', 'D', 'I', 4, 0, 0x10, 0, 0, 0, 5}
	for _, c := range []struct {
		name   string
		file   []byte
		frames int
		err    error
	}{
		{"as FFmpeg writes it", file, whole, nil},
		{"bare frames", audio, whole, nil},
		{"ID3v2 with footer, ID3v1", slices.Concat(id3, audio, id3v1), whole, nil},
		{"junk before", append(junk, audio...), whole, nil},
		{"junk between", slices.Concat(audio[:5*192], junk, audio[5*192:]), whole - 1, nil}, // the frame before is not followed by one
		{"torn in the last frame", audio[:len(audio)-50], whole - 1, nil},
		{"torn in a header", audio[:len(audio)-190], whole - 1, nil},
		{"empty", nil, 0, errNotMP3},
		{"text", []byte("this is not music"), 0, errNotMP3},
		{"tag only", id3, 0, errNotMP3},
		{"torn tag", file[:8], 0, errNotMP3},
		{"zeros", make([]byte, 1<<20), 0, errNotMP3},
	} {
		t.Run(c.name, func(t *testing.T) {
			frames, err := readMP3(c.file)
			if !errors.Is(err, c.err) || len(frames) != c.frames {
				t.Fatalf("%d frames, %v; want %d, %v", len(frames), err, c.frames, c.err)
			}
			for i, f := range frames {
				if f.PTS != int64(i*mp3Samples) || f.Duration != mp3Samples || len(f.Data) != 192 {
					t.Errorf("frame %d: PTS %d, %d samples, %d bytes", i, f.PTS, f.Duration, len(f.Data))
				}
			}
			if c.frames == whole && !bytes.Equal(joined(frames), audio) {
				t.Error("the frames' bytes are not those of the file")
			}
		})
	}
}

func joined(frames []media.Frame) (out []byte) {
	for _, f := range frames {
		out = append(out, f.Data...)
	}
	return out
}

func FuzzMP3Reader(f *testing.F) {
	file, audio := golden(f)
	f.Add(file)
	f.Add(audio[:400])
	f.Add([]byte("ID3\x04\x00\x10\x7f\x7f\x7f\x7f"))
	f.Add(append([]byte("TAG"), audio[:600]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := readMP3(b)
		if err != nil && !errors.Is(err, errNotMP3) {
			t.Fatal(err)
		}
		size := 0
		for i, frame := range frames {
			h, ok := parseMP3(frame.Data)
			if !ok || h.size != len(frame.Data) || frame.PTS != int64(i*mp3Samples) {
				t.Fatalf("frame %d: %+v", i, frame)
			}
			for half := range 2 {
				turnDown(frame.Data, h, half)
			}
			if again, ok := parseMP3(frame.Data); !ok || again != h {
				t.Fatal("turning down changed the header")
			}
			size += len(frame.Data)
		}
		if size > len(b) {
			t.Fatal("more bytes out than in")
		}
	})
}

func TestBits(t *testing.T) {
	for at := range 16 {
		b := []byte{0xa5, 0x3c, 0x96}
		want := slices.Clone(b)
		v := bits(b, at)
		setBits(b, at, ^v)
		if bits(b, at) != ^v {
			t.Errorf("bit %d: wrote %#x, read %#x", at, ^v, bits(b, at))
		}
		setBits(b, at, v)
		if !bytes.Equal(b, want) {
			t.Errorf("bit %d: neighbours changed: %x, want %x", at, b, want)
		}
	}
}

// Softening a stretch must lower it by 1.5 dB as any decoder hears it, and leave
// the rest.
func TestSoften(t *testing.T) {
	m := newMaker(t, Config{})
	ctx := context.Background()
	mp3 := filepath.Join(t.TempDir(), "tone.mp3")
	e, err := m.ffmpeg.encode(ctx, mp3, 256, Tags{Title: "Soften"})
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range sine(2, 1000, 0.5).blocks() {
		if err := e.write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.close(nil); err != nil {
		t.Fatal(err)
	}
	peaks := func() (out []float64) {
		if err := m.ffmpeg.decode(ctx, source{path: mp3}, func(block []float32) error {
			out = append(out, loudness.Decibels(float64(peakOf(block))))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := peaks()
	over := []span{{300, 303}, {600, 601}}
	if err := soften(mp3, over); err != nil {
		t.Fatal(err)
	}
	for i, after := range peaks() {
		inside := slices.ContainsFunc(over, func(s span) bool { return i >= s.begin && i < s.end })
		outside := !slices.ContainsFunc(over, func(s span) bool { return i > s.begin-16 && i < s.end+16 })
		change := after - before[i]
		if inside && math.Abs(change+1.5) > 0.2 || outside && math.Abs(change) > 0.05 {
			t.Errorf("block %d changed by %.2f dB", i, change)
		}
	}
}
