package main

import (
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
)

const helpIntro = `roadwaved: live radio from a phone, in one binary.

  roadwaved [serve] [flags]   go on air: studio, player, API, replays
  roadwaved recover FILE...   make recordings whole after a crash
  roadwaved version           which version this is
  roadwaved help              this text

Without flags it serves on loopback only and keeps everything in
./roadwave-data: open http://127.0.0.1:8080/studio and speak.
Replays need ffmpeg 5.0 or newer in PATH.

Every setting has a flag and a variable; the flag wins:

`

const helpOutro = `
  %s, %s
        name and password for the turn: servers (variables only, so that
        they do not show in a list of processes)

Signals: SIGTERM or Ctrl-C ends lives properly (last segment, recording
closed), puts a running replay back to be made at the next start, and exits.
Exit codes: 0 fine, 1 something failed, 2 a setting cannot be used.
`

// printHelp writes what --help shows, made from the flags themselves.
func printHelp(w io.Writer) {
	fmt.Fprint(w, helpIntro)
	c := defaultConfig()
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	c.flags(io.Discard).VisitAll(func(f *flag.Flag) {
		kind, usage := flag.UnquoteUsage(f)
		value := f.DefValue
		if value != "" && value != "0" {
			usage += " (default " + value + ")"
		}
		fmt.Fprintf(table, "  --%s\t%s\t%s\n", f.Name, envName(f.Name), kind)
		fmt.Fprintf(table, "        %s\n", usage)
	})
	table.Flush()
	fmt.Fprintf(w, helpOutro, turnUserEnv, turnPassEnv)
}
