package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

func parseConfig(args []string, getenv func(string) (string, bool)) (Config, error) {
	c := defaultConfig()
	err := cmp.Or(c.parseAll(args, getenv, noFlags), c.validateOpen())
	return c, err
}

// env makes a getenv of pairs.
func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestConfigPrecedence(t *testing.T) {
	c, err := parseConfig(nil, env())
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.MaxLives != 100 || c.EndAfter != 12*time.Second || c.Workers != 1 {
		t.Errorf("defaults are %+v", c)
	}
	c, err = parseConfig(
		[]string{"--max-lives", "7"},
		env("ROADWAVE_MAX_LIVES", "9", "ROADWAVE_END_AFTER", "1m", "ROADWAVE_MEDIA_HOST", "a.example, b.example", "ROADWAVE_LOG_LEVEL", "warn",
			"ROADWAVE_TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.7", "ROADWAVE_CLEAN_AT", "04:30"),
	)
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxLives != 7 || c.EndAfter != time.Minute || len(c.MediaHost) != 2 || c.MediaHost[1] != "b.example" || c.LogLevel != slog.LevelWarn ||
		len(c.Proxies) != 2 || c.Proxies[0].String() != "10.0.0.0/8" || c.Proxies[1].String() != "192.0.2.7/32" || c.CleanAt != 4*time.Hour+30*time.Minute {
		t.Errorf("got %+v", c)
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		env  []string
		want []string // all of them in the error
	}{
		"unknown flag":             {args: []string{"--no-such"}, want: []string{"no-such"}},
		"stray argument":           {args: []string{"--workers", "1", "now"}, want: []string{`"now" is not a setting`}},
		"not a number":             {env: []string{"ROADWAVE_MAX_LIVES", "many"}, want: []string{`ROADWAVE_MAX_LIVES="many"`}},
		"two at once":              {args: []string{"--max-lives", "0", "--ladder", "up"}, want: []string{"--max-lives (ROADWAVE_MAX_LIVES)", "--ladder", "ondemand, always or auto"}},
		"open on a public address": {args: []string{"--listen", "0.0.0.0:8080"}, want: []string{"--listen", "--auth open anybody", "hs256:FILE or jwks:URL", "ROADWAVE_AUTH", "127.0.0.1:8080"}},
		"open on every address":    {args: []string{"--listen", ":8080"}, want: []string{"--auth open anybody"}},
		"open below localhost":     {args: []string{"--listen", "radio.localhost:8080"}, want: []string{"--auth open anybody"}},
		"public admin":             {args: []string{"--admin-listen", "192.0.2.1:8081"}, want: []string{"--admin-listen", "hs256:FILE"}},
		"open behind a proxy":      {args: []string{"--public-url", "https://radio.example"}, want: []string{"--public-url", "https://radio.example", "hs256:FILE"}},
		"the secret itself":        {args: []string{"--auth", "hush-hush"}, want: []string{"hs256:FILE"}},
		"keys of no kind":          {args: []string{"--auth", "basic:key"}, want: []string{"open, hs256:FILE or jwks:URL"}},
		"keys without a place":     {args: []string{"--auth", "hs256:"}, want: []string{"hs256:FILE"}},
		"no proxy":                 {args: []string{"--trusted-proxies", "nginx"}, want: []string{`"nginx"`, "10.0.0.0/8"}},
		"no limit":                 {args: []string{"--per-address", "joins=many"}, want: []string{`"joins=many"`, "listeners=200,"}},
		"no time":                  {args: []string{"--clean-at", "25:00"}, want: []string{"03:00"}},
		"no URL":                   {env: []string{"ROADWAVE_DATABASE_URL", "host=db password=hush"}, want: []string{"--database-url", "postgres://"}},
		"short audit":              {args: []string{"--audit-retention", "1h"}, want: []string{"24h or more"}},
		"no port":                  {args: []string{"--media-udp", "localhost"}, want: []string{"--media-udp", "host:port"}},
		"public URL":               {args: []string{"--public-url", "radio.example"}, want: []string{"https://radio.example"}},
		"public URL with a name":   {args: []string{"--public-url", "https://ada:hush@radio.example"}, want: []string{"https://radio.example"}},
		"ICE server":               {args: []string{"--ice-servers", "stun.example"}, want: []string{"stun:stun.example:3478"}},
		"patience":                 {args: []string{"--notice-after", "20s"}, want: []string{"--end-after"}},
		"threshold":                {args: []string{"--silence-threshold", "3"}, want: []string{"dBFS"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig(tt.args, env(tt.env...))
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("%q tells a password", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	for name, tt := range map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"help":               {[]string{"help"}, 0, "--media-udp", ""},
		"--help":             {[]string{"--help"}, 0, "ROADWAVE_MAX_LIVES", ""},
		"serve --help":       {[]string{"serve", "-h"}, 0, "Signals:", ""},
		"version":            {[]string{"version"}, 0, "roadwaved", ""},
		"unknown command":    {[]string{"sing"}, 2, "", `"sing" is not a command`},
		"wrong setting":      {[]string{"--max-lives", "0"}, 2, "", "--max-lives"},
		"lone worker":        {[]string{"worker", "--redis-url", "redis://h"}, 2, "", "--database-url (ROADWAVE_DATABASE_URL)"},
		"jobs what":          {[]string{"jobs", "sing"}, 2, "", `"sing" is not known`},
		"jobs retry what":    {[]string{"jobs", "retry"}, 2, "", "say --all"},
		"clean what":         {[]string{"clean", "kitchen"}, 2, "", `"kitchen" is not a setting`},
		"migrate what":       {[]string{"migrate", "back"}, 2, "", `"back" is not a setting`},
		"recover --help":     {[]string{"recover", "--help"}, 0, "recover FILE...", ""},
		"recover a flag":     {[]string{"recover", "--all"}, 2, "", "-all"},
		"recover nothing":    {[]string{"recover"}, 2, "", "name one or more recordings"},
		"recover what isn't": {[]string{"recover", "/no/such/file.opus"}, 1, "", "/no/such/file.opus"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), tt.args, env(), &stdout, &stderr)
			if code != tt.code || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit %d\nstdout: %s\nstderr: %s", code, &stdout, &stderr)
			}
		})
	}
}

// Every flag is in the help text, with a usage and a variable of its own.
func TestEveryFlagIsExplained(t *testing.T) {
	var help bytes.Buffer
	printHelp(&help)
	for line := range strings.Lines(help.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > helpWidth {
			t.Errorf("a line of the help has %d characters: %s", n, line)
		}
	}
	c := defaultConfig()
	seen := map[string]bool{}
	c.flags(io.Discard).VisitAll(func(f *flag.Flag) {
		if f.Usage == "" || !strings.Contains(help.String(), "--"+f.Name+" ") || seen[envName(f.Name)] {
			t.Errorf("--%s: usage %q, variable %s", f.Name, f.Usage, envName(f.Name))
		}
		seen[envName(f.Name)] = true
	})
}

// Two daemons on one data folder would each think that the other's lives were
// cut by a crash.
func TestDataFolderIsLocked(t *testing.T) {
	data := t.TempDir()
	startDaemon(t, data)
	var stderr bytes.Buffer
	args := []string{"--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--media-udp", "127.0.0.1:0"}
	if code := run(context.Background(), args, env(), io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "in use by another roadwaved") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}

// What stood in tmp before the folder was given to us stays.
func TestForeignFilesStay(t *testing.T) {
	data := t.TempDir()
	ours, foreign := filepath.Join(data, "tmp", "replay-123"), filepath.Join(data, "tmp", "thesis")
	for _, folder := range []string{ours, foreign} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	startDaemon(t, data)
	if _, err := os.Stat(ours); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

// A second signal does not wait for what the first one waits for: here a request
// that never ends.
func TestSecondSignal(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /whip HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv"); err != nil {
		t.Fatal(err)
	}
	d.eventually("it ends", 30*time.Second, func() bool {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.done:
			return true
		default:
			return false
		}
	})
	if status := d.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
		t.Errorf("it ended with %v", status)
	}
}

// A port that is taken is named.
func TestPortTaken(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	var stderr bytes.Buffer
	args := []string{"--data", t.TempDir(), "--listen", strings.TrimPrefix(d.url, "http://"), "--admin-listen", "127.0.0.1:0", "--media-udp", "127.0.0.1:0"}
	if code := run(context.Background(), args, env(), io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "--listen: ") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}
