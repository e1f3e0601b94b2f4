package opusrec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

// Info is what a recording says of itself.
type Info struct {
	Tags     Tags
	Channels int // what a player outputs, 1 or 2
	PreSkip  int // samples at 48 kHz that a player leaves out at the start
	// Duration is from the first packet to the end of the last one, or to
	// where the last page says that it ends before (RFC 7845 §4.4).
	Duration time.Duration
	// Bytes is the size of the file.
	Bytes int64
	// Ended says that the stream has its end: neither is it still recorded
	// nor was its recorder killed.
	Ended bool
}

// Inspect reads only the start and the end of a recording, so it takes as long
// for eight hours as for one second. It does not notice damage in between, and
// a packet that holds a page of the same stream, which no encoder makes, could
// deceive it; [Reader] reads forward and cannot be deceived so.
func Inspect(path string) (Info, error) {
	r, err := Open(path)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	info := Info{Tags: r.tags, Channels: r.head.channels, PreSkip: r.head.preSkip}
	f := r.closer.(*os.File)
	stat, err := f.Stat()
	if err != nil {
		return Info{}, fmt.Errorf("opusrec: %w", err)
	}
	info.Bytes = stat.Size()
	if _, err := r.ReadPacket(); errors.Is(err, io.EOF) {
		info.Ended = !r.damage.Unended
		return info, nil // there is no audio in it
	} else if err != nil {
		return Info{}, err
	}
	granule, ended, err := findEnd(f, info.Bytes, r.serial)
	if err != nil {
		return Info{}, fmt.Errorf("opusrec: %w", err)
	}
	info.Duration = media.Duration(max(granule-r.origin, 0))
	info.Ended = ended
	return info, nil
}

// findEnd looks backwards for the last page of the stream and the last granule
// position.
func findEnd(f io.ReaderAt, size int64, serial uint32) (granule int64, ended bool, err error) {
	const step = ogg.MaxPage
	buf := make([]byte, step+ogg.MaxPage)
	last := true
	for end := size; end > 0; end -= step {
		start := max(end-step, 0)
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-start)], start)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, false, err
		}
		// Pages that begin before end, which may reach beyond it.
		begins := buf[:min(int64(n), end-start+int64(len(pageMagic))-1)]
		for i := bytes.LastIndex(begins, []byte(pageMagic)); i >= 0; i = bytes.LastIndex(begins[:i], []byte(pageMagic)) {
			page, err := ogg.Parse(buf[i:n])
			if err != nil || page.Serial != serial {
				continue
			}
			if last {
				last, ended = false, page.Flags&ogg.Last != 0
			}
			if page.Granule != ogg.NoGranule {
				return page.Granule, ended, nil
			}
		}
	}
	return 0, ended, nil
}
