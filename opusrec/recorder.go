package opusrec

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

// A file is what the recorder needs of *os.File.
type file interface {
	io.Writer
	Truncate(size int64) error
	Sync() error
	Close() error
}

// A Recorder writes one live into one file. It is a [media.Sink]; its other
// methods may be called from any goroutine at any time.
type Recorder struct {
	cfg  Config
	path string
	file file
	log  *slog.Logger

	mu        sync.Mutex // guards what follows and the order of writes
	page      ogg.Builder
	pageStart int64 // first sample of the page
	pos       int64 // end of what was recorded; behind end by less than 2.5 ms
	end       int64 // end of the last packet
	toc       media.TOC
	sequence  uint32
	unsynced  int64 // samples written since a sync was asked for
	closed    bool
	err       error // the first failure; the recorder has stopped

	stats counters

	syncMu sync.Mutex // one sync at a time
	gone   bool       // the file is closed; guarded by syncMu
	wake   chan struct{}
	done   chan struct{}
	close  func() error
}

// counters are read while a write may be waiting for the disk.
type counters struct {
	packets, lost, lostSamples, end, pages, written, durable atomic.Int64
}

// Stats is what a recording amounts to so far.
type Stats struct {
	Packets  int64         // packets recorded, lost ones included
	Lost     int64         // packets that stand for missing audio
	LostTime time.Duration // how much is missing
	Duration time.Duration // end of the last packet
	Pages    int64         // pages written, headers included
	Bytes    int64         // bytes written, whole pages only
	Durable  int64         // bytes of them that are safe on the disk
}

// Create begins a recording and makes its header durable. It never overwrites:
// where path exists the error is [fs.ErrExist].
func Create(path string, cfg Config) (*Recorder, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	tags, err := cfg.Tags.packet()
	if err != nil {
		return nil, err
	}
	return create(path, cfg, newHead(cfg.Channels, cfg.PreSkip).raw, tags)
}

func create(path string, cfg Config, head, tags []byte) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opusrec: cannot begin a recording: %w", err)
	}
	var r *Recorder
	err = lock(f) // before anything is in it that Recover could take for a recording
	if err == nil {
		r, err = record(path, f, cfg, head, tags)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		// Nothing is in it yet; leaving it would only block the next try.
		return nil, errors.Join(fmt.Errorf("opusrec: cannot begin a recording: %w", err), f.Close(), os.Remove(path))
	}
	go r.syncLoop()
	return r, nil
}

// record writes the two header pages, which RFC 7845 §3 wants alone, at once.
func record(path string, f file, cfg Config, head, tags []byte) (*Recorder, error) {
	r := &Recorder{
		cfg: cfg, path: path, file: f, log: cfg.Logger,
		sequence: 2,
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	r.close = sync.OnceValue(r.finish)
	r.page.Add(head)
	headers := append([]byte(nil), r.page.Page(ogg.Header{Flags: ogg.First, Serial: cfg.Serial})...)
	r.page.Add(tags)
	headers = append(headers, r.page.Page(ogg.Header{Serial: cfg.Serial, Sequence: 1})...)
	if _, err := f.Write(headers); err != nil {
		return nil, err
	}
	r.stats.pages.Store(2)
	r.stats.written.Store(int64(len(headers)))
	return r, r.sync()
}

// WritePacket records one packet. Time between the previous packet and this one
// is filled with lost packets. A packet that is refused (out of order, no valid
// Opus packet, after a hole longer than MaxGap) is not recorded and leaves the
// recorder as it was; after a failure of the disk every call returns that failure.
func (r *Recorder) WritePacket(p media.Packet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.state(); err != nil {
		return err
	}
	if err := r.check(p); err != nil {
		return err
	}
	if err := r.fill(p); err != nil {
		return err
	}
	r.end = p.End()
	return r.add(p.Data, p.Duration, p.Lost)
}

func (r *Recorder) state() error {
	if r.closed {
		return ErrClosed
	}
	return r.err
}

func (r *Recorder) check(p media.Packet) error {
	if len(p.Data) > maxPacket {
		return fmt.Errorf("opusrec: a packet of %d bytes, the most is %d", len(p.Data), maxPacket)
	}
	duration, err := media.PacketDuration(p.Data)
	if err != nil {
		return fmt.Errorf("opusrec: packet at %v refused: %w", media.Duration(p.PTS), err)
	}
	if duration != p.Duration {
		return fmt.Errorf("opusrec: packet at %v says it lasts %d samples, its data %d: %w",
			media.Duration(p.PTS), p.Duration, duration, media.ErrInvalidPacket)
	}
	if p.PTS < r.end {
		return fmt.Errorf("%w: it begins at %v, the previous one ended at %v",
			ErrOrder, media.Duration(p.PTS), media.Duration(r.end))
	}
	if gap := p.PTS - r.end; gap > media.Samples(r.cfg.MaxGap) {
		return fmt.Errorf("opusrec: %v are missing before the packet at %v, the most is %v",
			media.Duration(gap), media.Duration(p.PTS), r.cfg.MaxGap)
	}
	return nil
}

// fill records the hole before p. What is shorter than the shortest packet is
// carried over to the next hole, so it never adds up.
func (r *Recorder) fill(p media.Packet) error {
	if r.end == 0 {
		r.toc = p.TOC()
	}
	if p.PTS > r.pos {
		for lost := range media.Gap(r.toc, r.pos, p.PTS-r.pos) {
			if err := r.add(lost.Data, lost.Duration, true); err != nil {
				return err
			}
		}
	}
	r.toc = p.TOC()
	return nil
}

func (r *Recorder) add(data []byte, duration int, lost bool) error {
	full := r.pos+int64(duration)-r.pageStart > media.Samples(r.cfg.PageDuration)
	if !r.page.Empty() && (full || !r.page.Fits(len(data))) {
		if err := r.flush(0); err != nil {
			return err
		}
	}
	r.page.Add(data)
	r.pos += int64(duration)
	r.stats.packets.Add(1)
	if lost {
		r.stats.lost.Add(1)
		r.stats.lostSamples.Add(int64(duration))
	}
	r.stats.end.Store(r.pos)
	return nil
}

// flush writes the page and asks for a sync where one is due.
func (r *Recorder) flush(flags ogg.Flags) error {
	granule := r.pos
	if r.page.Empty() {
		granule = ogg.NoGranule // only the end of the stream is said without packets
	}
	page := r.page.Page(ogg.Header{Flags: flags, Granule: granule, Serial: r.cfg.Serial, Sequence: r.sequence})
	if n, err := r.file.Write(page); err != nil {
		return r.fail(fmt.Errorf("writing a page (%d of %d bytes): %w", n, len(page), err))
	}
	r.sequence++
	r.stats.pages.Add(1)
	r.stats.written.Add(int64(len(page)))
	r.unsynced += r.pos - r.pageStart
	r.pageStart = r.pos
	if r.cfg.SyncInterval >= 0 && r.unsynced >= media.Samples(r.cfg.SyncInterval) {
		r.unsynced = 0
		select {
		case r.wake <- struct{}{}:
		default: // the sync that waits will take this page along
		}
	}
	return nil
}

// fail stops the recorder. Half a page is taken back, so that the file ends
// with a whole one; where even that fails, Recover does it.
func (r *Recorder) fail(err error) error {
	whole := r.stats.written.Load()
	r.err = fmt.Errorf("opusrec: recording %s failed after %v: %w", r.path, media.Duration(r.pageStart), err)
	r.log.Error("recording failed", "path", r.path, "whole_bytes", whole, "err", err)
	if err := r.file.Truncate(whole); err != nil {
		r.log.Warn("half a page is left at the end of the recording", "path", r.path, "err", err)
	}
	return r.err
}

// Stats may be called at any time; it does not wait for the disk.
func (r *Recorder) Stats() Stats {
	return Stats{
		Packets:  r.stats.packets.Load(),
		Lost:     r.stats.lost.Load(),
		LostTime: media.Duration(r.stats.lostSamples.Load()),
		Duration: media.Duration(r.stats.end.Load()),
		Pages:    r.stats.pages.Load(),
		Bytes:    r.stats.written.Load(),
		Durable:  r.stats.durable.Load(),
	}
}

// Path is the name of the file.
func (r *Recorder) Path() string { return r.path }

// Close writes the last page, which ends the stream, and returns when the whole
// recording is on the disk. Every call returns the same error, among them the
// failure that had stopped the recorder.
func (r *Recorder) Close() error { return r.close() }

func (r *Recorder) finish() error {
	r.mu.Lock()
	r.closed = true
	if r.err == nil {
		_ = r.flush(ogg.Last) // kept in r.err
	}
	r.mu.Unlock()

	close(r.wake)
	<-r.done
	r.mu.Lock()
	err := r.err
	r.mu.Unlock()
	if err == nil {
		if err = r.sync(); err != nil {
			err = fmt.Errorf("opusrec: %s: %w", r.path, err)
		}
	}
	r.syncMu.Lock()
	closeErr := r.file.Close()
	r.gone = true
	r.syncMu.Unlock()
	if err == nil && closeErr != nil {
		err = fmt.Errorf("opusrec: %w", closeErr)
	}
	return err
}
