package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
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
	f.DurationVar(&c.NodePatience, "node-patience", c.NodePatience, "another daemon of which neither Redis nor the database heard for this `time` is given up, its lives are lost")
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

// isSecret tells whether a setting may hold a password.
func isSecret(flagName string) bool { return strings.HasSuffix(flagName, "-url") }

// noFlags is for commands that add none.
func noFlags(*flag.FlagSet) {}

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
