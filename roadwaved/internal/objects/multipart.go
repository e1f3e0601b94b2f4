package objects

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

const (
	partSize  = 8 << 20      // bytes of the parts in which large objects are put
	maxMemory = 6 * partSize // bytes of all large objects that are put at the same time

	partsAtOnce = 3     // of one object
	maxParts    = 10000 // that S3 allows
)

// cleanPatience is how long Put tries to delete the parts of what failed, also
// when its context has ended.
const cleanPatience = 3 * time.Second

// putParts stores a large object.
func (s *S3) putParts(ctx context.Context, key string, body io.Reader, size int64) error {
	if size > maxParts*partSize {
		return fmt.Errorf("objects: %s has %d bytes, more than the %d an object can have", key, size, int64(maxParts*partSize))
	}
	s.large.Add(1)
	defer func() {
		if s.large.Add(-1) == 0 {
			s.forgetBuffers()
		}
	}()
	name, options := s.at.name(key), s.putOptions(key)
	var id string
	err := s.try(ctx, "beginning to store "+key, func() (err error) {
		id, err = s.client.NewMultipartUpload(ctx, s.at.bucket, name, options)
		return err
	})
	if err != nil {
		return err
	}
	parts, err := s.sendParts(ctx, key, id, body, size)
	if err == nil {
		err = s.try(ctx, "storing "+key, func() error {
			_, err := s.client.CompleteMultipartUpload(ctx, s.at.bucket, name, id, parts, minio.PutObjectOptions{})
			return err
		})
	}
	if err != nil {
		s.abort(ctx, name, id)
	}
	return err
}

// abort deletes the parts of an upload that failed, as far as the store answers.
// A part that was still on its way may arrive after that: it looks again.
func (s *S3) abort(ctx context.Context, name, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanPatience)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		err := s.client.AbortMultipartUpload(ctx, s.at.bucket, name, id)
		if err == nil {
			_, err = s.client.ListObjectParts(ctx, s.at.bucket, name, id, 0, 1)
		}
		if minio.ToErrorResponse(err).Code == codeNoUpload {
			return
		}
		if !sleep(ctx, pause) {
			s.cfg.Logger.Debug("object store: parts of a failed upload are left to the daily cleaning", "err", s.fault(ctx, "cleaning", err))
			return
		}
	}
}

// sendParts reads the body part by part and sends some at the same time. When one
// fails no other begins, but those on their way arrive: what a server does with
// half a part is late, and would come after the parts were deleted.
func (s *S3) sendParts(ctx context.Context, key, id string, body io.Reader, size int64) ([]minio.CompletePart, error) {
	more, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.SetLimit(partsAtOnce)
	var mu sync.Mutex
	var parts []minio.CompletePart
	var broken error // of the body
	for number := 1; size > 0; number++ {
		buffer, err := s.takeBuffer(more)
		if err != nil {
			break // the group, or the caller, knows why
		}
		part := buffer[:min(size, partSize)]
		size -= int64(len(part))
		if broken = readFull(body, part); broken != nil {
			s.giveBuffer(buffer)
			break
		}
		group.Go(func() error {
			defer s.giveBuffer(buffer)
			done, err := s.sendPart(ctx, key, id, number, part)
			if err != nil {
				stop()
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			parts = append(parts, done)
			return nil
		})
	}
	if err := cmp.Or(group.Wait(), broken); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, s.fault(ctx, "storing "+key, ctx.Err())
	}
	slices.SortFunc(parts, func(a, b minio.CompletePart) int { return cmp.Compare(a.PartNumber, b.PartNumber) })
	return parts, nil
}

func (s *S3) takeBuffer(ctx context.Context) ([]byte, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case b := <-s.free:
		return b, nil
	default:
		return make([]byte, partSize), nil
	}
}

func (s *S3) giveBuffer(b []byte) {
	s.free <- b
	<-s.slots
}

// forgetBuffers gives the memory of those that nobody uses back.
func (s *S3) forgetBuffers() {
	for range cap(s.free) {
		select {
		case <-s.free:
		default:
			return
		}
	}
}

func (s *S3) sendPart(ctx context.Context, key, id string, number int, part []byte) (minio.CompletePart, error) {
	sums := s.sums(part)
	var done minio.ObjectPart
	err := s.try(ctx, fmt.Sprintf("storing part %d of %s", number, key), func() (err error) {
		done, err = s.client.PutObjectPart(ctx, s.at.bucket, s.at.name(key), id, number, bytes.NewReader(part), int64(len(part)),
			minio.PutObjectPartOptions{Md5Base64: sums.md5, Sha256Hex: sums.sha256, DisableContentSha256: true})
		return err
	})
	return minio.CompletePart{PartNumber: number, ETag: done.ETag}, err
}
