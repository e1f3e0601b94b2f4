package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/roadwave/roadwave/hls"
)

// smallObject is what is read whole by Open: segments and playlists, so that it
// takes one request and nothing can change afterwards.
const smallObject = 1 << 20

// Open implements [hls.Store]. What is larger than 1 MiB is read while ctx lives,
// and the read fails once the object was overwritten or deleted: the store cannot
// give two versions, and this one never mixes them.
func (s *S3) Open(ctx context.Context, key string) (hls.Object, error) {
	if err := hls.CheckKey(key); err != nil {
		return nil, err
	}
	var o *object
	err := s.try(ctx, "reading "+key, func() (err error) {
		o, err = s.open(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

func (s *S3) open(ctx context.Context, key string) (*object, error) {
	body, info, _, err := s.client.GetObject(ctx, s.at.bucket, s.at.name(key), minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	if info.Size < 0 {
		body.Close()
		return nil, errors.New("the store does not say how long the object is")
	}
	o := &object{
		s: s, ctx: ctx, tag: info.ETag, body: body,
		info: hls.Info{Key: key, Size: info.Size, ModTime: info.LastModified, ETag: quoted(info.ETag)},
	}
	if info.Size > smallObject {
		return o, nil
	}
	defer body.Close()
	whole := make([]byte, info.Size)
	if _, err := io.ReadFull(body, whole); err != nil {
		return nil, fmt.Errorf("it broke off: %w", err)
	}
	o.body, o.small = nil, bytes.NewReader(whole)
	return o, nil
}

// An object reads from memory when it is small, else from a response, which is
// requested again when a read is not where it stands, or it broke off.
type object struct {
	s    *S3
	ctx  context.Context // of Open
	info hls.Info
	tag  string // without quotes

	small  *bytes.Reader
	offset int64         // of the next read
	body   io.ReadCloser // may be nil
	at     int64         // where body stands
	closed bool
}

func (o *object) Info() hls.Info { return o.info }

func (o *object) Close() error {
	o.closed = true
	o.drop()
	return nil
}

func (o *object) drop() {
	if o.body != nil {
		o.body.Close()
		o.body = nil
	}
}

var errClosed = errors.New("objects: read of an object that was closed")

func (o *object) Seek(offset int64, whence int) (int64, error) {
	if o.closed {
		return 0, errClosed
	}
	if o.small != nil {
		return o.small.Seek(offset, whence)
	}
	switch whence {
	case io.SeekCurrent:
		offset += o.offset
	case io.SeekEnd:
		offset += o.info.Size
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, fmt.Errorf("objects: seek in %s to %d: outside of it", o.info.Key, offset)
	}
	o.offset = offset // whoever asks for the size seeks to the end and back
	return offset, nil
}

func (o *object) Read(p []byte) (n int, err error) {
	switch {
	case o.closed:
		return 0, errClosed
	case o.small != nil:
		return o.small.Read(p)
	case len(p) == 0:
		return 0, nil
	case o.offset >= o.info.Size:
		return 0, io.EOF
	}
	err = o.s.try(o.ctx, "reading "+o.info.Key, func() (err error) {
		n, err = o.readOnce(p)
		return err
	})
	o.offset += int64(n)
	return n, err
}

// readOnce reads something, or drops the response, so that another attempt makes
// a new one.
func (o *object) readOnce(p []byte) (int, error) {
	if o.body == nil || o.at != o.offset {
		o.drop()
		if err := o.request(); err != nil {
			return 0, err
		}
	}
	n, err := io.ReadAtLeast(o.body, p[:min(int64(len(p)), o.info.Size-o.offset)], 1)
	o.at += int64(n)
	if err != nil {
		o.drop()
	}
	if n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("it broke off: %w", err)
}

func (o *object) request() error {
	var options minio.GetObjectOptions
	options.Set("Range", fmt.Sprintf("bytes=%d-", o.offset))
	if err := options.SetMatchETag(o.tag); err != nil {
		return err
	}
	body, info, header, err := o.s.client.GetObject(o.ctx, o.s.at.bucket, o.s.at.name(o.info.Key), options)
	if err != nil {
		return err
	}
	whole := o.offset == 0 && header.Get("Content-Range") == ""
	if info.ETag != o.tag || !whole && !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", o.offset)) {
		body.Close()
		if info.ETag != o.tag {
			return errChanged
		}
		return errNoRange
	}
	o.body, o.at = body, o.offset
	return nil
}
