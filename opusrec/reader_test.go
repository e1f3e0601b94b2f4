package opusrec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

func TestReaderIsSource(t *testing.T) {
	mediatest.TestSource(t, func(t *testing.T, packets []media.Packet) media.Source {
		r, err := Open(write(t, Config{}, packets))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}, func(t *testing.T) media.Source {
		headers := bytesOf(t, write(t, Config{}, nil))
		in, out := io.Pipe()
		go func() { _, _ = out.Write(headers[:len(headers)-27]) }() // without the end
		r, err := NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}

// TestGolden pins the bytes of a recording. Change them on purpose only: old
// recordings must stay readable.
func TestGolden(t *testing.T) {
	const golden = "testdata/golden.opus"
	tags := Tags{Title: "Sur la route", Artist: "Zoé", Date: time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC), Comments: []string{"ZONE=Bretagne"}}
	packets := mediatest.Conformance()
	got := bytesOf(t, write(t, Config{Serial: 0x0ADA, Tags: tags}, packets))
	if *updateGolden {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := bytesOf(t, golden); !bytes.Equal(got, want) {
		t.Errorf("the recording differs from %s (-update writes it anew)", golden)
	}
	r, err := Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	samePackets(t, readAll(t, r), packets)
	if !reflect.DeepEqual(r.Tags(), tags) || r.Channels() != 2 || r.PreSkip() != 312 {
		t.Errorf("%+v, %d channels, pre-skip %d", r.Tags(), r.Channels(), r.PreSkip())
	}
	if info, err := Inspect(golden); err != nil || !reflect.DeepEqual(info, Info{
		Tags: tags, Channels: 2, PreSkip: 312, Bytes: int64(len(got)), Ended: true,
		Duration: media.Duration(packets[len(packets)-1].End()),
	}) {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestForeignFile reads what opusenc wrote, whose last page ends before its
// packets do.
func TestForeignFile(t *testing.T) {
	packets, damage := readFile(t, "testdata/opusenc.opus")
	if damage.Bytes > 0 || damage.Unended || damage.Headers || damage.Lost > 0 {
		t.Errorf("%+v", damage)
	}
	mediatest.CheckTimeline(t, packets)
	if len(packets) != 201 || packets[0].PTS != 0 {
		t.Errorf("%d packets from %d", len(packets), packets[0].PTS)
	}
	info, err := Inspect("testdata/opusenc.opus")
	if err != nil || info.Channels != 1 || info.PreSkip != 312 || !info.Ended ||
		info.Duration != 4*time.Second+media.Duration(312) || info.Tags.Title != "A test" || info.Tags.Artist != "opusenc" ||
		!info.Tags.Date.Equal(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) || info.Tags.Get("encoder") == "" {
		t.Errorf("%+v, %v", info, err)
	}
	path := put(t, bytesOf(t, "testdata/opusenc.opus"))
	if report, err := Recover(path); err != nil || !report.Intact {
		t.Errorf("%+v, %v", report, err)
	}
}

// audio are packets of 20 ms for pages made by hand.
func audio(n int) (packets []string) {
	for i := range n {
		packets = append(packets, string([]byte{31 << 3, byte(i), 1, 2}))
	}
	return packets
}

func headers() []byte {
	tags, _ := Tags{Title: "By hand"}.packet()
	return append(page(ogg.Header{Flags: ogg.First}, string(newHead(2, 312).raw)), page(ogg.Header{Sequence: 1}, string(tags))...)
}

// TestPagesOfOthers puts packets on the timeline that our recorder would not
// write like this.
func TestPagesOfOthers(t *testing.T) {
	at := func(sequence uint32, granule int64, flags ogg.Flags, packets ...string) []byte {
		return page(ogg.Header{Flags: flags, Granule: granule, Sequence: sequence}, packets...)
	}
	dtx := string([]byte{31 << 3})
	tests := map[string]struct {
		pages  [][]byte
		pts    []int64 // of the packets that are not lost
		lost   int64   // samples
		bytes  int64
		middle bool
	}{
		"begins anywhere":     {[][]byte{at(2, 1_000_960, 0, audio(1)...), at(3, 1_001_920, ogg.Last, audio(1)...)}, []int64{0, 960}, 0, 0, false},
		"begins before zero":  {[][]byte{at(2, 960, 0, audio(2)...), at(3, 1920, ogg.Last, audio(1)...)}, []int64{0, 960, 1920}, 0, 0, false},
		"ends early":          {[][]byte{at(2, 960, 0, audio(1)...), at(3, 1000, ogg.Last, audio(2)...)}, []int64{0, 960, 1920}, 0, 0, false},
		"one page, cut short": {[][]byte{at(2, 500, ogg.Last, audio(1)...)}, []int64{0}, 0, 0, false},
		"a hole":              {[][]byte{at(2, 960, 0, audio(1)...), at(3, 960*12, ogg.Last, audio(1)...)}, []int64{0, 960 * 11}, 960 * 10, 0, false},
		"a tiny hole":         {[][]byte{at(2, 960, 0, audio(1)...), at(3, 1920+119, ogg.Last, audio(1)...)}, []int64{0, 960}, 0, 0, false},
		"a hole of years":     {[][]byte{at(2, 960, 0, audio(1)...), at(3, 1<<50, 0, audio(1)...), at(4, 1<<50+960, ogg.Last, audio(1)...)}, []int64{0, 960, 1920}, 0, 0, false},
		"granule unknown":     {[][]byte{at(2, -1, 0, audio(1)...), at(3, -7, ogg.Last, audio(1)...)}, []int64{0, 960}, 0, 0, false},
		"granule goes back":   {[][]byte{at(2, 9600, 0, audio(1)...), at(3, 5, 0, audio(1)...), at(4, 9600+1920, ogg.Last, audio(1)...)}, []int64{0, 960, 1920}, 0, 0, false},
		"silence by DTX":      {[][]byte{at(2, 960*3, ogg.Last, audio(1)[0], dtx, audio(1)[0])}, []int64{0, 1920}, 0, 0, false},
		"an empty packet":     {[][]byte{at(2, 960, 0, audio(1)...), at(3, 960*3, ogg.Last, "", audio(1)[0])}, []int64{0, 1920}, 960, 0, false},
		"no packet at all":    {[][]byte{at(2, 960, 0, ""), at(3, 1920, ogg.Last, audio(1)...)}, []int64{0}, 0, 0, false},
		"page without packet": {[][]byte{at(2, -1, 0), at(3, 960, ogg.Last, audio(1)...)}, []int64{0}, 0, 0, false},
		"another stream":      {[][]byte{page(ogg.Header{Serial: 5}, "?"), at(2, 960, ogg.Last, audio(1)...)}, []int64{0}, 0, 0, false},
		"after the end":       {[][]byte{at(2, 960, ogg.Last, audio(1)...), at(3, 1920, 0, audio(1)...)}, []int64{0}, 0, 0, false},
		"a page is missing":   {[][]byte{at(2, 960, 0, audio(1)...), at(4, 2880, ogg.Last, audio(1)...)}, []int64{0, 1920}, 960, 0, true},
		"a page comes twice":  {[][]byte{at(2, 960, 0, audio(1)...), at(2, 960, 0, audio(1)...), at(3, 1920, ogg.Last, audio(1)...)}, []int64{0, 960}, 0, 32, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(append(headers(), slices.Concat(tt.pages...)...)))
			if err != nil {
				t.Fatal(err)
			}
			packets := readAll(t, r)
			mediatest.CheckTimeline(t, packets)
			var pts []int64
			for _, p := range packets {
				if !p.Lost {
					pts = append(pts, p.PTS)
				}
			}
			damage := r.Damage()
			if !slices.Equal(pts, tt.pts) || damage.Lost != media.Duration(tt.lost) || damage.Bytes != tt.bytes || r.middle != tt.middle {
				t.Errorf("packets at %v, %+v, in the middle %v; want %v, %v, %d, %v", pts, damage, r.middle, tt.pts, media.Duration(tt.lost), tt.bytes, tt.middle)
			}
		})
	}
}

// spread puts packets of the given sizes on pages of at most 3 segments, so that
// they go on from page to page.
func spread(t *testing.T, packets []string) (pages [][]byte) {
	t.Helper()
	const perPage = 3
	type segment struct {
		data string
		ends bool
	}
	var segments []segment
	for _, p := range packets {
		for len(p) >= 255 {
			segments = append(segments, segment{p[:255], false})
			p = p[255:]
		}
		segments = append(segments, segment{p, true})
	}
	granule, continued := int64(0), ogg.Flags(0)
	for i := 0; i < len(segments); i += perPage {
		piece := segments[i:min(i+perPage, len(segments))]
		header := ogg.Header{Granule: ogg.NoGranule, Flags: continued, Sequence: uint32(2 + len(pages))}
		lacing, body := []byte(nil), ""
		for _, s := range piece {
			lacing, body = append(lacing, byte(len(s.data))), body+s.data
			if s.ends {
				granule += 960
				header.Granule = granule
			}
		}
		if continued = 0; !piece[len(piece)-1].ends {
			continued = ogg.Continued
		}
		if i+perPage >= len(segments) {
			header.Flags |= ogg.Last
		}
		raw := page(header)
		raw[26] = byte(len(lacing))
		raw = append(append(raw, lacing...), body...)
		binary.LittleEndian.PutUint32(raw[22:], ogg.Checksum(raw))
		pages = append(pages, raw)
	}
	return pages
}

// TestContinuedPackets reads packets that span pages, and loses whole ones where
// a page is missing.
func TestContinuedPackets(t *testing.T) {
	var packets []string
	for i, size := range []int{10, 1200, 255, 254, 600, 1276, 765, 20} {
		packets = append(packets, string([]byte{31 << 3, byte(i)})+strings.Repeat("x", size-2))
	}
	pages := spread(t, packets)
	read := func(pages [][]byte) (*Reader, []media.Packet) {
		r, err := NewReader(iotest.HalfReader(bytes.NewReader(append(headers(), slices.Concat(pages...)...))))
		if err != nil {
			t.Fatal(err)
		}
		got := readAll(t, r)
		mediatest.CheckTimeline(t, got)
		return r, got
	}
	r, got := read(pages)
	if r.middle || len(got) != len(packets) {
		t.Fatalf("%d packets of %d, damage %v", len(got), len(packets), r.middle)
	}
	for i, p := range got {
		if string(p.Data) != packets[i] || p.PTS != int64(i)*960 {
			t.Errorf("packet %d is not the one written", i)
		}
	}
	for missing := range pages {
		_, got := read(slices.Delete(slices.Clone(pages), missing, missing+1))
		for _, p := range got {
			if !p.Lost && string(p.Data) != packets[p.PTS/960] {
				t.Errorf("without page %d a wrong packet at %d", missing, p.PTS)
			}
		}
	}
	for end := range pages {
		path := put(t, append(headers(), slices.Concat(pages[:end]...)...))
		report, err := Recover(path)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Recover(path); err != nil || !again.Intact || again.Packets != report.Packets {
			t.Errorf("cut before page %d: %+v, then %+v, %v", end, report, again, err)
		}
	}
}

// TestLargeTags reads tags with a picture, which span many pages.
func TestLargeTags(t *testing.T) {
	tags := []byte(tagsMagic)
	tags = appendString(tags, "someone")
	tags = binary.LittleEndian.AppendUint32(tags, 3)
	tags = appendString(tags, "title=Before")
	tags = appendString(tags, "METADATA_BLOCK_PICTURE="+strings.Repeat("p", 2<<20))
	tags = appendString(tags, "artist=after")
	file := page(ogg.Header{Flags: ogg.First}, string(newHead(2, 312).raw))
	pages := spread(t, []string{string(tags)})
	for i, b := range pages {
		binary.LittleEndian.PutUint32(b[18:], uint32(1+i))
		b[5] &^= byte(ogg.Last)
		binary.LittleEndian.PutUint32(b[22:], ogg.Checksum(b))
		file = append(file, b...)
	}
	next := uint32(1 + len(pages))
	file = append(file, page(ogg.Header{Granule: 960, Sequence: next}, audio(1)...)...)
	file = append(file, page(ogg.Header{Granule: 2880, Sequence: next + 2, Flags: ogg.Last}, audio(1)...)...)
	path := put(t, file)
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Tags().Title != "Before" {
		t.Errorf("%q", r.Tags().Title)
	}
	if n := len(readAll(t, r)); n != 3 {
		t.Errorf("%d packets", n)
	}
	if report, err := Recover(path); err != nil || !report.Rewritten || report.Packets != 3 {
		t.Errorf("%+v, %v", report, err)
	}
	if info, err := Inspect(path); err != nil || info.Tags.Title != "Before" || info.Bytes > 1000 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestReaderErrors(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Inspect(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	path := put(t, []byte("text"))
	if _, err := Open(path); !errors.Is(err, ErrNotOpus) || !strings.Contains(err.Error(), path) {
		t.Errorf("text: %v", err)
	}
	broken := errors.New("broken disk")
	if _, err := NewReader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("first read: %v", err)
	}
	b := bytesOf(t, write(t, Config{}, long(t, 3*time.Second)))
	ends := pageEnds(t, b)
	for name, n := range map[string]int{"tags": ends[0], "audio": ends[2] + 5} {
		r, err := NewReader(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)))
		for err == nil {
			_, err = r.ReadPacket()
		}
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGrowingFile reads a recording that goes on.
func TestGrowingFile(t *testing.T) {
	r := begin(t, Config{})
	packets := long(t, 3*time.Second)
	for _, p := range packets {
		if err := r.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	got, damage := readFile(t, r.Path())
	samePackets(t, got, packets[:100]) // the third page is collected
	if !damage.Unended || damage.Bytes > 0 {
		t.Errorf("%+v", damage)
	}
	if info, err := Inspect(r.Path()); err != nil || info.Ended || info.Duration != 2*time.Second {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestInspectTorn finds the end behind megabytes of scraps.
func TestInspectTorn(t *testing.T) {
	b := bytesOf(t, write(t, Config{}, long(t, 3*time.Second)))
	for _, scraps := range []int{1, 65_000, 65_307, 65_308, 3 << 20} {
		path := put(t, append(bytes.Clone(b), bytes.Repeat([]byte("OggS"), scraps/4)...))
		if info, err := Inspect(path); err != nil || info.Duration != 3*time.Second || !info.Ended {
			t.Errorf("%d: %+v, %v", scraps, info, err)
		}
	}
	for shift := range 200 { // the last page begins anywhere in the pieces that are read
		path := put(t, append(bytes.Clone(b), make([]byte, ogg.MaxPage-len(b)+pageEnds(t, b)[3]-100+shift)...))
		if info, err := Inspect(path); err != nil || info.Duration != 3*time.Second {
			t.Fatalf("%d: %+v, %v", shift, info, err)
		}
	}
}

func TestTags(t *testing.T) {
	date := time.Date(2026, 11, 22, 18, 30, 5, 99, time.FixedZone("", -3600))
	tests := map[string]struct{ in, out Tags }{
		"none":         {Tags{}, Tags{}},
		"all":          {Tags{"a", "b", date, []string{"X=1", "X=2", "x="}}, Tags{"a", "b", date.Truncate(time.Second).UTC(), []string{"X=1", "X=2", "x="}}},
		"second title": {Tags{Title: "a", Comments: []string{"title=b"}}, Tags{Title: "a", Comments: []string{"title=b"}}},
		"no UTF-8":     {Tags{Title: "a\xffb"}, Tags{Title: "a\uFFFDb"}},
		"odd date":     {Tags{Comments: []string{"DATE=in May"}}, Tags{Comments: []string{"DATE=in May"}}},
		"year zero":    {Tags{Comments: []string{"DATE=0001-01-01"}}, Tags{Comments: []string{"DATE=0001-01-01"}}},
		"day":          {Tags{Comments: []string{"DATE=2026-05-01"}}, Tags{Date: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}},
	}
	for name, tt := range tests {
		b, err := tt.in.packet()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := parseTags(b); !reflect.DeepEqual(got, tt.out) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.out)
		}
		for cut := len(tagsMagic); cut < len(b); cut++ {
			parseTags(b[:cut]) // takes what is there
		}
	}
	for _, comment := range []string{"", "=x", "x", "é=1", "a\n=1", "a~=1"} {
		if _, err := (Tags{Comments: []string{comment}}).packet(); err == nil {
			t.Errorf("the comment %q is accepted", comment)
		}
	}
	if got := (Tags{Artist: "Zoé", Comments: []string{"Zone=x"}}); got.Get("artist") != "Zoé" || got.Get("ZONE") != "x" || got.Get("none") != "" {
		t.Errorf("%q, %q, %q", got.Get("artist"), got.Get("ZONE"), got.Get("none"))
	}
}

// FuzzReader holds the reader to the law of a source for any bytes.
func FuzzReader(f *testing.F) {
	small := bytesOf(f, write(f, Config{Serial: 3, PageDuration: 120 * time.Millisecond}, long(f, 300*time.Millisecond)))
	f.Add(small)
	f.Add(small[100:])
	f.Add(append(headers(), page(ogg.Header{Granule: 1 << 40, Sequence: 9}, audio(2)...)...))
	f.Add([]byte("OggS\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		repairChecksums(b)
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrNotOpus) && !errors.Is(err, ErrEmpty) {
				t.Fatal(err)
			}
			return
		}
		if r.Channels() < 1 || r.Channels() > 2 || r.PreSkip() < 0 {
			t.Fatalf("%d channels, pre-skip %d", r.Channels(), r.PreSkip())
		}
		end := int64(0)
		for range 100_000 { // it may be a day of lost packets
			p, err := r.ReadPacket()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				break
			}
			if n, err := media.PacketDuration(p.Data); err != nil || n != p.Duration || p.PTS != end {
				t.Fatalf("packet at %d of %d samples, expected at %d: %v", p.PTS, n, end, err)
			}
			end = p.End()
		}
		if damage := r.Damage(); damage.Bytes > int64(len(b)) {
			t.Fatalf("%+v in %d bytes", damage, len(b))
		}
	})
}
