package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
)

// Config is all that can be set. Its defaults are defaultConfig; a
// ROADWAVE_* variable beats a default, a flag beats a variable.
type Config struct {
	Listen      string
	AdminListen string
	Data        string
	PublicURL   string
	Proxies     []netip.Prefix

	DatabaseURL string
	RedisURL    string
	StorageURL  string
	NodeURL     string

	NodePatience time.Duration

	MediaUDP     string
	MediaHost    []string
	ICEServers   []string
	TURNUsername string
	TURNPassword string
	NoticeAfter  time.Duration
	EndAfter     time.Duration

	MaxLives int

	MaxLivesPerCreator int

	Ladder string
	Auth   string

	AuthAudience string
	AuthIssuer   string

	PerAddress perAddress

	Workers          int
	FFmpeg           string
	SilenceThreshold float64

	CleanAt        time.Duration
	RawRetention   time.Duration
	AuditRetention time.Duration

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

		MaxLivesPerCreator: 3,

		Ladder:  "auto",
		Auth:    "open",
		Workers: 1,

		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},

		NodePatience: 90 * time.Second,
		PerAddress:   perAddress{Listeners: 200, Reactors: 100, Joins: 600, Beats: 100_000, Reactions: 300, Publishes: 30, Streams: 2000},

		CleanAt:        3 * time.Hour,
		RawRetention:   7 * 24 * time.Hour,
		AuditRetention: 90 * 24 * time.Hour,

		LogFormat: "text",
		LogLevel:  slog.LevelInfo,
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
	f.StringVar(&c.AdminListen, "admin-listen", c.AdminListen, "operators' HTTP `address`: health, jobs, audit, pprof; a worker takes a free port unless told")
	f.StringVar(&c.Data, "data", c.Data, "`folder` of recordings, database and objects")
	f.StringVar(&c.PublicURL, "public-url", c.PublicURL, "`URL` that listeners use (default: from each request)")
	f.Var((*prefixes)(&c.Proxies), "trusted-proxies", "`networks` whose X-Forwarded-For is believed, separated by commas")
	f.StringVar(&c.DatabaseURL, "database-url", c.DatabaseURL, "`URL` of PostgreSQL, postgres://… (default: SQLite in --data)")
	f.StringVar(&c.RedisURL, "redis-url", c.RedisURL, "`URL` of Redis, redis://…, also of a cluster or sentinels (default: in this process)")
	f.StringVar(&c.StorageURL, "storage-url", c.StorageURL, "`URL` of the object store, s3://bucket/prefix?endpoint=…&region=… (default: a folder in --data)")
	f.StringVar(&c.NodeURL, "node-url", c.NodeURL, "`URL` at which other daemons reach --listen of this one (default: --listen at the address from which it reaches the database)")
	f.DurationVar(&c.NodePatience, "node-patience", c.NodePatience, "another daemon not heard of for this `time` is given up, its lives are lost")
	f.StringVar(&c.MediaUDP, "media-udp", c.MediaUDP, "`address` of the one UDP and TCP port of all lives")
	f.Var((*list)(&c.MediaHost), "media-host", "public `host` of that port, several separated by commas (default: found)")
	f.Var((*list)(&c.ICEServers), "ice-servers", "stun: and turn: `URLs`, separated by commas")
	f.DurationVar(&c.NoticeAfter, "notice-after", c.NoticeAfter, "a creator whose sound stops for this `time` counts as stalled")
	f.DurationVar(&c.EndAfter, "end-after", c.EndAfter, "a live without any sound for this `time` ends")
	f.IntVar(&c.MaxLives, "max-lives", c.MaxLives, "`number` of lives at the same time, 1 or more")
	f.IntVar(&c.MaxLivesPerCreator, "max-lives-per-creator", c.MaxLivesPerCreator, "`number` of lives of one creator at the same time, 0 for any")
	f.StringVar(&c.Ladder, "ladder", c.Ladder, "when the AAC renditions are made, a `mode`: ondemand, always, or auto (always with --storage-url)")
	f.StringVar(&c.Auth, "auth", c.Auth, "`who` may go live: open (anybody; only on loopback), hs256:FILE or jwks:URL")
	f.StringVar(&c.AuthAudience, "auth-audience", c.AuthAudience, "`name` that must be among a token's aud (default: any)")
	f.StringVar(&c.AuthIssuer, "auth-issuer", c.AuthIssuer, "`name` that must be a token's iss (default: any)")
	f.Var(&c.PerAddress, "per-address", "`limits` for one network address, 0 for none: listeners and reactors on one live; joins, heartbeats, reactions and attempts to publish per minute; event streams")
	f.IntVar(&c.Workers, "workers", c.Workers, "`number` of replays made at the same time, 0 for none")
	f.StringVar(&c.FFmpeg, "ffmpeg", c.FFmpeg, "`path` of ffmpeg (default: ffmpeg in PATH)")
	f.Float64Var(&c.SilenceThreshold, "silence-threshold", c.SilenceThreshold, "`dBFS` below which a replay's sound is silence (default: adapts to the recording)")
	f.Var((*clock)(&c.CleanAt), "clean-at", "`time` of day, UTC, of the daily cleaning, like 03:00")
	f.DurationVar(&c.RawRetention, "raw-retention", c.RawRetention, "`time` for which a recording is kept after its replay is published")
	f.DurationVar(&c.AuditRetention, "audit-retention", c.AuditRetention, "`time` for which the audit log is kept")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "`format`: text or json")
	f.TextVar(&c.LogLevel, "log-level", c.LogLevel, "`level`: debug, info, warn or error")
	return f
}

// envName is the variable that sets a flag.
func envName(flagName string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// parseAll is parse where nothing may be left of args.
func (c *Config) parseAll(args []string, getenv func(string) (string, bool), add func(*flag.FlagSet)) error {
	rest, err := c.parse(args, getenv, add)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q is not a setting; see roadwaved --help", rest[0])
	}
	return err
}

// parse reads the environment, then args, and gives what is left of args. A
// command adds flags of its own.
func (c *Config) parse(args []string, getenv func(string) (string, bool), add func(*flag.FlagSet)) (rest []string, err error) {
	f := c.flags(io.Discard)
	f.Usage = func() {}
	f.VisitAll(func(fl *flag.Flag) {
		value, ok := getenv(envName(fl.Name))
		if !ok {
			return
		}
		if e := fl.Value.Set(value); e != nil {
			if isSecret(fl.Name) {
				value = "…"
			}
			err = errors.Join(err, fmt.Errorf("%s=%q: %w", envName(fl.Name), value, e))
		}
	})
	if err != nil {
		return nil, err
	}
	add(f)
	c.TURNUsername, _ = getenv(turnUserEnv)
	c.TURNPassword, _ = getenv(turnPassEnv)
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w (roadwaved --help shows every setting, and what it looks like)", err)
	}
	return f.Args(), c.validate()
}

// noFlags is for commands that add none.
func noFlags(*flag.FlagSet) {}

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
			errs = append(errs, fmt.Errorf("--public-url (%s): want something like \"https://radio.example\", without a name, a password or a query", envName("public-url")))
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
	if c.MaxLivesPerCreator < 0 {
		bad("max-lives-per-creator", strconv.Itoa(c.MaxLivesPerCreator), "want 1 or more, or 0 for any number")
	}
	if c.Ladder != "ondemand" && c.Ladder != "always" && c.Ladder != "auto" {
		bad("ladder", c.Ladder, "want ondemand, always or auto")
	}
	if c.NodePatience < 30*time.Second || c.NodePatience > time.Hour {
		bad("node-patience", c.NodePatience.String(), "want 30s to 1h")
	}
	if c.RawRetention < 24*time.Hour {
		bad("raw-retention", c.RawRetention.String(), "want 24h or more")
	}
	if c.AuditRetention < 24*time.Hour {
		bad("audit-retention", c.AuditRetention.String(), "want 24h or more; the law and the mission say 2160h")
	}
	for _, service := range []struct{ name, value, want string }{
		{"database-url", c.DatabaseURL, "postgres://user:password@host:5432/database"},
		{"redis-url", c.RedisURL, "redis://host:6379/0"},
		{"storage-url", c.StorageURL, "s3://bucket/prefix?endpoint=https://…&region=…"},
		{"node-url", c.NodeURL, "http://10.0.0.5:8080"},
	} {
		if service.value != "" && !strings.Contains(service.value, "://") {
			// What was given may hold a password: it is not repeated.
			errs = append(errs, fmt.Errorf("--%s (%s) is not a URL: want something like %s", service.name, envName(service.name), service.want))
		}
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
	// What was given for auth may be the secret itself: it is not repeated.
	if method, err := auth.Parse(c.Auth); err != nil {
		errs = append(errs, fmt.Errorf("--auth (%s): want open, hs256:FILE or jwks:URL: %w", envName("auth"), err))
	} else if _, _, aerr := net.SplitHostPort(c.AdminListen); aerr == nil && method.Kind == auth.OpenMode && !isLoopback(c.AdminListen) {
		errs = append(errs, c.tooOpen("admin-listen", c.AdminListen))
	}
	return errors.Join(errs...)
}

// validateOpen refuses to let everybody go live who can reach the public
// listener from elsewhere, directly or through a proxy.
func (c *Config) validateOpen() error {
	if c.Auth != auth.OpenMode {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Listen); err == nil && !isLoopback(c.Listen) {
		return c.tooOpen("listen", c.Listen)
	}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Host != "" && !isLoopback(net.JoinHostPort(u.Hostname(), "0")) {
		return c.tooOpen("public-url", u.Scheme+"://"+u.Host)
	}
	return nil
}

// tooOpen says that a setting lets strangers in.
func (c *Config) tooOpen(name, value string) error {
	return fmt.Errorf("--%s (%s) is %q: with --auth open anybody who reaches it is let in; "+
		"set --auth (%s) to hs256:FILE or jwks:URL, or use a loopback address like 127.0.0.1:8080",
		name, envName(name), value, envName("auth"))
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= 65535
}

// isSecret tells whether a setting may hold a password.
func isSecret(flagName string) bool { return strings.HasSuffix(flagName, "-url") }

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
		if a.Value.Kind() == slog.KindDuration { // as people write it, in JSON too
			a.Value = slog.StringValue(inShort(a.Value.Duration()))
		}
		return a
	}}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, opts))
	}
	return slog.New(slog.NewTextHandler(out, opts))
}

// inShort is a time without what nobody wants to know of it.
func inShort(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

// environ is the environment of this process.
func environ(name string) (string, bool) { return os.LookupEnv(name) }
