package opusrec

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

// A Report says what [Recover] found and did.
type Report struct {
	// Intact says that the file was whole and was not touched.
	Intact bool
	// Rewritten says that damage in the middle made a new file necessary;
	// otherwise only the end was repaired in place.
	Rewritten bool

	Duration time.Duration // from the first packet to the end of the last one
	Pages    int64         // whole pages found, headers included
	Packets  int64         // packets now in the recording, lost ones included
	Lost     int64         // packets of them that stand for missing audio
	LostTime time.Duration // how much audio that is

	BytesCut    int64         // torn off at the end
	Damaged     []Range       // places in between that held no whole page, at most 1000
	DamageTime  time.Duration // the part of LostTime that damage is to blame for
	HeadersLost bool          // channels or tags are guessed
}

// recoverSuffix is added to the name of the file that replaces a damaged one.
const recoverSuffix = ".recovering"

// Recover makes a recording whole after a crash: what was torn at the end is
// cut off and the end of the stream is written. Only where the damage is not at
// the end is the file replaced by a repaired copy, the missing time filled with
// lost packets. Recover may itself be killed at any moment and run again; on a
// whole file it does nothing.
//
// The error is [ErrEmpty] for a file without any audio or header, [ErrNotOpus]
// for one that is something else, [ErrInUse] for one that is being recorded; the
// file is then left as it is.
func Recover(path string) (Report, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return Report{}, fmt.Errorf("opusrec: %w", err)
	}
	report, err := repair(f, path)
	if err != nil {
		err = fmt.Errorf("recovering %s: %w", path, err)
	}
	return report, errors.Join(err, f.Close())
}

func repair(f *os.File, path string) (Report, error) {
	if err := lock(f); err != nil {
		return Report{}, err
	}
	if err := os.Remove(path + recoverSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Report{}, err
	}
	r, err := NewReader(onlyReader{f})
	if err != nil {
		return Report{}, err
	}
	report, err := survey(r)
	if err != nil {
		return Report{}, err
	}
	if r.others {
		return Report{}, fmt.Errorf("%w: it holds other streams too", ErrNotOpus)
	}
	switch {
	case r.middle || r.partial != nil:
		report.Rewritten = true
		err = rewrite(f, path, r)
	case r.damage.Unended || report.BytesCut > 0:
		err = mend(f, r)
	default:
		report.Intact = true
	}
	return report, err
}

// survey reads the file to its end.
func survey(r *Reader) (Report, error) {
	var report Report
	var end int64
	for {
		p, err := r.ReadPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Report{}, err
		}
		end = p.End()
		report.Packets++
		if p.Lost {
			report.Lost++
			report.LostTime += media.Duration(int64(p.Duration))
		}
	}
	if !r.damage.Unended {
		if err := r.readRest(); err != nil {
			return Report{}, err
		}
	}
	damage := r.Damage()
	report.Duration = media.Duration(end)
	report.Pages = r.count
	report.DamageTime = damage.Lost
	report.HeadersLost = damage.Headers
	for _, place := range damage.Ranges {
		if place.Offset < r.whole {
			report.Damaged = append(report.Damaged, place)
		} else {
			report.BytesCut += place.Length
		}
	}
	return report, nil
}

// readRest looks at what follows the end of the stream: scraps may be cut off,
// pages not.
func (r *Reader) readRest() error {
	page, skipped, err := r.pages.Next(math.MaxInt64)
	switch {
	case err == nil && page.Serial == r.serial:
		return fmt.Errorf("%w: pages follow the end of its stream", ErrNotOpus)
	case err == nil:
		r.others = true
	case !errors.Is(err, io.EOF):
		return err
	}
	r.skipped(r.pages.Offset()-skipped, skipped)
	return nil
}

// mend repairs the end in place. It only cuts and appends, so being killed in
// between leaves a file that it can mend again.
func mend(f *os.File, r *Reader) error {
	if err := f.Truncate(r.whole); err != nil {
		return err
	}
	if r.damage.Unended {
		var end ogg.Builder
		page := end.Page(ogg.Header{Flags: ogg.Last, Granule: ogg.NoGranule, Serial: r.serial, Sequence: r.sequence})
		if _, err := f.WriteAt(page, r.whole); err != nil {
			return err
		}
	}
	return f.Sync()
}

// rewrite puts a repaired copy in the place of the file.
func rewrite(f *os.File, path string, found *Reader) error {
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	src, err := NewReader(onlyReader{f})
	if err != nil {
		return err
	}
	tags := found.rawTags
	if tags == nil || len(tags) > maxPacket {
		// Pictures and the like are given up; what names the recording is kept.
		tags, err = Tags{Title: found.tags.Title, Artist: found.tags.Artist, Date: found.tags.Date}.packet()
		if err != nil {
			tags, _ = Tags{}.packet()
		}
	}
	cfg := Config{Serial: found.serial, SyncInterval: -1, MaxGap: media.Duration(holeLimit)}
	if err := cfg.fill(); err != nil {
		return err
	}
	temporary := path + recoverSuffix
	dst, err := create(temporary, cfg, found.head.raw, tags)
	if err != nil {
		return err
	}
	err = media.Copy(dst, src)
	if err == nil {
		err = os.Chmod(temporary, stat.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(filepath.Dir(path))
}

// onlyReader keeps a Reader from closing the file.
type onlyReader struct{ io.Reader }
