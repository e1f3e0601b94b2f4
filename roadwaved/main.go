// Command roadwaved is live radio in one binary: creators go live from a browser
// or any WHIP client, listeners hear them over HLS, and when a live ends its
// replay appears by itself. See roadwaved --help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal is not waited for
	os.Exit(run(ctx, os.Args[1:], environ, os.Stdout, os.Stderr))
}

// run is the program: its exit code is 0 when all went well, 1 when something
// failed and 2 when the command line or environment cannot be used.
func run(ctx context.Context, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	var err error
	switch command {
	case "serve":
		err = serve(ctx, args, getenv, stdout, stderr)
	case "worker":
		err = work(ctx, args, getenv, stdout, stderr)
	case "migrate":
		err = migrate(ctx, args, getenv, stdout, stderr)
	case "jobs":
		err = jobs(ctx, args, getenv, stdout, stderr)
	case "clean":
		err = clean(ctx, args, getenv, stdout, stderr)
	case "recover":
		err = recoverFiles(args, stdout)
	case "version":
		fmt.Fprintln(stdout, "roadwaved", version(), runtime.Version())
	case "help":
		err = flag.ErrHelp
	default:
		err = usageError{fmt.Errorf("%q is not a command; they are serve, worker, migrate, jobs, clean, recover, version and help", command)}
	}
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		printHelp(stdout)
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "roadwaved:", err)
		return 2
	default:
		fmt.Fprintln(stderr, "roadwaved:", err)
		return 1
	}
}

// A usageError is the caller's mistake.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "commit " + s.Value[:12]
		}
	}
	return info.Main.Version
}
