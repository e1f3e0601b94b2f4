package objects

import (
	"context"
	"errors"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const pageOfUploads = 1000

// AbortIncomplete deletes what uploads that were begun before a time, and never
// finished, left in the bucket, and tells how many uploads and how many bytes
// that was; with dryRun it only tells. The store bills what is left there but
// does not list it. Uploads of others that share the bucket are left alone: only
// what is where we write is ours.
func (s *S3) AbortIncomplete(ctx context.Context, before time.Time, dryRun bool) (n int, bytes int64, err error) {
	for _, prefix := range []string{station.LivePrefix, station.ReplayPrefix, station.RawPrefix} {
		more, size, err := s.abortBelow(ctx, s.at.name(prefix), before, dryRun)
		n, bytes = n+more, bytes+size
		if err != nil {
			return n, bytes, err
		}
	}
	return n, bytes, nil
}

func (s *S3) abortBelow(ctx context.Context, prefix string, before time.Time, dryRun bool) (n int, bytes int64, err error) {
	var marker, idMarker string
	for {
		var page minio.ListMultipartUploadsResult
		err := s.try(ctx, "listing unfinished uploads", func() (err error) {
			page, err = s.client.ListMultipartUploads(ctx, s.at.bucket, prefix, marker, idMarker, "", pageOfUploads)
			return err
		})
		if err != nil {
			return n, bytes, err
		}
		for _, u := range page.Uploads {
			if !u.Initiated.Before(before) {
				continue
			}
			size, err := s.abortUpload(ctx, u.Key, u.UploadID, dryRun)
			if err != nil {
				return n, bytes, err
			}
			n, bytes = n+1, bytes+size
		}
		end := page.NextKeyMarker == marker && page.NextUploadIDMarker == idMarker
		marker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
		if !page.IsTruncated || end {
			return n, bytes, nil
		}
	}
}

func (s *S3) abortUpload(ctx context.Context, name, id string, dryRun bool) (bytes int64, err error) {
	for marker, more := 0, true; more && err == nil; {
		err = s.try(ctx, "listing the parts of an unfinished upload", func() error {
			page, err := s.client.ListObjectParts(ctx, s.at.bucket, name, id, marker, pageOfUploads)
			if err != nil {
				return err
			}
			for _, part := range page.ObjectParts {
				bytes += part.Size
			}
			more = page.IsTruncated && page.NextPartNumberMarker > marker
			marker = page.NextPartNumberMarker
			return nil
		})
	}
	if err == nil && !dryRun {
		err = s.try(ctx, "deleting an unfinished upload", func() error {
			return s.client.AbortMultipartUpload(ctx, s.at.bucket, name, id)
		})
	}
	if errors.Is(err, errNoUpload) {
		return 0, nil
	}
	return bytes, err
}
