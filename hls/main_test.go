package hls

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares got with a file in testdata, or rewrites the file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to make it", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what it was; if that is meant, run the test with -update\n%s", path, diff(want, got))
	}
}

// diff shows the text, or where binary data first differs.
func diff(want, got []byte) string {
	if len(got) < 4000 && len(got) > 0 && got[0] == '#' {
		return "got:\n" + string(got) + "want:\n" + string(want)
	}
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	return fmt.Sprintf("first difference at byte %d of %d, the file has %d", i, len(got), len(want))
}
