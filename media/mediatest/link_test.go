package mediatest_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"go.uber.org/goleak"
)

// exchange sends n numbered media datagrams through a link to an echo server
// and returns what came there and what came back, in order.
func exchange(t *testing.T, n int, cfg mediatest.LinkConfig) (there, back []string, stats mediatest.LinkStats) {
	t.Helper()
	defer goleak.VerifyNone(t)
	server := listen(t)
	link, err := mediatest.NewLink(server.LocalAddr().String(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp", nil, link.Addr())
	if err != nil {
		t.Fatal(err)
	}
	done, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			there = append(there, string(b[:n]))
			_, _ = server.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	go func() {
		defer close(sent)
		for i := range n {
			_, _ = fmt.Fprintf(client, "\x80%d", i)
			time.Sleep(time.Millisecond)
		}
	}()
	b := make([]byte, 1500)
	for quiet := 0; quiet < 3; quiet++ { // a process that was not run for long misses a deadline, not three
		_ = client.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
		n, err := client.Read(b)
		if err == nil {
			back = append(back, string(b[:n]))
			quiet = -1
		} else {
			<-sent
		}
	}
	stats = link.Stats()
	for _, c := range []interface{ Close() error }{link, client, server} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	<-done
	return there, back, stats
}

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func TestLinkPassesEverything(t *testing.T) {
	there, back, stats := exchange(t, 50, mediatest.LinkConfig{})
	if len(there) != 50 || len(back) != 50 || stats != (mediatest.LinkStats{Passed: 100}) {
		t.Errorf("%d there, %d back, %+v", len(there), len(back), stats)
	}
}

func TestLinkHarms(t *testing.T) {
	there, back, stats := exchange(t, 400, mediatest.LinkConfig{Seed: 1, Loss: 0.1, Reorder: 0.1, Duplicate: 0.1, Jitter: 5 * time.Millisecond, ReorderBy: 20 * time.Millisecond})
	if stats.Lost < 40 || stats.Lost > 120 || stats.Reordered < 40 || stats.Duplicated < 30 {
		t.Errorf("%+v", stats)
	}
	if got := int64(len(there) + len(back)); got != stats.Passed {
		t.Errorf("%d datagrams arrived, %d were passed", got, stats.Passed)
	}
	inversions := 0
	for i := 1; i < len(there); i++ {
		if len(there[i]) == len(there[i-1]) && there[i] < there[i-1] {
			inversions++
		}
	}
	if inversions == 0 {
		t.Error("nothing was reordered")
	}
}

func TestLinkOutage(t *testing.T) {
	there, _, stats := exchange(t, 100, mediatest.LinkConfig{Outages: []mediatest.Outage{{From: 0, To: time.Hour}}})
	if len(there) != 0 || stats.Cut != 100 {
		t.Errorf("%d passed an outage; %+v", len(there), stats)
	}
}

func TestLinkRewritesSDP(t *testing.T) {
	server := listen(t)
	defer server.Close()
	link, err := mediatest.NewLink(server.LocalAddr().String(), mediatest.LinkConfig{SpareSetup: true})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	const sdp = "v=0\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\na=candidate:2 1 tcp 1 10.0.0.1 9 typ host\r\na=end-of-candidates\r\n"
	if got := link.Offer(sdp); strings.Contains(got, "candidate:") {
		t.Error(got)
	}
	want := fmt.Sprintf("v=0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 %d typ host\r\na=end-of-candidates\r\n", link.Addr().Port)
	if got := link.Answer(sdp); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
