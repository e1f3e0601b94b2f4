package opusrec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

func put(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.opus")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func bytesOf(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pageEnds gives where the pages of a whole file end.
func pageEnds(t testing.TB, b []byte) (ends []int) {
	t.Helper()
	for at := 0; at < len(b); {
		page, err := ogg.Parse(b[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += page.Size()
		ends = append(ends, at)
	}
	return ends
}

// TestTornTail cuts a recording at every byte of its last two pages, and of the
// end that an earlier recovery has written.
func TestTornTail(t *testing.T) {
	const perPage = 6
	packets := long(t, 560*time.Millisecond)
	ended := bytesOf(t, write(t, Config{PageDuration: perPage * 20 * time.Millisecond}, packets))
	tear := put(t, ended[:len(ended)-1])
	if _, err := Recover(tear); err != nil {
		t.Fatal(err)
	}
	for _, whole := range [][]byte{ended, bytesOf(t, tear)} {
		ends := pageEnds(t, whole)
		path := put(t, nil)
		for cut := ends[len(ends)-3] + 1; cut < len(whole); cut++ {
			if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			pages := 0
			for pages < len(ends) && ends[pages] <= cut {
				pages++
			}
			want := packets[:min((pages-2)*perPage, len(packets))]

			report, err := Recover(path)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if report.Intact || report.Rewritten || report.BytesCut != int64(cut-ends[pages-1]) ||
				report.Packets != int64(len(want)) || report.Duration != time.Duration(len(want))*20*time.Millisecond {
				t.Fatalf("cut at %d: %+v", cut, report)
			}
			got, damage := readFile(t, path)
			samePackets(t, got, want)
			if damage.Bytes > 0 || damage.Unended {
				t.Fatalf("cut at %d: %+v", cut, damage)
			}
			if info, err := Inspect(path); err != nil || !info.Ended || info.Duration != report.Duration {
				t.Fatalf("cut at %d: %+v, %v", cut, info, err)
			}
			before := bytesOf(t, path)
			if again, err := Recover(path); err != nil || !again.Intact || !bytes.Equal(before, bytesOf(t, path)) {
				t.Fatalf("cut at %d, the second time: %+v, %v", cut, again, err)
			}
		}
	}
}

// TestZeroedTail recovers what a loss of power leaves on many file systems: the
// size is right, the end was never written.
func TestZeroedTail(t *testing.T) {
	packets := long(t, 5*time.Second)
	whole := bytesOf(t, write(t, Config{}, packets))
	ends := pageEnds(t, whole)
	for _, zeros := range []int{1, 10, 4096, 8192, len(whole) - ends[1], len(whole) - ends[1] - 1} {
		b := bytes.Clone(whole)
		clear(b[len(b)-zeros:])
		path := put(t, b)
		kept := 0
		for kept < len(ends) && ends[kept] <= len(b)-zeros {
			kept++
		}
		report, err := Recover(path)
		if err != nil || report.Rewritten || report.BytesCut != int64(len(b)-ends[kept-1]) {
			t.Errorf("%d zeros: %+v, %v", zeros, report, err)
		}
		got, _ := readFile(t, path)
		samePackets(t, got, packets[:(kept-2)*50])
	}
}

// TestDamagedMiddle loses exactly the pages that were hit, as time.
func TestDamagedMiddle(t *testing.T) {
	packets := long(t, 10*time.Second)
	tags := Tags{Title: "Sur la route", Comments: []string{"ZONE=Bretagne"}}
	whole := bytesOf(t, write(t, Config{Tags: tags, Serial: 77}, packets))
	ends := pageEnds(t, whole)
	zero := func(from, to int) func([]byte) []byte {
		return func(b []byte) []byte { clear(b[from:to]); return b }
	}
	tests := []struct {
		name   string
		damage func(b []byte) []byte
		lost   []int // audio pages
		torn   bool
	}{
		{"one bit", func(b []byte) []byte { b[ends[3]+200] ^= 1; return b }, []int{2}, false},
		{"first page of audio", zero(ends[1], ends[1]+1), []int{0}, false},
		{"a header", zero(ends[4], ends[4]+27), []int{3}, false},
		{"over three pages", zero(ends[3]+100, ends[5]+1), []int{2, 3, 4}, false},
		{"two places", func(b []byte) []byte { return zero(ends[6], ends[6]+9)(zero(ends[3], ends[3]+9)(b)) }, []int{2, 5}, false},
		{"cut out", func(b []byte) []byte { return append(b[:ends[3]], b[ends[4]:]...) }, []int{2}, false},
		{"cut out across pages", func(b []byte) []byte { return append(b[:ends[3]+50], b[ends[5]+50:]...) }, []int{2, 3, 4}, false},
		{"something added", func(b []byte) []byte {
			return append(b[:ends[4]:ends[4]], append(make([]byte, 999), b[ends[4]:]...)...)
		}, nil, false},
		{"twice", func(b []byte) []byte { return append(b[:ends[5]:ends[5]], b[ends[3]:]...) }, nil, false},
		{"and torn", func(b []byte) []byte { b[ends[3]+200] ^= 1; return b[:len(b)-1] }, []int{2}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := put(t, tt.damage(bytes.Clone(whole)))
			want := append([]media.Packet(nil), packets...)
			for _, page := range tt.lost {
				for i := page * 50; i < page*50+50; i++ {
					for p := range media.Gap(want[i].TOC(), want[i].PTS, int64(want[i].Duration)) {
						want[i] = p
					}
				}
			}
			if tt.torn {
				want = want[:450]
			}
			sameSound := func(got []media.Packet) {
				t.Helper()
				for i := range got {
					if got[i].Lost {
						got[i].Data = want[i].Data // the filler depends on what is left before it
					}
				}
				samePackets(t, got, want)
			}
			got, _ := readFile(t, path)
			sameSound(got)

			report, err := Recover(path)
			if err != nil || !report.Rewritten || report.Intact || report.Packets != int64(len(want)) ||
				report.Lost != int64(50*len(tt.lost)) || report.DamageTime != time.Duration(len(tt.lost))*time.Second ||
				report.LostTime != report.DamageTime || (report.BytesCut > 0) != tt.torn {
				t.Fatalf("%+v, %v", report, err)
			}
			got, damage := readFile(t, path)
			sameSound(got)
			if damage.Bytes > 0 || damage.Lost > 0 || damage.Unended {
				t.Errorf("after recovery: %+v", damage)
			}
			info, err := Inspect(path)
			if err != nil || info.Duration != report.Duration || info.Tags.Title != tags.Title || info.Tags.Get("zone") != "Bretagne" {
				t.Errorf("%+v, %v", info, err)
			}
			if again, err := Recover(path); err != nil || !again.Intact {
				t.Errorf("the second time: %+v, %v", again, err)
			}
		})
	}
}

// TestDamagedHeaders keeps the sound where the first sectors are lost.
func TestDamagedHeaders(t *testing.T) {
	packets := long(t, 5*time.Second)
	whole := bytesOf(t, write(t, Config{Tags: Tags{Title: "Sur la route"}}, packets))
	ends := pageEnds(t, whole)
	for name, tt := range map[string]struct {
		from, to int
		title    string
		lost     int64
	}{
		"identification":       {0, ends[0], "Sur la route", 0},
		"tags":                 {ends[0], ends[1], "", 0},
		"both":                 {0, ends[1], "", 0},
		"both and a page":      {0, ends[1] + 100, "", 50},
		"tags and four pages":  {ends[0], ends[5], "", 200},
		"identification, torn": {0, 10, "Sur la route", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(whole)
			clear(b[tt.from:tt.to])
			path := put(t, b)
			report, err := Recover(path)
			if err != nil || !report.Rewritten || report.Packets != 250 || report.Lost != tt.lost || !report.HeadersLost {
				t.Fatalf("%+v, %v", report, err)
			}
			info, err := Inspect(path)
			if err != nil || info.Tags.Title != tt.title || info.Channels != 2 || info.Duration != 5*time.Second {
				t.Errorf("%+v, %v", info, err)
			}
			got, _ := readFile(t, path)
			samePackets(t, got[tt.lost:], packets[tt.lost:])
			if again, err := Recover(path); err != nil || !again.Intact {
				t.Errorf("the second time: %+v, %v", again, err)
			}
		})
	}
}

// page builds a page of whole packets.
func page(h ogg.Header, packets ...string) []byte {
	var b ogg.Builder
	for _, p := range packets {
		b.Add([]byte(p))
	}
	return bytes.Clone(b.Page(h))
}

// TestNoRecording leaves what is no recording of ours as it is.
func TestNoRecording(t *testing.T) {
	whole := bytesOf(t, write(t, Config{Serial: 5}, long(t, time.Second)))
	ends := pageEnds(t, whole)
	vorbis := page(ogg.Header{Flags: ogg.First, Serial: 9}, "\x01vorbis and what it needs to know")
	surround := newHead(2, 312).raw
	surround[18], surround[9] = 1, 6
	newer := newHead(2, 312).raw
	newer[8] = 0x10
	tests := map[string]struct {
		b    []byte
		want error
	}{
		"nothing":               {nil, ErrEmpty},
		"half a header":         {whole[:30], ErrEmpty},
		"three bytes":           {whole[:3], ErrEmpty},
		"text":                  {[]byte("once upon a time"), ErrNotOpus},
		"two megabytes of text": {bytes.Repeat([]byte("once upon"), 2<<20/9), ErrNotOpus},
		"Vorbis":                {vorbis, ErrNotOpus},
		"Vorbis with audio":     {append(bytes.Clone(vorbis), page(ogg.Header{Serial: 9, Sequence: 1}, "\x03vorbis")...), ErrNotOpus},
		"Vorbis, head lost":     {page(ogg.Header{Serial: 9, Sequence: 1}, "\x03vorbis", "\x05vorbis"), ErrNotOpus},
		"empty first page":      {page(ogg.Header{Flags: ogg.First}), ErrNotOpus},
		"surround":              {page(ogg.Header{Flags: ogg.First}, string(surround)), ErrNotOpus},
		"version 16":            {page(ogg.Header{Flags: ogg.First}, string(newer)), ErrNotOpus},
		"short head":            {page(ogg.Header{Flags: ogg.First}, "OpusHead"), ErrNotOpus},
		"two streams":           {append(bytes.Clone(vorbis), whole...), ErrNotOpus},
		"another after its end": {append(bytes.Clone(whole), vorbis...), ErrNotOpus},
		"goes on after its end": {append(bytes.Clone(whole), whole[ends[1]:]...), ErrNotOpus},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := put(t, tt.b)
			report, err := Recover(path)
			if !errors.Is(err, tt.want) {
				t.Errorf("Recover: %v, want %v", err, tt.want)
			}
			if report.Packets != 0 || !bytes.Equal(bytesOf(t, path), tt.b) {
				t.Error("the file was touched")
			}
		})
	}
	if _, err := Recover(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestRecoverHeaderOnly(t *testing.T) {
	whole := bytesOf(t, write(t, Config{Tags: Tags{Title: "Rien"}}, nil))
	ends := pageEnds(t, whole)
	for _, cut := range []int{ends[0], ends[0] + 9, ends[1], ends[1] + 5} {
		path := put(t, whole[:cut])
		report, err := Recover(path)
		if err != nil || report.Duration != 0 || report.Packets != 0 || report.Intact {
			t.Errorf("cut at %d: %+v, %v", cut, report, err)
		}
		if info, err := Inspect(path); err != nil || !info.Ended || info.Duration != 0 {
			t.Errorf("cut at %d: %+v, %v", cut, info, err)
		}
		if again, err := Recover(path); err != nil || !again.Intact {
			t.Errorf("cut at %d, the second time: %+v, %v", cut, again, err)
		}
	}
}

// TestRecoverScraps cuts what follows the end.
func TestRecoverScraps(t *testing.T) {
	whole := bytesOf(t, write(t, Config{}, long(t, time.Second)))
	path := put(t, append(bytes.Clone(whole), make([]byte, 4096)...))
	report, err := Recover(path)
	if err != nil || report.BytesCut != 4096 || report.Rewritten || report.Intact {
		t.Errorf("%+v, %v", report, err)
	}
	if !bytes.Equal(bytesOf(t, path), whole) {
		t.Error("more than the scraps has changed")
	}
}

// TestRecoverInUse keeps its hands off a live.
func TestRecoverInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.opus")
	r, err := Create(path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := Recover(path); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is recorded: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(path); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestRecoverLeftover removes the copy that a killed recovery has left.
func TestRecoverLeftover(t *testing.T) {
	path := write(t, Config{}, long(t, time.Second))
	if err := os.WriteFile(path+recoverSuffix, []byte("half a copy"), 0o644); err != nil {
		t.Fatal(err)
	}
	if report, err := Recover(path); err != nil || !report.Intact {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := os.Stat(path + recoverSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestRecoverFails keeps the damaged file where the copy cannot be made.
func TestRecoverFails(t *testing.T) {
	b := bytesOf(t, write(t, Config{}, long(t, 3*time.Second)))
	b[len(b)/2] ^= 1
	path := put(t, b)
	if err := os.MkdirAll(filepath.Join(path+recoverSuffix, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(path); err == nil || !strings.Contains(err.Error(), path+recoverSuffix) {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(bytesOf(t, path), b) {
		t.Error("the damaged file was touched")
	}
}

// FuzzRecover holds Recover to its word for any file: it may refuse it, and then
// leaves it alone; otherwise the result is whole and reads without damage. Run it
// with -fuzzminimizetime=10x: the recorder's goroutine makes coverage vary, and
// the fuzzer would spend its time on minimizing that.
func FuzzRecover(f *testing.F) {
	small := bytesOf(f, write(f, Config{Serial: 3, PageDuration: 120 * time.Millisecond}, long(f, 300*time.Millisecond)))
	pages := pageEnds(f, small)
	f.Add(small)
	f.Add(small[:len(small)-1])
	f.Add(small[pages[0]:])
	f.Add(append(bytes.Clone(small[:pages[2]]), small[pages[3]:]...))
	f.Add([]byte("OggS"))
	f.Add(page(ogg.Header{Flags: ogg.First}, string(newHead(1, 0).raw)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.Contains(b, []byte(pageMagic)) {
			return
		}
		repairChecksums(b)
		if r, err := NewReader(bytes.NewReader(b)); err == nil && !ends(r, 10_000) {
			return // hours of lost packets take their time, and show nothing new
		}
		path := put(t, b)
		report, err := Recover(path)
		if err != nil {
			if !bytes.Equal(bytesOf(t, path), b) {
				t.Fatalf("changed in spite of %v", err)
			}
			return
		}
		if report.Duration > 48*time.Hour {
			t.Fatalf("%v out of %d bytes", report.Duration, len(b))
		}
		again, err := Recover(path)
		if err != nil || !again.Intact || again.Packets != report.Packets {
			t.Fatalf("first %+v, then %+v, %v", report, again, err)
		}
		if _, damage := readFile(t, path); damage.Unended || len(damage.Ranges) > 0 {
			t.Fatalf("recovered, and still %+v", damage)
		}
		if _, err := Inspect(path); err != nil { // it may be deceived by what a packet holds
			t.Fatal(err)
		}
	})
}

// ends says whether the source ends after at most that many packets.
func ends(src media.Source, packets int) bool {
	for range packets + 1 {
		if _, err := src.ReadPacket(); err != nil {
			return true
		}
	}
	return false
}

// repairChecksums makes the pages valid that are only wrong in their checksum,
// which a fuzzer cannot guess.
func repairChecksums(b []byte) {
	for at := 0; ; at += len(pageMagic) {
		i := bytes.Index(b[at:], []byte(pageMagic))
		if i < 0 {
			return
		}
		at += i
		if len(b)-at < 27 || len(b)-at < 27+int(b[at+26]) {
			return
		}
		size := 27 + int(b[at+26])
		for _, n := range b[at+27 : at+size] {
			size += int(n)
		}
		if size > len(b)-at {
			continue
		}
		binary.LittleEndian.PutUint32(b[at+22:], ogg.Checksum(b[at:at+size]))
		at += size - len(pageMagic)
	}
}
