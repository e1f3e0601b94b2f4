package main

import (
	"go/build"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/roadwave/roadwave/"

// directions says what a folder and those below it may import of this module.
var directions = []struct {
	folder string
	allows []string // folders of this module, besides itself
}{
	{"media", nil},
	{"media/whip", []string{"media"}},
	{"media/opus", []string{"media"}},
	{"media/aac", []string{"media", "media/transcode"}},
	{"media/transcode", []string{"media", "media/opus"}},
	{"media/loudness", []string{"media"}},
	{"media/mediatest", []string{"media", "media/opus"}},
	{"hls", []string{"media"}},
	{"opusrec", []string{"media"}},
	{"replay", []string{"media", "media/loudness", "hls", "opusrec"}},
	{"roadwaved/internal/loopback", nil},
	{"roadwaved/internal/disk", nil},
	{"roadwaved/internal/station", nil},
	{"roadwaved/internal/sqlite", []string{"roadwaved/internal/station"}},
	{"roadwaved/internal/postgres", []string{"roadwaved/internal/station"}},
	{"roadwaved/internal/objects", []string{"roadwaved/internal/station", "roadwaved/internal/loopback", "hls"}},
	{"roadwaved/internal/archive", []string{"roadwaved/internal/station", "roadwaved/internal/disk", "hls"}},
	{"roadwaved/internal/endings", []string{"roadwaved/internal/station"}},
	{"roadwaved/internal/janitor", []string{"roadwaved/internal/station", "hls"}},
	{"roadwaved/internal/auth", []string{"roadwaved/internal/station", "roadwaved/internal/loopback"}},
	{"roadwaved/deploy", nil},
	{"roadwaved/internal/redis", []string{"roadwaved/internal/station"}},
	{"roadwaved/internal/api", []string{"roadwaved/internal/station", "roadwaved/internal/auth", "roadwaved/internal/loopback"}},
	{"roadwaved/internal/web", []string{"roadwaved/internal/station"}},
	{"roadwaved/internal/onair", []string{"roadwaved/internal/station", "media", "hls", "opusrec"}},
	{"roadwaved/internal/relive", []string{"roadwaved/internal/station", "roadwaved/internal/disk", "hls", "opusrec", "replay"}},
}

// owners says who alone may import a library, by its prefix; a space ends the name
// of one that is alone.
var owners = map[string][]string{
	"github.com/pion/":            {"media/whip"},
	"github.com/tphakala/go-opus": {"media/opus"},
	"github.com/tphakala/go-aac":  {"media/aac"},
	"github.com/bluenviron/":      {"hls", "examples"},
	"modernc.org/sqlite":          {"roadwaved/internal/sqlite"},
	"database/sql":                {"roadwaved/internal/sqlite", "roadwaved/internal/postgres"},
	"github.com/pressly/goose":    {"roadwaved/internal/sqlite", "roadwaved/internal/postgres"},
	"github.com/jackc/":           {"roadwaved/internal/postgres"},
	"github.com/minio/":           {"roadwaved/internal/objects"},
	"github.com/golang-jwt/":      {"roadwaved/internal/auth"},
	"github.com/MicahParks/":      {"roadwaved/internal/auth"},
	"github.com/redis/":           {"roadwaved/internal/redis"},
	"github.com/hibiken/asynq":    {"roadwaved/internal/redis"},
	"github.com/alicebob/":        {"roadwaved/internal/redis"},
	"github.com/danielgtaylor/":   {"roadwaved/internal/api"},
	"os/exec": {"replay", "media/mediatest", "examples",
		"roadwaved/deploy", "roadwaved/internal/redis/redistest", "roadwaved/internal/postgres/postgrestest", "roadwaved/internal/objects/objectstest"},
	"net ": {"media/whip", "media/mediatest", "roadwaved", "roadwaved/internal/api", "roadwaved/internal/postgres", "roadwaved/internal/redis",
		"roadwaved/internal/objects", "roadwaved/deploy", "examples"},
	"net/http": {"media/whip", "hls", "roadwaved", "roadwaved/internal/api", "roadwaved/internal/web", "roadwaved/internal/onair", "roadwaved/internal/auth",
		"roadwaved/internal/objects", "roadwaved/deploy", "examples"},
}

// wiring is the one package that may know everything; stackProgram starts the servers
// that the tests of all adapters start.
const (
	wiring       = "roadwaved"
	stackProgram = "roadwaved/deploy/stack"
)

func TestImportDirections(t *testing.T) {
	packages := 0
	walk(t, func(folder string, imports []string) {
		packages++
		for _, imp := range imports {
			if inner, ok := strings.CutPrefix(imp, module); ok {
				checkInner(t, folder, inner)
				continue
			}
			if folder == "media" && strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("media imports %s, it promises the standard library only", imp)
			}
			for library, allowed := range owners {
				if strings.HasPrefix(imp+" ", library) && !slices.ContainsFunc(allowed, func(a string) bool { return below(folder, a) }) {
					t.Errorf("%s imports %s, which belongs to %s", folder, imp, strings.Join(allowed, ", "))
				}
			}
		}
	})
	if packages < 10 {
		t.Fatalf("only %d packages found", packages)
	}
}

func checkInner(t *testing.T, folder, inner string) {
	if folder == wiring || folder == stackProgram || strings.HasPrefix(folder, "examples/") {
		return
	}
	support := strings.HasSuffix(folder, "test")
	if folder == "media" || strings.HasSuffix(inner, "test") && !support {
		t.Errorf("%s imports %s: media is below everything, and support for tests is for tests", folder, inner)
		return
	}
	for _, d := range slices.Backward(directions) {
		if folder != d.folder && !strings.HasPrefix(folder, d.folder+"/") {
			continue
		}
		if support && inner == "media/mediatest" {
			return // support for tests, by name
		}
		if inner != d.folder && !strings.HasPrefix(inner, d.folder+"/") && !slices.Contains(d.allows, inner) {
			t.Errorf("%s imports %s, but may import only %s", folder, inner, strings.Join(d.allows, ", "))
		}
		return
	}
	t.Errorf("%s has no rule: say in this test what it may import", folder)
}

// below tells whether folder is a or in it; the wiring package stands for
// itself only.
func below(folder, a string) bool {
	return folder == a || a != wiring && strings.HasPrefix(folder, a+"/")
}

// walk visits every package of the module with the imports of its program
// files, tests left out: those may use whatever proves most.
func walk(t *testing.T, visit func(folder string, imports []string)) {
	err := filepath.WalkDir("..", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); name != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "roadwave-data") {
			return filepath.SkipDir
		}
		p, err := build.ImportDir(dir, 0)
		if _, empty := err.(*build.NoGoError); empty {
			return nil
		}
		if err != nil {
			return err
		}
		folder, err := filepath.Rel("..", dir)
		if err != nil {
			return err
		}
		visit(path.Clean(filepath.ToSlash(folder)), p.Imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
