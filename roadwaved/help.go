package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

const helpIntro = `roadwaved: live radio from a phone, in one binary.

  roadwaved [serve] [flags]        go on air: studio, player, API, replays
  roadwaved worker [flags]         make replays only, anywhere
  roadwaved migrate [flags]        bring the tables of the database up to date
  roadwaved jobs [list] [flags]    replays that are not made yet, or failed
                                   (--all: those that are made, too;
                                   --json: for programs)
  roadwaved jobs retry [flags] ID  have failed ones made again (--all: all)
  roadwaved clean [flags]          do the daily cleaning now (--dry-run: list)
  roadwaved recover FILE...        make recordings whole after a crash
  roadwaved version                which version this is
  roadwaved help                   this text

Without flags it serves on loopback only and keeps everything in
./roadwave-data: open http://127.0.0.1:8080/studio and speak.
Replays need ffmpeg 5.0 or newer in PATH. With --database-url, --redis-url
and --storage-url it is one of several daemons and workers of one house.

Every setting has a flag and a variable; the flag wins:

`

const helpOutro = `
  %s, %s
        name and password for the turn: servers (variables only, so that
        they do not show in a list of processes)
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a file of credentials
        for the object store

URLs that hold a password are better set by their variables, for the same
reason; no log ever shows one.

Signals: SIGTERM or Ctrl-C ends lives properly (last segment, recording
closed), puts a running replay back to be made at the next start, and exits.
A second one ends the program where it stands; the next start repairs that.
Exit codes: 0 fine, 1 something failed, 2 a setting cannot be used.
`

// helpGroups puts the settings in the order in which people ask for them.
var helpGroups = []struct {
	title string
	flags []string
}{
	{"Where it listens and keeps things", []string{"listen", "admin-listen", "public-url", "trusted-proxies", "data"}},
	{"Several daemons and workers", []string{"database-url", "redis-url", "storage-url", "node-url", "node-patience"}},
	{"Creators, listeners and their network", []string{"auth", "auth-audience", "auth-issuer", "max-lives", "max-lives-per-creator", "per-address", "media-udp", "media-host", "ice-servers", "notice-after", "end-after"}},
	{"Live and replay", []string{"ladder", "workers", "ffmpeg", "silence-threshold"}},
	{"Daily cleaning", []string{"clean-at", "raw-retention", "audit-retention"}},
	{"Logs", []string{"log-format", "log-level"}},
}

// plain drops what Go shows of durations and levels that people do not write.
func plain(value string) string {
	if strings.HasSuffix(value, "m0s") {
		value = strings.TrimSuffix(value, "0s")
	}
	if strings.HasSuffix(value, "h0m") {
		value = strings.TrimSuffix(value, "0m")
	}
	if value == strings.ToUpper(value) {
		return strings.ToLower(value)
	}
	return value
}

// helpWidth is how many characters a line of the help may have.
const helpWidth = 80

// wrap cuts a text into lines between words.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// printHelp writes what --help shows, made from the flags themselves.
func printHelp(w io.Writer) {
	fmt.Fprint(w, helpIntro)
	c := defaultConfig()
	flags := c.flags(io.Discard)
	for _, group := range helpGroups {
		fmt.Fprintf(w, "%s:\n", group.title)
		table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for _, name := range group.flags {
			f := flags.Lookup(name)
			kind, usage := flag.UnquoteUsage(f)
			if f.DefValue != "" && f.DefValue != "0" {
				usage += " (default " + strings.ReplaceAll(plain(f.DefValue), ",", ", ") + ")"
			}
			fmt.Fprintf(table, "  --%s %s\t%s\n", f.Name, strings.ToUpper(kind), envName(f.Name))
			for _, line := range wrap(usage, helpWidth-8) {
				fmt.Fprintf(table, "        %s\n", line)
			}
		}
		table.Flush()
	}
	fmt.Fprintf(w, helpOutro, turnUserEnv, turnPassEnv)
}
