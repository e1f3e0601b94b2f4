package whiptest_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/media/whip/whiptest"
	"go.uber.org/goleak"
)

func TestBare(t *testing.T) {
	defer goleak.VerifyNone(t)
	bare, err := whiptest.NewBare()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(bare)
	defer web.Close()
	tone := mediatest.Packets(media.Packet{Duration: 960, Data: []byte{31 << 3, 0}}, media.Packet{PTS: 960, Duration: 960, Data: []byte{31 << 3, 1}})
	if _, err := whip.Publish(t.Context(), web.URL, tone, whip.PublishConfig{}); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(time.Minute); bare.Received() < 2 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	if bare.Received() != 2 {
		t.Errorf("%d packets received", bare.Received())
	}
	if err := bare.Close(); err != nil && !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
	web.CloseClientConnections()
	web.Client().CloseIdleConnections()
}
