package mediatest

import (
	"os"
	"os/exec"
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
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name+" is not installed; `make tools` installs it")
	}
	return path
}

// Missing skips the test with a reason, or fails it where [RequireEnv] is 1.
func Missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
