package main

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
)

// A creator on a terrible link, and one on a clean link beside them: the
// playlists of both are continuous, with constant segments, and neither's live
// edge falls behind.
func TestTerribleLink(t *testing.T) {
	const length = 34 * time.Second
	d := startDaemon(t, t.TempDir())
	outages := []mediatest.Outage{{From: 8 * time.Second, To: 11 * time.Second}, {From: 16 * time.Second, To: 24 * time.Second}}
	clean := d.publish(programme(length), "title=net", nil)
	bad := d.publish(programme(length), "title=brouill%C3%A9", d.through(mediatest.LinkConfig{
		Seed: 1, Loss: 0.05, Reorder: 0.05, Duplicate: 0.05, Jitter: 60 * time.Millisecond, Outages: outages, SpareSetup: true,
	}))
	ctx, cancel := context.WithTimeout(context.Background(), length-2*time.Second)
	defer cancel()
	edges := make([][]time.Duration, 2)
	var watching sync.WaitGroup
	for i, p := range []*publication{clean, bad} {
		watching.Go(func() {
			edges[i] = d.edges(ctx, p)
		})
	}
	watching.Wait()
	clean.wait(t)
	bad.wait(t)

	best := func(e []time.Duration) time.Duration { return slices.Min(e[len(e)-60:]) } // the last 3 s or more
	t.Logf("live edge: %v on the clean link, %v on the terrible one", best(edges[0]), best(edges[1]))
	if later := best(edges[1]) - best(edges[0]); later > 300*time.Millisecond {
		t.Errorf("the live edge is %v later than on a clean link", later)
	}
	d.eventually("both lives are over", 10*time.Second, func() bool {
		return d.live(clean.id).State == "ended" && d.live(bad.id).State == "ended"
	})
	d.checkTimeline(bad.id, length, 60*time.Millisecond) // up to three packets may be missing at the very end
	d.checkTimeline(clean.id, length, 0)
}

// through puts a link between a creator and the daemon.
func (d *testDaemon) through(cfg mediatest.LinkConfig) func(*whip.PublishConfig) {
	link, err := mediatest.NewLink(d.udp, cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		d.t.Logf("link: %+v", link.Stats())
		link.Close()
	})
	return func(publish *whip.PublishConfig) { publish.Offer, publish.Answer = link.Offer, link.Answer }
}

// checkTimeline holds a live that ended against the creator's clock: one
// recording of the right length, one playlist without a hole.
func (d *testDaemon) checkTimeline(id string, length, tolerance time.Duration) {
	d.t.Helper()
	near := func(what string, got time.Duration) {
		d.t.Helper()
		if math.Abs(float64(got-length)) > float64(tolerance) {
			d.t.Errorf("%s lasts %v, the creator's live %v", what, got, length)
		}
	}
	recorded := d.recording(id)
	near("the recording", media.Duration(recorded[len(recorded)-1].End()))

	list := d.mediaPlaylist(id, "opus.m3u8")
	end := time.Duration(list.MediaSequence) * 2 * time.Second // what left the window
	for i, s := range list.Segments {
		end += s.Duration
		if i < len(list.Segments)-1 && s.Duration != 2*time.Second {
			d.t.Errorf("segment %d lasts %v", i, s.Duration)
		}
		if s.Discontinuity {
			d.t.Errorf("segment %d is a discontinuity", i)
		}
	}
	near("the playlist", end)
	if !list.Endlist || list.TargetDuration != 2 {
		d.t.Errorf("the playlist ends %v, target %d", list.Endlist, list.TargetDuration)
	}
}

// A phone whose capture is suspended for 8 s and whose timestamps stand still
// meanwhile: the live goes on where the clock is.
func TestSuspendedCapture(t *testing.T) {
	const before, pause, after = 6 * time.Second, 8 * time.Second, 6 * time.Second
	d := startDaemon(t, t.TempDir())
	phone := &suspended{Source: programme(before + after), at: media.Samples(before), pause: pause}
	creator := d.publish(phone, "", func(cfg *whip.PublishConfig) { cfg.Fast = true })
	creator.wait(t)
	d.eventually("the live is over", 10*time.Second, func() bool { return d.live(creator.id).State == "ended" })
	// Where the pause ends is known by the arrival of packets alone.
	d.checkTimeline(creator.id, phone.end.Sub(phone.begin), 150*time.Millisecond)
}

// suspended is a source in real time that makes a pause.
type suspended struct {
	media.Source
	at         int64
	pause      time.Duration
	begin, end time.Time
}

func (s *suspended) ReadPacket() (media.Packet, error) {
	p, err := s.Source.ReadPacket()
	if err != nil {
		return p, err
	}
	if s.begin.IsZero() {
		s.begin = time.Now()
	}
	due := media.Duration(p.PTS)
	if p.PTS >= s.at {
		due += s.pause
	}
	time.Sleep(time.Until(s.begin.Add(due)))
	s.end = time.Now().Add(media.Duration(int64(p.Duration)))
	return p, nil
}
