package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/auth"
	"github.com/roadwave/roadwave/roadwaved/internal/loopback"
)

// A setting is what is set for a flag.
type setting struct{ name, value string }

// wrong says that a setting cannot work, and what would.
func wrong(name, value, want string) error {
	return fmt.Errorf("--%s (%s) is %q: %s", name, envName(name), value, want)
}

// validate names every setting that cannot work, always in the same order.
func (c *Config) validate() error {
	return errors.Join(slices.Concat(c.wrongAddresses(), c.wrongServices(), c.wrongLives(), c.wrongUpkeep())...)
}

func (c *Config) wrongAddresses() (errs []error) {
	for _, s := range []setting{{"listen", c.Listen}, {"admin-listen", c.AdminListen}, {"media-udp", c.MediaUDP}} {
		if _, port, err := net.SplitHostPort(s.value); err != nil || !isPort(port) {
			errs = append(errs, wrong(s.name, s.value, `want host:port or :port, like "127.0.0.1:8080"`))
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
			errs = append(errs, wrong("ice-servers", s, `want URLs like "stun:stun.example:3478"`))
		}
	}
	return errs
}

func (c *Config) wrongServices() (errs []error) {
	for _, s := range []struct {
		setting
		want string
	}{
		{setting{"database-url", c.DatabaseURL}, "postgres://user:password@host:5432/database"},
		{setting{"redis-url", c.RedisURL}, "redis://host:6379/0"},
		{setting{"storage-url", c.StorageURL}, "s3://bucket/prefix?endpoint=https://…&region=…"},
		{setting{"node-url", c.NodeURL}, "http://10.0.0.5:8080"},
	} {
		if s.value != "" && !strings.Contains(s.value, "://") {
			// What was given may hold a password: it is not repeated.
			errs = append(errs, fmt.Errorf("--%s (%s) is not a URL: want something like %s", s.name, envName(s.name), s.want))
		}
	}
	if c.NodePatience < 30*time.Second || c.NodePatience > time.Hour {
		errs = append(errs, wrong("node-patience", c.NodePatience.String(), "want 30s to 1h"))
	}
	// What was given for auth may be the secret itself: it is not repeated.
	if method, err := auth.Parse(c.Auth); err != nil {
		errs = append(errs, fmt.Errorf("--auth (%s): want open, hs256:FILE or jwks:URL: %w", envName("auth"), err))
	} else if host, _, aerr := net.SplitHostPort(c.AdminListen); aerr == nil && method.Kind == auth.OpenMode && !loopback.Is(host) {
		errs = append(errs, c.tooOpen("admin-listen", c.AdminListen))
	}
	return errs
}

func (c *Config) wrongLives() (errs []error) {
	if c.NoticeAfter < time.Second || c.NoticeAfter > time.Minute {
		errs = append(errs, wrong("notice-after", c.NoticeAfter.String(), "want 1s to 1m"))
	}
	if c.EndAfter < c.NoticeAfter || c.EndAfter > 10*time.Minute {
		errs = append(errs, wrong("end-after", c.EndAfter.String(), "want at least --notice-after and at most 10m"))
	}
	if c.MaxLives < 1 {
		errs = append(errs, wrong("max-lives", strconv.Itoa(c.MaxLives), "want 1 or more"))
	}
	if c.MaxLivesPerCreator < 0 {
		errs = append(errs, wrong("max-lives-per-creator", strconv.Itoa(c.MaxLivesPerCreator), "want 1 or more, or 0 for any number"))
	}
	if c.Ladder != "ondemand" && c.Ladder != "always" && c.Ladder != "auto" {
		errs = append(errs, wrong("ladder", c.Ladder, "want ondemand, always or auto"))
	}
	return errs
}

// wrongUpkeep is of what goes on beside lives: replays, cleaning, logs.
func (c *Config) wrongUpkeep() (errs []error) {
	if c.Workers < 0 || c.Workers > 64 {
		errs = append(errs, wrong("workers", strconv.Itoa(c.Workers), "want 0 to 64"))
	}
	if c.SilenceThreshold > 0 || c.SilenceThreshold < -100 {
		errs = append(errs, wrong("silence-threshold", fmt.Sprint(c.SilenceThreshold), "want dBFS from -100 up to 0; 0 adapts to the recording"))
	}
	if c.RawRetention < 24*time.Hour {
		errs = append(errs, wrong("raw-retention", c.RawRetention.String(), "want 24h or more"))
	}
	if c.AuditRetention < 24*time.Hour {
		errs = append(errs, wrong("audit-retention", c.AuditRetention.String(), "want 24h or more; the law and the mission say 2160h"))
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		errs = append(errs, wrong("log-format", c.LogFormat, "want text or json"))
	}
	return errs
}

// validateOpen refuses to let everybody go live who can reach the public
// listener from elsewhere, directly or through a proxy.
func (c *Config) validateOpen() error {
	if c.Auth != auth.OpenMode {
		return nil
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && !loopback.Is(host) {
		return c.tooOpen("listen", c.Listen)
	}
	if u, err := url.Parse(c.PublicURL); err == nil && u.Host != "" && !loopback.Is(u.Hostname()) {
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
