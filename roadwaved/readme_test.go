package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's Go compiles, inside a function whose errors are handled.
func TestReadmeCompiles(t *testing.T) {
	readme := readReadme(t)
	block := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no Go in it")
	}
	program := `package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/opusrec"
)

func main() {
` + block[1] + `
	_ = err
}
`
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, "readme", "main.go"): file}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", list, "-o", os.DevNull, "./readme")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("the README's Go: %v\n%s", err, out)
	}
}

// What the README tells to type and to look at exists.
func TestReadmeTellsTheTruth(t *testing.T) {
	readme := readReadme(t)
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\s+make (\w+)`).FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(string(makefile), "\n"+m[1]+":") {
			t.Errorf("there is no `make %s`", m[1])
		}
	}
	for _, name := range []string{"internal/station", "internal/onair", "internal/relive", "internal/sqlite", "internal/redis", "internal/api", "internal/web", "imports_test.go", "../examples/demo", "../examples/live", "../examples/record", "../examples/replay", "../LICENSE"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
		if base := filepath.Base(name); !strings.Contains(readme, base) {
			t.Errorf("the README does not mention %s", base)
		}
	}
}

func readReadme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
