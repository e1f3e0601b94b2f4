package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"
)

// A Memory is a [Store] in memory, for tests, examples and programs that keep
// nothing.
type Memory struct {
	mu      sync.RWMutex
	objects map[string]memoryObject
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{objects: map[string]memoryObject{}} }

type memoryObject struct {
	info Info
	data []byte
}

// Put implements [Store].
func (m *Memory) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("hls: put %q: %w", key, err)
	}
	data, err := io.ReadAll(contextReader{ctx, body})
	if err != nil {
		return fmt.Errorf("hls: put %q: %w", key, err)
	}
	o := memoryObject{data: data, info: Info{Key: key, Size: int64(len(data)), ModTime: time.Now(), ETag: etag(data)}}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = o
	return nil
}

// Open implements [Store].
func (m *Memory) Open(ctx context.Context, key string) (Object, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	m.mu.RLock()
	o, ok := m.objects[key]
	m.mu.RUnlock()
	if !ok {
		return nil, notExist(key)
	}
	return memoryReader{bytes.NewReader(o.data), o.info}, nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		m.mu.RLock()
		objects := maps.Clone(m.objects)
		m.mu.RUnlock()
		for key, o := range objects {
			if err := ctx.Err(); err != nil {
				yield(Info{}, err)
				return
			}
			if strings.HasPrefix(key, prefix) && !yield(o.info, nil) {
				return
			}
		}
	}
}

type memoryReader struct {
	*bytes.Reader
	info Info
}

func (r memoryReader) Info() Info   { return r.info }
func (r memoryReader) Close() error { return nil }
