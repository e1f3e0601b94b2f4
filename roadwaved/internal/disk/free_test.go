package disk_test

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/disk"
)

func TestFree(t *testing.T) {
	folder := t.TempDir()
	if bytes, known := disk.Free(folder); known != (bytes > 0) || runtime.GOOS == "linux" && !known {
		t.Errorf("%d bytes, known: %v", bytes, known)
	}
	if bytes, known := disk.Free(filepath.Join(folder, "gone")); known || bytes != 0 {
		t.Errorf("a folder that is not there: %d bytes, known: %v", bytes, known)
	}
}
