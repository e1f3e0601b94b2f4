package relive

import (
	"fmt"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/disk"
)

// mp3Rate is what a second of a replay takes while it is made, in bytes.
const mp3Rate = 256_000 / 8

// enough checks that a folder has room for a recording, its repaired copy and the
// MP3 that is made of it.
func enough(folder string, size int64, d time.Duration) error {
	has, known := disk.Free(folder)
	need := uint64(max(0, 2*size)) + uint64(max(0, d.Seconds()))*mp3Rate
	if known && has < need {
		return &lack{"disk space", fmt.Errorf("making this replay needs %d MB in %s, it has %d MB: free some or set another folder for temporary files",
			need/1e6+1, folder, has/1e6)}
	}
	return nil
}
