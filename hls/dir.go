package hls

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tempPrefix begins the names of files being written. No key can begin so.
const tempPrefix = ".put-"

// staleTemp is the age from which a temporary file counts as left behind by a
// process that died. Another process may share the directory, so it is long.
const staleTemp = time.Hour

// A Dir is a [Store] in a directory: one file per object, at the key's path.
// Several processes may share it.
type Dir struct {
	root   *os.Root
	noSync bool
}

// NewDir opens the directory at path, making it if need be, and removes what
// processes that died left half-written. Close releases it.
func NewDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("hls: directory store: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("hls: directory store: %w", err)
	}
	d := &Dir{root: root}
	if err := d.sweep(time.Now().Add(-staleTemp)); err != nil {
		return nil, errors.Join(fmt.Errorf("hls: directory store: %w", err), root.Close())
	}
	return d, nil
}

// WithoutSync returns the same store with a Put that is atomic but not
// durable: it leaves out the two fsyncs. That is for live windows, which are
// worth nothing after the machine has gone down, on slow disks. Close either of the
// two, once.
func (d *Dir) WithoutSync() *Dir { return &Dir{root: d.root, noSync: true} }

// Close releases the directory. Objects that are open stay readable.
func (d *Dir) Close() error { return d.root.Close() }

func (d *Dir) sweep(before time.Time) error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			if err := d.root.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Put implements [Store] by writing a temporary file, syncing it and renaming
// it into place.
func (d *Dir) Put(ctx context.Context, key string, body io.ReadSeeker) (err error) {
	if err := CheckKey(key); err != nil {
		return err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("hls: put %q: %w", key, err)
	}
	temp := tempPrefix + rand.Text()
	defer func() {
		if err != nil {
			err = fmt.Errorf("hls: put %q: %w", key, err)
			if e := d.root.Remove(temp); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	if err := d.writeTemp(ctx, temp, body); err != nil {
		return err
	}
	return d.moveIn(temp, key)
}

func (d *Dir) writeTemp(ctx context.Context, temp string, body io.Reader) error {
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, contextReader{ctx, body})
	if err == nil && !d.noSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return ctx.Err()
}

// moveIn renames the finished file to its place. A Delete may take away the
// parent it just emptied between making it and the rename, so it tries again.
func (d *Dir) moveIn(temp, key string) error {
	parent := path.Dir(key)
	for attempt := 0; ; attempt++ {
		top, err := d.makeParent(parent)
		if err != nil {
			return err
		}
		err = d.root.Rename(temp, key)
		if err == nil {
			return d.syncUp(parent, top)
		}
		if !errors.Is(err, fs.ErrNotExist) || attempt == 10 {
			return err
		}
	}
}

// makeParent makes the missing directories down to dir and gives the deepest
// one that was there before.
func (d *Dir) makeParent(dir string) (existing string, err error) {
	existing = dir
	for existing != "." {
		if _, err := d.root.Stat(existing); err == nil {
			break
		}
		existing = path.Dir(existing)
	}
	if existing == dir {
		return existing, nil
	}
	return existing, d.root.MkdirAll(dir, 0o755)
}

// syncUp makes the entries of dir durable, and those of its parents up to top.
func (d *Dir) syncUp(dir, top string) error {
	if d.noSync {
		return nil
	}
	for {
		f, err := d.root.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile, the object with it
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		if dir == top {
			return nil
		}
		dir = path.Dir(dir)
	}
}

// Open implements [Store].
func (d *Dir) Open(ctx context.Context, key string) (Object, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok && notThere(err) {
			return nil, notExist(key)
		}
		return nil, fmt.Errorf("hls: open %q: %w", key, err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = notExist(key)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return dirObject{File: f, info: fileInfo(key, info)}, nil
}

// Delete implements [Store]. It also removes the directories that it leaves
// empty.
func (d *Dir) Delete(ctx context.Context, key string) error {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return err
	}
	info, err := d.root.Lstat(key)
	if err == nil && info.IsDir() {
		return nil // a prefix of other keys, no object
	}
	if err == nil {
		err = d.root.Remove(key)
	}
	if err != nil && !notThere(err) {
		return fmt.Errorf("hls: delete %q: %w", key, err)
	}
	for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
		if d.root.Remove(dir) != nil {
			break // it still holds something
		}
	}
	return nil
}

// List implements [Store].
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		start := "."
		if i := strings.LastIndexByte(prefix, '/'); i > 0 {
			start = prefix[:i]
		}
		if !fs.ValidPath(start) {
			return // no key begins so
		}
		stop := errors.New("stop")
		err := fs.WalkDir(d.root.FS(), start, func(key string, e fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil && notThere(err):
				return nil // deleted while listing
			case err != nil:
				return err
			case e.IsDir():
				if key != "." && !strings.HasPrefix(key+"/", prefix) && !strings.HasPrefix(prefix, key+"/") {
					return fs.SkipDir
				}
				return nil
			case CheckKey(key) != nil || !strings.HasPrefix(key, prefix):
				return nil
			}
			info, err := e.Info()
			if err != nil {
				return nil // deleted while listing
			}
			if !yield(fileInfo(key, info), nil) {
				return stop
			}
			return nil
		})
		if err != nil && err != stop {
			yield(Info{}, fmt.Errorf("hls: list %q: %w", clip(prefix), err))
		}
	}
}

// notThere also counts a path below a file: there is no such object.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

type dirObject struct {
	*os.File
	info Info
}

func (o dirObject) Info() Info { return o.info }

func fileInfo(key string, info fs.FileInfo) Info {
	tag := strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36)
	return Info{Key: key, Size: info.Size(), ModTime: info.ModTime(), ETag: `"` + tag + `"`}
}

// contextReader ends a copy soon after its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
