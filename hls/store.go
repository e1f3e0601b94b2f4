package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
	"time"
)

// A Store keeps objects under slash-separated keys. The content type follows
// from the extension of the key ([ContentType]).
//
// All methods are safe for concurrent use and refuse a key for which
// [CheckKey] returns an error. hls/hlstest holds the suite that every Store
// must pass.
type Store interface {
	// Put stores what body holds from its start. It is atomic (a reader finds
	// the old object or the new one, whole) and durable when it returns nil.
	Put(ctx context.Context, key string, body io.ReadSeeker) error
	// Open returns the object, or an error that is [fs.ErrNotExist].
	Open(ctx context.Context, key string) (Object, error)
	// Delete removes the object. A key that is not there is no error.
	Delete(ctx context.Context, key string) error
	// List yields the objects whose key begins with prefix (any string, "" for
	// all), in no set order. After an error it stops.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// An Object is one stored object, open for reading. It stays what it was when
// it was opened, even if the key is overwritten or deleted meanwhile.
type Object interface {
	io.ReadSeekCloser
	Info() Info
}

// Info describes a stored object.
type Info struct {
	Key     string
	Size    int64 // bytes
	ModTime time.Time
	// ETag is a strong entity tag with its quotes (RFC 9110 §8.8.3). List may
	// leave it empty.
	ETag string
}

// ErrKey is what a [Store] returns, wrapped with the rule that was broken, for
// a key it does not accept.
var ErrKey = errors.New("hls: bad key")

const (
	maxKey     = 512 // bytes; object stores end at 1024, prefixes need room
	maxElement = 200 // bytes; file systems end at 255
)

// CheckKey reports whether key can name an object in any [Store]: relative,
// slash-separated, valid UTF-8 without control characters or backslashes, no
// element empty or beginning with a dot, at most 512 bytes, 200 per element.
func CheckKey(key string) error {
	switch {
	case !fs.ValidPath(key) || key == ".":
		return fmt.Errorf("%w %q: it must be a relative path like a/b.ts, without empty or dot elements", ErrKey, clip(key))
	case len(key) > maxKey:
		return fmt.Errorf("%w %q: it is longer than %d bytes", ErrKey, clip(key), maxKey)
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return fmt.Errorf("%w %q: it has a control character or a backslash", ErrKey, clip(key))
	}
	for element := range strings.SplitSeq(key, "/") {
		if element[0] == '.' || len(element) > maxElement {
			return fmt.Errorf("%w %q: an element begins with a dot or is longer than %d bytes", ErrKey, clip(key), maxElement)
		}
	}
	return nil
}

// clip keeps a stranger's key from filling a log line.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// contentTypes are the media this package makes, and the MP3 that is published
// beside them. Nothing else is served.
var contentTypes = map[string]string{
	".m3u8": "application/vnd.apple.mpegurl",
	".ts":   "video/mp2t",
	".mp4":  "audio/mp4",
	".mp3":  "audio/mpeg",
}

// ContentType is the media type of the object that key names, by its
// extension, or application/octet-stream.
func ContentType(key string) string {
	extension := path.Ext(key)
	if t, ok := contentTypes[extension]; ok {
		return t
	}
	if extension == ".opus" || extension == ".ogg" { // recordings and their backups
		return "audio/ogg"
	}
	return "application/octet-stream"
}

func notExist(key string) error {
	return fmt.Errorf("hls: object %q: %w", key, fs.ErrNotExist)
}
