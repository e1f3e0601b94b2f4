package endings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	extension = ".json"
	// damaged is added to the name of a file that cannot be read, for a person to
	// look at.
	damaged = ".damaged"
	// half is added to the name of a file that is being written.
	half = ".half"
)

var _ station.Endings = (*Folder)(nil)

// A Folder is a [station.Endings] that belongs to one process. Its methods may be
// called at the same time, for different lives.
type Folder struct {
	root *os.Root
}

// Open opens the folder at path, making it (for its owner alone) if need be.
// Close releases it.
func Open(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("endings: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("endings: %w", err)
	}
	return &Folder{root}, nil
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Save implements [station.Endings]. The id must be a uuid.
func (f *Folder) Save(liveID string, e station.End) error {
	name, err := fileName(liveID)
	if err == nil {
		err = f.save(name, e)
	}
	if err != nil {
		return fmt.Errorf("endings: keeping the end of live %q: %w", liveID, err)
	}
	return nil
}

func (f *Folder) save(name string, e station.End) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := f.write(name+half, text); err != nil {
		return err
	}
	if err := f.root.Rename(name+half, name); err != nil {
		return err
	}
	folder, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func (f *Folder) write(name string, text []byte) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// Load implements [station.Endings]. A file that cannot be read is renamed, with
// an error once. What a process that died had half written is removed.
func (f *Folder) Load() (map[string]station.End, error) {
	files, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("endings: %w", err)
	}
	ends := make(map[string]station.End)
	var errs []error
	for _, file := range files {
		name := file.Name()
		if strings.HasSuffix(name, extension+half) {
			errs = append(errs, f.root.Remove(name))
		}
		id, ours := strings.CutSuffix(name, extension)
		if !ours {
			continue
		}
		e, err := f.read(id)
		if err != nil {
			errs = append(errs, fmt.Errorf("endings: %s is set aside as %s: %w", name, name+damaged, err), f.root.Rename(name, name+damaged))
			continue
		}
		ends[id] = e
	}
	return ends, errors.Join(errs...)
}

func (f *Folder) read(liveID string) (e station.End, err error) {
	name, err := fileName(liveID)
	if err != nil {
		return e, err
	}
	text, err := f.root.ReadFile(name)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, err
	}
	if e.At.IsZero() || e.State != station.Ended && e.State != station.Lost {
		return e, errors.New("it does not say when and how a live ended")
	}
	return e, nil
}

// Delete implements [station.Endings]. After the machine has gone down a file may
// be there again: to write an end once more changes nothing.
func (f *Folder) Delete(liveID string) error {
	name, err := fileName(liveID)
	if err == nil {
		err = f.root.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("endings: forgetting the end of live %q: %w", liveID, err)
	}
	return nil
}

// fileName keeps ids from being paths.
func fileName(liveID string) (string, error) {
	if len(liveID) != len(uuid.Nil.String()) || uuid.Validate(liveID) != nil {
		return "", errors.New("its id is not a uuid")
	}
	return liveID + extension, nil
}
