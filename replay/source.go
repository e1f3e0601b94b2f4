package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/roadwave/roadwave/opusrec"
)

// A source is a recording and how to read it.
type source struct {
	path string
	// decoder is FFmpeg's; "" lets it choose. Its own Opus decoder is the
	// cheaper one, but bursts into noise after packets that were lost: a recording
	// that has any is decoded by libopus, which conceals them.
	decoder string
	blocks  int // expected, 0 if unknown
	mono    bool
	damaged bool
}

const concealing = "libopus"

// prepare surveys a recording; if it is damaged, the source is a whole copy of it in
// folder.
func (m *Maker) prepare(ctx context.Context, path, folder string) (source, error) {
	s, err := m.survey(ctx, path)
	if err != nil || !s.damaged {
		return s, err
	}
	return m.repaired(s, folder)
}

// survey reads through a recording without decoding it. What is not Ogg Opus is
// left to FFmpeg.
func (m *Maker) survey(ctx context.Context, path string) (s source, err error) {
	r, err := opusrec.Open(path)
	switch {
	case errors.Is(err, opusrec.ErrNotOpus):
		return source{path: path}, nil
	case errors.Is(err, opusrec.ErrEmpty):
		return source{}, fmt.Errorf("%w: %w", ErrEmpty, err)
	case err != nil:
		return source{}, fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	lost, end := false, int64(0)
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return source{}, context.Cause(ctx)
		}
		p, err := r.ReadPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return source{}, fmt.Errorf("replay: %w", err)
		}
		lost = lost || p.Lost
		end = p.End()
	}
	d := r.Damage()
	s = source{path: path, blocks: int(end / blockFrames), mono: r.Channels() == 1, damaged: d.Bytes > 0 || d.Lost > 0 || d.Headers}
	if end == 0 {
		return source{}, fmt.Errorf("%w: %s has a header and no sound", ErrEmpty, path)
	}
	if (lost || s.damaged) && m.ffmpeg.libopus {
		s.decoder = concealing
	}
	return s, nil
}

// repaired gives a damaged recording's time back where sound is missing, in a
// copy: FFmpeg would close the gap.
func (m *Maker) repaired(s source, folder string) (source, error) {
	whole := filepath.Join(folder, "recording.opus")
	if err := copyFile(whole, s.path); err != nil {
		return source{}, fmt.Errorf("replay: %w", err)
	}
	report, err := opusrec.Recover(whole)
	if err != nil {
		return source{}, fmt.Errorf("replay: %w", err)
	}
	m.cfg.Logger.Warn("recording is damaged: the replay is made of what is whole", "path", s.path, "lost", report.DamageTime, "cut", report.BytesCut)
	s.path = whole
	return s, nil
}

func copyFile(to, from string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	_, err = io.Copy(dst, src)
	return err
}
