package whip

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pion/logging"
)

// pionLogs hands Pion's log lines to slog, one level down: what Pion calls a
// warning (a stray packet, a stream that closed) is everyday life to a server,
// and so are the errors of a connection that ends while it is written to.
type pionLogs struct{ logger *slog.Logger }

func (l pionLogs) NewLogger(scope string) logging.LeveledLogger {
	return pionScope{l.logger.With("pion", scope)}
}

type pionScope struct{ logger *slog.Logger }

func (s pionScope) Trace(string)          {}
func (s pionScope) Tracef(string, ...any) {}
func (s pionScope) Debug(string)          {}
func (s pionScope) Debugf(string, ...any) {}
func (s pionScope) Info(string)           {}
func (s pionScope) Infof(string, ...any)  {}

func (s pionScope) Warn(msg string)               { s.logger.Debug(msg) }
func (s pionScope) Warnf(format string, a ...any) { s.logf(slog.LevelDebug, format, a) }

func (s pionScope) Error(msg string) { s.logger.Log(context.Background(), levelOf(msg), msg) }
func (s pionScope) Errorf(format string, a ...any) {
	msg := fmt.Sprintf(format, a...)
	s.logger.Log(context.Background(), levelOf(msg), msg)
}

// ordinary is found in errors that every session may end with, and in what Pion
// says of a stream that the offer did not name, which is taken all the same.
var ordinary = []string{"closed", "EOF", "unhandled RTP ssrc"}

func levelOf(msg string) slog.Level {
	if slices.ContainsFunc(ordinary, func(part string) bool { return strings.Contains(msg, part) }) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (s pionScope) logf(level slog.Level, format string, a []any) {
	if s.logger.Enabled(context.Background(), level) {
		s.logger.Log(context.Background(), level, fmt.Sprintf(format, a...))
	}
}
