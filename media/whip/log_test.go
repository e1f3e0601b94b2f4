package whip

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
)

func TestPionsEverydayLifeIsNotLogged(t *testing.T) {
	var text bytes.Buffer
	log := pionLogs{slog.New(slog.NewTextHandler(&text, nil))}.NewLogger("ice")
	log.Info("quiet")
	log.Warnf("quiet %d", 1)
	log.Errorf("Failed to write packet: %v", io.ErrClosedPipe)
	log.Error("use of closed network connection")
	log.Errorf("Incoming unhandled RTP ssrc(%d), OnTrack will not be fired. %v", 1, io.EOF)
	if text.Len() > 0 {
		t.Errorf("logged %s", text.String())
	}
	log.Errorf("Failed to get local interfaces: %v", os.ErrPermission)
	log.Error("no such device")
	if got := text.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "level=INFO") || !strings.Contains(got, os.ErrPermission.Error()) || !strings.Contains(got, "no such device") || !strings.Contains(got, "pion=ice") {
		t.Errorf("logged %s", got)
	}
}
