package whip

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// pionLogs hands Pion's log lines to slog, one level down: what Pion calls a
// warning (a stray packet, a stream that closed) is everyday life to a server.
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

func (s pionScope) Error(msg string)               { s.logger.Info(msg) }
func (s pionScope) Errorf(format string, a ...any) { s.logf(slog.LevelInfo, format, a) }

func (s pionScope) logf(level slog.Level, format string, a []any) {
	if s.logger.Enabled(context.Background(), level) {
		s.logger.Log(context.Background(), level, fmt.Sprintf(format, a...))
	}
}
