package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config is all that can be set. Its defaults are defaultConfig; a
// ROADWAVE_* variable beats a default, a flag beats a variable.
type Config struct {
	Listen      string
	AdminListen string
	Data        string
	PublicURL   string

	MediaUDP     string
	MediaHost    []string
	ICEServers   []string
	TURNUsername string
	TURNPassword string
	NoticeAfter  time.Duration
	EndAfter     time.Duration

	MaxLives int
	Ladder   string
	Auth     string

	Workers          int
	FFmpeg           string
	SilenceThreshold float64

	LogFormat string
	LogLevel  slog.Level
}

func defaultConfig() Config {
	return Config{
		Listen:      "127.0.0.1:8080",
		AdminListen: "127.0.0.1:8081",
		Data:        "./roadwave-data",
		MediaUDP:    ":8189",
		NoticeAfter: 4 * time.Second,
		EndAfter:    12 * time.Second,
		MaxLives:    100,
		Ladder:      "ondemand",
		Auth:        "open",
		Workers:     1,
		LogFormat:   "text",
		LogLevel:    slog.LevelInfo,
	}
}

const (
	envPrefix = "ROADWAVE_"
	// What must not stand in a list of processes has a variable and no flag.
	turnUserEnv = envPrefix + "TURN_USERNAME"
	turnPassEnv = envPrefix + "TURN_PASSWORD"
)

// flags binds every setting to a flag whose default is what c holds now.
func (c *Config) flags(out io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("roadwaved", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&c.Listen, "listen", c.Listen, "public HTTP `address`: WHIP, API, media, pages")
	f.StringVar(&c.AdminListen, "admin-listen", c.AdminListen, "operators' HTTP `address`: health, pprof")
	f.StringVar(&c.Data, "data", c.Data, "`folder` of recordings, database and objects")
	f.StringVar(&c.PublicURL, "public-url", c.PublicURL, "`URL` that listeners use (default: from each request)")
	f.StringVar(&c.MediaUDP, "media-udp", c.MediaUDP, "`address` of the one UDP and TCP port of all lives")
	f.Var((*list)(&c.MediaHost), "media-host", "public `host` of that port, several separated by commas (default: found)")
	f.Var((*list)(&c.ICEServers), "ice-servers", "stun: and turn: `URLs`, separated by commas")
	f.DurationVar(&c.NoticeAfter, "notice-after", c.NoticeAfter, "a creator whose sound stops for this `time` counts as stalled")
	f.DurationVar(&c.EndAfter, "end-after", c.EndAfter, "a live without any sound for this `time` ends")
	f.IntVar(&c.MaxLives, "max-lives", c.MaxLives, "`number` of lives at the same time, 1 or more")
	f.StringVar(&c.Ladder, "ladder", c.Ladder, "when the AAC renditions are made, a `mode`: ondemand or always")
	f.StringVar(&c.Auth, "auth", c.Auth, "`who` may go live: open (anybody; only on loopback)")
	f.IntVar(&c.Workers, "workers", c.Workers, "`number` of replays made at the same time, 0 for none")
	f.StringVar(&c.FFmpeg, "ffmpeg", c.FFmpeg, "`path` of ffmpeg (default: ffmpeg in PATH)")
	f.Float64Var(&c.SilenceThreshold, "silence-threshold", c.SilenceThreshold, "`dBFS` below which a replay's sound is silence (default: adapts to the recording)")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "`format`: text or json")
	f.TextVar(&c.LogLevel, "log-level", c.LogLevel, "`level`: debug, info, warn or error")
	return f
}

// list is a flag of values separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = nil
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			*l = append(*l, v)
		}
	}
	return nil
}

// envName is the variable that sets a flag.
func envName(flagName string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// parseConfig reads the environment, then args. What is left of args is
// returned.
func parseConfig(args []string, getenv func(string) (string, bool), out io.Writer) (Config, error) {
	c := defaultConfig()
	f := c.flags(out)
	f.Usage = func() {}
	var err error
	f.VisitAll(func(fl *flag.Flag) {
		value, ok := getenv(envName(fl.Name))
		if !ok {
			return
		}
		if e := fl.Value.Set(value); e != nil {
			err = errors.Join(err, fmt.Errorf("%s=%q: %w", envName(fl.Name), value, e))
		}
	})
	if err != nil {
		return c, err
	}
	c.TURNUsername, _ = getenv(turnUserEnv)
	c.TURNPassword, _ = getenv(turnPassEnv)
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("%q is not a setting; see roadwaved --help", f.Arg(0))
	}
	return c, c.validate()
}

// validate names every setting that cannot work, and what would.
func (c *Config) validate() error {
	var errs []error
	bad := func(name, value, want string) {
		errs = append(errs, fmt.Errorf("--%s (%s) is %q: %s", name, envName(name), value, want))
	}
	for name, address := range map[string]string{"listen": c.Listen, "admin-listen": c.AdminListen, "media-udp": c.MediaUDP} {
		if _, port, err := net.SplitHostPort(address); err != nil || !isPort(port) {
			bad(name, address, `want host:port or :port, like "127.0.0.1:8080"`)
		}
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			bad("public-url", c.PublicURL, `want something like "https://radio.example"`)
		}
	}
	for _, s := range c.ICEServers {
		if scheme, rest, ok := strings.Cut(s, ":"); !ok || rest == "" || scheme != "stun" && scheme != "stuns" && scheme != "turn" && scheme != "turns" {
			bad("ice-servers", s, `want URLs like "stun:stun.example:3478"`)
		}
	}
	if c.NoticeAfter < time.Second || c.NoticeAfter > time.Minute {
		bad("notice-after", c.NoticeAfter.String(), "want 1s to 1m")
	}
	if c.EndAfter < c.NoticeAfter || c.EndAfter > 10*time.Minute {
		bad("end-after", c.EndAfter.String(), "want at least --notice-after and at most 10m")
	}
	if c.MaxLives < 1 {
		bad("max-lives", strconv.Itoa(c.MaxLives), "want 1 or more")
	}
	if c.Ladder != "ondemand" && c.Ladder != "always" {
		bad("ladder", c.Ladder, "want ondemand or always")
	}
	if c.Workers < 0 || c.Workers > 64 {
		bad("workers", strconv.Itoa(c.Workers), "want 0 to 64")
	}
	if c.SilenceThreshold > 0 || c.SilenceThreshold < -100 {
		bad("silence-threshold", fmt.Sprint(c.SilenceThreshold), "want dBFS from -100 up to 0; 0 adapts to the recording")
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		bad("log-format", c.LogFormat, "want text or json")
	}
	if c.Auth != "open" {
		bad("auth", c.Auth, "want open; keys for creators are not there yet")
	} else if !isLoopback(c.Listen) {
		errs = append(errs, fmt.Errorf("--listen (%s) is %q: with --auth open anybody who reaches it may go live, so it must be a loopback address like 127.0.0.1:8080", envName("listen"), c.Listen))
	}
	if !isLoopback(c.AdminListen) {
		errs = append(errs, fmt.Errorf("--admin-listen (%s) is %q: it has no password, so it must be a loopback address like 127.0.0.1:8081", envName("admin-listen"), c.AdminListen))
	}
	return errors.Join(errs...)
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= 65535
}

// isLoopback tells whether an address can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// logger writes logs to out as the config says.
func (c *Config) logger(out io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "session" { // package whip does not know that its sessions are lives
			a.Key = "live_id"
		}
		return a
	}}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, opts))
	}
	return slog.New(slog.NewTextHandler(out, opts))
}

var _ flag.Value = (*list)(nil)

// environ is the environment of this process.
func environ(name string) (string, bool) { return os.LookupEnv(name) }
