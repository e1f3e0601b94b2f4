package archive

import (
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/disk"
)

// watchDisk says once per minute that the disk fills up: lives are recorded onto
// it, and a store that is away keeps it from being emptied.
func (a *Archive) watchDisk() {
	free, known := disk.Free(a.cfg.Recordings)
	if !known || a.cfg.MinFree < 0 || free >= uint64(a.cfg.MinFree) || time.Since(a.warned) < time.Minute {
		return
	}
	a.warned = time.Now()
	waiting := a.Pending()
	a.cfg.Logger.Error("the disk of the recordings is almost full: make room, or the lives on air are not recorded to their end",
		"free", free, "folder", a.cfg.Recordings, "waiting", waiting.Recordings, "waiting_bytes", waiting.Bytes)
}
