package whip_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/whip"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, cfg := range map[string]whip.Config{
		"MaxAverageBitrate": {MaxAverageBitrate: 5000},
		"EndAfter":          {EndAfter: -time.Second},
		"public host":       {PublicHosts: []string{"no such host"}},
		"UDP address":       {UDPAddress: "nonsense"},
		"set UDPAddress":    {UDPAddress: taken.LocalAddr().String()},
	} {
		if _, err := whip.NewServer(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestSmallReadBufferIsTold(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	server, err := whip.NewServer(whip.Config{
		UDPAddress: "127.0.0.1:0", DisableTCP: true, ReadBuffer: 1 << 30,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	stats := server.Stats()
	if told := strings.Contains(log.String(), "net.core.rmem_max"); told != (stats.ReadBuffer >= 0 && stats.ReadBuffer < 1<<30) {
		t.Errorf("%+v, log: %s", stats, log.String())
	}
}

// A flood that nobody reads in time shows in the statistics.
func TestDroppedDatagramsAreCounted(t *testing.T) {
	t.Parallel()
	server, err := whip.NewServer(whip.Config{UDPAddress: "127.0.0.1:0", DisableTCP: true, ReadBuffer: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if server.Stats().Dropped < 0 {
		t.Skip("the system does not tell")
	}
	flood, err := net.Dial("udp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	for deadline := time.Now().Add(20 * time.Second); server.Stats().Dropped == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nothing was dropped")
		}
		for range 1000 {
			_, _ = flood.Write(make([]byte, 1200))
		}
	}
}
