package mediatest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// RequireEnv names the environment variable that turns a skip for want of an
// outside tool into a failure. CI sets it to 1: a tool that silently vanished
// there would leave us without proof.
const RequireEnv = "ROADWAVE_TEST_REQUIRE"

// Tool gives the path of an outside program, or skips the test where the
// machine has none (fails it where [RequireEnv] is 1).
func Tool(t testing.TB, name string) string {
	t.Helper()
	if path, ok := Find(name); ok {
		return path
	}
	Missing(t, name+" is not installed; `make tools` installs it")
	return ""
}

// Find looks for an outside program: in PATH, and where `make tools` puts what
// Debian has not, the folder .tools beside go.mod.
func Find(name string) (path string, ok bool) {
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			path, err := exec.LookPath(filepath.Join(dir, ".tools", name))
			return path, err == nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// Missing skips the test with a reason, or fails it where [RequireEnv] is 1.
func Missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
