package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/hls"
)

// AudioName is the name of the MP3 below the prefix of a replay.
const AudioName = "audio.mp3"

// A Job is one replay to make.
type Job struct {
	// Recording is the file to start from: an Ogg Opus recording, whole or
	// damaged, or anything else that FFmpeg reads.
	Recording string
	Tags      Tags
	// Store receives <Prefix>/audio.mp3 and the HLS files, the playlist
	// <Prefix>/index.m3u8 last. Prefix must be of this replay alone.
	Store  hls.Store
	Prefix string
}

// A Result describes a finished replay.
type Result struct {
	Recorded time.Duration // of the recording
	Duration time.Duration // of the replay
	Silences []Interval    // found in the recording
	Removed  []Interval    // and what was cut of them

	Before, After Loudness
	Gain          float64 // dB
	Reduction     float64 // dB, the most that the limiter took back; 0 when it was not needed
	// OnTarget says that loudness and peaks are within [Config.Tolerance] and
	// [Config.TruePeak]. A sound of a few clicks cannot be.
	OnTarget bool
	Tries    int // how often it was encoded

	Audio string // key of the MP3
	Index string // key of the HLS playlist
	// MP3Bytes and SegmentBytes are sizes, Segments is how many.
	MP3Bytes     int64
	SegmentBytes int64
	Segments     int

	Elapsed time.Duration
}

// Make makes a replay. Made twice it gives the same objects, so a job that was
// interrupted anywhere can simply be done again. When ctx is cancelled FFmpeg
// is killed and no temporary file is left; objects already stored are, without
// a playlist. Errors: those of [Maker.Analyze], those of the store, those of the
// file system.
func (m *Maker) Make(ctx context.Context, job Job) (result Result, err error) {
	audio := path.Join(job.Prefix, AudioName)
	if job.Store == nil || job.Prefix == "" {
		return Result{}, errors.New("replay: Job.Store and Job.Prefix must be set")
	} else if err := hls.CheckKey(audio); err != nil { // before the work, not after
		return Result{}, fmt.Errorf("replay: Job.Prefix: %w", err)
	}
	err = m.inFolder(func(folder string) (err error) {
		result, err = m.make(ctx, job, audio, folder)
		return err
	})
	return result, err
}

// inFolder does work in a temporary folder that is gone afterwards.
func (m *Maker) inFolder(work func(folder string) error) (err error) {
	folder, err := os.MkdirTemp(m.cfg.TempDir, "replay-*")
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	defer func() {
		if e := os.RemoveAll(folder); e != nil {
			err = errors.Join(err, fmt.Errorf("replay: %w", e))
		}
	}()
	return work(folder)
}

func (m *Maker) make(ctx context.Context, job Job, audio, folder string) (Result, error) {
	start, r := time.Now(), m.report()
	src, err := m.prepare(ctx, job.Recording, folder)
	if err != nil {
		return Result{}, err
	}
	a, err := m.analyze(ctx, src, r)
	if err != nil {
		return Result{}, err
	}
	mp3 := filepath.Join(folder, AudioName)
	mastered, err := m.master(ctx, src, a, job.Tags, mp3, r)
	if err != nil {
		return Result{}, err
	}
	if err := put(ctx, job.Store, audio, mp3); err != nil {
		return Result{}, err
	}
	vod, err := m.pack(ctx, mp3, job.Store, job.Prefix, r)
	if err != nil {
		return Result{}, err
	}
	r.at(Packaging, 1, 1)
	return Result{
		Recorded: a.Duration, Duration: mastered.Duration, Silences: a.Silences, Removed: a.Removed,
		Before: a.Loudness, After: mastered.Loudness,
		Gain: mastered.Gain, Reduction: mastered.Reduction, OnTarget: mastered.OnTarget, Tries: mastered.Tries,
		Audio: audio, Index: vod.Index, MP3Bytes: mastered.Bytes, SegmentBytes: vod.Bytes, Segments: vod.Segments,
		Elapsed: time.Since(start),
	}, nil
}

func put(ctx context.Context, store hls.Store, key, file string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := store.Put(ctx, key, f); err != nil {
		return fmt.Errorf("replay: store the MP3: %w", err)
	}
	return nil
}
