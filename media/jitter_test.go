package media_test

import (
	"flag"
	"io"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
)

var errEOF = io.EOF

// A network carries packets of 20 ms from a creator to a Jitter in simulated
// time and records what comes out and when.
type network struct {
	seed                  uint64
	loss, reorder, double float64
	jitter                time.Duration
	ppm                   float64 // how much slower than ours the creator's clock is
	outages               [][2]time.Duration
	retransmit            time.Duration // 0: lost is lost
	ssrc                  uint32
	firstSeq              uint16
	firstTS               uint32
	// pause stops the capture; the timestamps stand still meanwhile.
	pause [2]time.Duration
	// leap adds to the timestamps from a packet on.
	leapAt int
	leap   uint32
	// restart gives the stream new numbers from a packet on.
	restartAt int
	restart   func(p *media.RTP)
	// payload of packet i.
	payload func(i int) []byte
}

type delivery struct {
	at time.Duration
	p  media.RTP
}

func (n network) deliveries(length time.Duration) []delivery {
	rng := rand.New(rand.NewPCG(n.seed, 1))
	var out []delivery
	sent := time.Duration(0)
	for i := 0; sent < length; i++ {
		p := media.RTP{SSRC: n.ssrc, Sequence: n.firstSeq + uint16(i), Timestamp: n.firstTS + uint32(i)*960, Payload: []byte{0xf8, byte(i), byte(i >> 8)}}
		if n.payload != nil {
			p.Payload = n.payload(i)
		}
		if n.leapAt > 0 && i >= n.leapAt {
			p.Timestamp += n.leap
		}
		if n.restart != nil && i >= n.restartAt {
			n.restart(&p)
		}
		sent += time.Duration(20e6 * (1 + n.ppm/1e6))
		if n.pause[1] > 0 && sent > n.pause[0] && sent < n.pause[1] {
			sent = n.pause[1]
		}
		at := sent + 30*time.Millisecond + time.Duration(rng.Float64()*float64(n.jitter))
		if rng.Float64() < n.reorder {
			at += 25 * time.Millisecond
		}
		lost := rng.Float64() < n.loss
		for _, o := range n.outages {
			lost = lost || sent >= o[0] && sent < o[1]
		}
		if lost {
			if n.retransmit == 0 {
				continue
			}
			at += n.retransmit
		}
		out = append(out, delivery{at, p})
		if rng.Float64() < n.double {
			out = append(out, delivery{at + 5*time.Millisecond, p})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].at < out[j].at })
	return out
}

type result struct {
	packets []media.Packet
	latest  []time.Duration // how long after its end each packet came out
	stats   media.JitterStats
}

// run gives deliveries to a Jitter and pops whatever is due, as a session does.
func run(t *testing.T, cfg media.JitterConfig, in []delivery) result {
	t.Helper()
	j := media.NewJitter(cfg)
	epoch := time.Unix(1_700_000_000, 0)
	var r result
	pop := func(now time.Time) {
		for {
			p, ok := j.Pop(now)
			if !ok {
				break
			}
			r.packets = append(r.packets, p)
			r.latest = append(r.latest, now.Sub(epoch)-media.Duration(p.End()))
		}
		if wake, ok := j.Wake(); ok && !wake.After(now) {
			t.Fatalf("Wake says %v, it is %v already, and Pop has nothing", wake.Sub(epoch), now.Sub(epoch))
		}
	}
	for _, d := range in {
		now := epoch.Add(d.at)
		for {
			wake, ok := j.Wake()
			if !ok || !wake.Before(now) {
				break
			}
			pop(wake)
		}
		j.Push(now, d.p)
		pop(now)
	}
	j.Flush()
	pop(epoch.Add(in[len(in)-1].at))
	r.stats = j.Stats()
	checkTimeline(t, r.packets)
	return r
}

func (r result) end() time.Duration {
	return media.Duration(r.packets[len(r.packets)-1].End())
}

// edge is how late the packets of the last five seconds came out, at worst.
func (r result) edge() (worst time.Duration) {
	for _, d := range r.latest[max(0, len(r.latest)-250):] {
		worst = max(worst, d)
	}
	return worst
}

func near(t *testing.T, what string, got, want, tolerance time.Duration) {
	t.Helper()
	if d := got - want; d < -tolerance || d > tolerance {
		t.Errorf("%s is %v, want %v ± %v", what, got, want, tolerance)
	}
}

func TestJitterNetworks(t *testing.T) {
	const length = 60 * time.Second
	second := time.Second
	for name, tt := range map[string]struct {
		network
		filled    time.Duration // of audio that must be marked lost
		tolerance time.Duration
		lateEdge  time.Duration // how much later than on a clean link the end may be
		rebased   int64
	}{
		"clean":            {},
		"wrap":             {network: network{firstSeq: 65500, firstTS: 1<<32 - 48000}},
		"loss":             {network: network{loss: .05}, filled: 3 * second, tolerance: second, lateEdge: 300 * time.Millisecond},
		"loss, sent again": {network: network{loss: .05, retransmit: 60 * time.Millisecond}, tolerance: 100 * time.Millisecond, lateEdge: 300 * time.Millisecond},
		"jitter":           {network: network{jitter: 60 * time.Millisecond}, tolerance: 40 * time.Millisecond, lateEdge: 300 * time.Millisecond},
		"reordered":        {network: network{reorder: .05, double: .05}, lateEdge: 300 * time.Millisecond},
		"everything": {
			network: network{loss: .05, reorder: .05, double: .05, jitter: 60 * time.Millisecond, outages: [][2]time.Duration{{10 * second, 13 * second}, {30 * second, 38 * second}}},
			filled:  13500 * time.Millisecond, tolerance: 1500 * time.Millisecond, lateEdge: 300 * time.Millisecond,
		},
		"outages":   {network: network{outages: [][2]time.Duration{{10 * second, 13 * second}, {30 * second, 38 * second}}}, filled: 11 * second, tolerance: 40 * time.Millisecond, lateEdge: 300 * time.Millisecond},
		"suspended": {network: network{pause: [2]time.Duration{20 * second, 28 * second}}, filled: 8 * second, tolerance: 40 * time.Millisecond, lateEdge: 300 * time.Millisecond, rebased: 1},
		"suspended on a bad link": {
			network: network{loss: .05, jitter: 60 * time.Millisecond, pause: [2]time.Duration{20 * second, 28 * second}},
			filled:  10800 * time.Millisecond, tolerance: 1500 * time.Millisecond, lateEdge: 300 * time.Millisecond, rebased: 1,
		},
		"leap into future":   {network: network{leapAt: 1000, leap: 48000 * 3600}, rebased: 1, tolerance: 10 * time.Millisecond},
		"leap into the past": {network: network{leapAt: 1000, leap: 1<<32 - 48000*3600}, rebased: 1, filled: 60 * time.Millisecond, tolerance: 60 * time.Millisecond, lateEdge: 300 * time.Millisecond},
		"new stream": {network: network{restartAt: 1000, restart: func(p *media.RTP) {
			p.SSRC, p.Sequence, p.Timestamp = 99, p.Sequence-40000, p.Timestamp*1+123456789
		}}, rebased: 1, tolerance: 10 * time.Millisecond},
		"same stream, new numbers": {network: network{restartAt: 1000, restart: func(p *media.RTP) {
			p.Sequence, p.Timestamp = p.Sequence-20000, p.Timestamp+987654321
		}}, rebased: 1, tolerance: 30 * time.Millisecond, filled: 0},
	} {
		t.Run(name, func(t *testing.T) {
			tt.seed = 7
			r := run(t, media.JitterConfig{}, tt.deliveries(length))
			near(t, "duration", r.end(), length, 20*time.Millisecond)
			near(t, "time marked lost", r.stats.Filled, tt.filled, tt.tolerance)
			near(t, "live edge", r.edge(), 30*time.Millisecond, tt.lateEdge+5*time.Millisecond)
			if r.stats.Rebased != tt.rebased {
				t.Errorf("rebased %d times, want %d", r.stats.Rebased, tt.rebased)
			}
			t.Logf("%+v, edge %v", r.stats, r.edge())
		})
	}
}

var long = flag.Bool("long", false, "simulate the clock drift of six hours instead of one")

func TestJitterClockDrift(t *testing.T) {
	length := time.Hour
	if *long {
		length = 6 * time.Hour
	}
	for _, ppm := range []float64{-200, 200} {
		r := run(t, media.JitterConfig{}, network{seed: 3, ppm: ppm, jitter: 30 * time.Millisecond, loss: .05}.deliveries(length))
		creator := time.Duration(float64(length) / (1 + ppm/1e6))
		near(t, "duration", r.end(), creator, 50*time.Millisecond)
		near(t, "time marked lost", r.stats.Filled, creator/20, creator/200)
		if r.stats.Rebased != 0 {
			t.Errorf("rebased %d times", r.stats.Rebased)
		}
	}
}

func TestJitterDTX(t *testing.T) {
	// The sender says nothing for 400 ms, then one packet, in sequence: its
	// timestamps tell the truth, so the silence is known as soon as it speaks.
	var in []delivery
	ts, seq := uint32(5000), uint16(9)
	for i := range 100 {
		in = append(in, delivery{media.Duration(int64(ts)), media.RTP{Sequence: seq, Timestamp: ts, Payload: []byte{0xfc, 1}}})
		seq++
		ts += 960
		if i%10 == 9 {
			ts += 960 * 20
		}
	}
	r := run(t, media.JitterConfig{}, in)
	near(t, "duration", r.end(), 2*time.Second+9*400*time.Millisecond, 0)
	near(t, "silence", r.stats.Filled, 9*400*time.Millisecond, 0)
	if r.stats.Lost != 0 || r.stats.Late != 0 || r.stats.Rebased != 0 {
		t.Errorf("%+v", r.stats)
	}
	if lost := r.packets[10]; !lost.Lost || len(lost.Data) != 1 || lost.TOC().Channels() != 2 {
		t.Errorf("filler is %+v, want one in the mode of the stream", lost)
	}
}

func TestJitterBurstAfterStall(t *testing.T) {
	// The network holds everything back for a second and lets it go at once:
	// what is too late is lost, the clock is not moved, the edge comes back.
	in := network{seed: 5}.deliveries(20 * time.Second)
	for i := range in {
		if in[i].at > 10*time.Second && in[i].at < 11*time.Second {
			in[i].at = 11 * time.Second
		}
	}
	r := run(t, media.JitterConfig{}, in)
	near(t, "duration", r.end(), 20*time.Second, 40*time.Millisecond)
	near(t, "edge", r.edge(), 30*time.Millisecond, 5*time.Millisecond)
	if r.stats.Rebased != 0 || r.stats.Late < 30 || r.stats.Late > 50 {
		t.Errorf("%+v", r.stats)
	}
}

func TestJitterOddDurationsAndHoles(t *testing.T) {
	// Frames of every length; every tenth packet is lost.
	var in []delivery
	ts := uint32(0)
	for i := range 500 {
		toc := byte(i%32) << 3
		payload := []byte{toc, 1, 2}
		d, err := media.PacketDuration(payload)
		if err != nil {
			t.Fatal(err)
		}
		if i%10 != 5 {
			in = append(in, delivery{media.Duration(int64(ts) + int64(d)), media.RTP{Sequence: uint16(i), Timestamp: ts, Payload: payload}})
		}
		ts += uint32(d)
	}
	r := run(t, media.JitterConfig{}, in)
	near(t, "duration", r.end(), media.Duration(int64(ts)), 0)
	if r.stats.Lost != 50 {
		t.Errorf("%+v", r.stats)
	}
}

func TestJitterTimestampsOffTheGrid(t *testing.T) {
	// Timestamps that wander by less than a frame do not add up.
	var in []delivery
	for i := range 3000 {
		in = append(in, delivery{time.Duration(i) * 20 * time.Millisecond, media.RTP{Sequence: uint16(i), Timestamp: uint32(i)*960 + uint32(i*37%100), Payload: []byte{0xf8, 1}}})
	}
	r := run(t, media.JitterConfig{}, in)
	near(t, "duration", r.end(), time.Minute, 5*time.Millisecond)
}

func TestJitterTwoStreamsAtOnce(t *testing.T) {
	a := network{ssrc: 1}.deliveries(5 * time.Second)
	b := network{ssrc: 2, firstTS: 77777, firstSeq: 500}.deliveries(5 * time.Second)
	var in []delivery
	for i := range a {
		in = append(in, a[i], b[i])
	}
	r := run(t, media.JitterConfig{}, in)
	near(t, "duration", r.end(), 5*time.Second, 40*time.Millisecond)
	if r.stats.Rebased != 1 || r.stats.Stray < 200 {
		t.Errorf("%+v", r.stats)
	}
}

func TestJitterSlowerPath(t *testing.T) {
	// From one packet to the next everything takes longer, as after a handover,
	// and half a minute later it does not any more: both changes cost the sound
	// that did not come in time, and nothing more.
	for _, delay := range []time.Duration{100, 190, 210, 250, 300, 390, 410, 1000} {
		delay *= time.Millisecond
		for _, jitter := range []time.Duration{0, 40 * time.Millisecond} {
			in := network{seed: 11, jitter: jitter}.deliveries(60 * time.Second)
			for i := range in {
				if in[i].at > 10*time.Second && in[i].at < 40*time.Second {
					in[i].at += delay
				}
			}
			sort.SliceStable(in, func(i, k int) bool { return in[i].at < in[k].at })
			r := run(t, media.JitterConfig{}, in)
			if most := 2*(delay+jitter) + 40*time.Millisecond; r.stats.Filled > most {
				t.Errorf("%v slower, jitter %v: %v marked lost, want at most %v: %+v", delay, jitter, r.stats.Filled, most, r.stats)
			}
		}
	}
}

func TestJitterStragglers(t *testing.T) {
	// In a long outage one packet comes half a second late, another one as late
	// a minute after it: the timeline must not take that minute for its own.
	in := network{seed: 2, outages: [][2]time.Duration{{10 * time.Second, 80 * time.Second}}}.deliveries(90 * time.Second)
	for i, at := range []time.Duration{11 * time.Second, 71 * time.Second} {
		n := uint16(500 + 3000*i)
		in = append(in, delivery{at, media.RTP{Sequence: n, Timestamp: uint32(n) * 960, Payload: []byte{0xf8, 1}}})
	}
	sort.SliceStable(in, func(i, k int) bool { return in[i].at < in[k].at })
	r := run(t, media.JitterConfig{}, in)
	near(t, "duration", r.end(), 90*time.Second, 40*time.Millisecond)
	for i, late := range r.latest {
		if late < -50*time.Millisecond {
			t.Fatalf("packet %d at %v came out %v before its time", i, media.Duration(r.packets[i].PTS), -late)
		}
	}
}

// endless makes packets of 20 ms that are sent every interval, each with a leap
// of its timestamp before it.
func endless(n int, interval time.Duration, leap uint32, change func(i int, p *media.RTP)) []delivery {
	in := make([]delivery, n)
	for i := range in {
		p := media.RTP{Sequence: uint16(i), Timestamp: uint32(i) * (960 + leap), Payload: []byte{0xf8, 1}}
		if change != nil {
			change(i, &p)
		}
		in[i] = delivery{time.Duration(i) * interval, p}
	}
	return in
}

func TestJitterFasterThanRealTime(t *testing.T) {
	// Whatever a sender does, the timeline follows our clock.
	const length = 20 * time.Second
	for name, tt := range map[string]struct {
		interval time.Duration
		leap     uint32
		change   func(i int, p *media.RTP)
	}{
		"half as fast again": {13 * time.Millisecond, 0, nil},
		"flood":              {100 * time.Microsecond, 0, nil},
		"leaps":              {20 * time.Millisecond, 23000, nil},
		"large leaps":        {20 * time.Millisecond, 1 << 30, nil},
		"leaps in a flood":   {time.Millisecond, 30000, nil},
		"new streams":        {time.Millisecond, 0, func(i int, p *media.RTP) { p.SSRC = uint32(i) }},
		"new numbers":        {time.Millisecond, 0, func(i int, p *media.RTP) { p.Sequence = uint16(i * 40000) }},
		"against the sequence": {20 * time.Millisecond, 0, func(i int, p *media.RTP) {
			if i%3 == 1 { // leaps a day ahead, and comes after the packet behind it
				p.Sequence, p.Timestamp = p.Sequence+1, p.Timestamp+960
			} else if i%3 == 2 {
				p.Sequence, p.Timestamp = p.Sequence-1, p.Timestamp+1<<30
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, media.JitterConfig{}, endless(int(length/tt.interval), tt.interval, tt.leap, tt.change))
			if most := length + 3*time.Second; r.end() > most {
				t.Errorf("%v of timeline in %v: %+v", r.end(), length, r.stats)
			}
			if r.end() < length-time.Second {
				t.Errorf("only %v of timeline in %v: %+v", r.end(), length, r.stats)
			}
		})
	}
}

func TestJitterBurstAtStart(t *testing.T) {
	// Five seconds that waited for the connection come at once: two of them are
	// taken, and then the live goes on as if the others had not been.
	in := endless(1250, 20*time.Millisecond, 0, nil)
	for i := range in {
		in[i].at = max(0, in[i].at-5*time.Second)
	}
	r := run(t, media.JitterConfig{}, in)
	near(t, "duration", r.end(), 22*time.Second, 100*time.Millisecond)
	if excess := 3 * 50; r.stats.Excess < int64(excess-5) || r.stats.Excess > int64(excess+5) || r.stats.Rebased != 1 || r.stats.Filled > 0 {
		t.Errorf("%+v", r.stats)
	}
}

func TestJitterUnread(t *testing.T) {
	// Nobody reads for minutes: what is held stays bounded, and afterwards the
	// timeline goes on where it is by then.
	j := media.NewJitter(media.JitterConfig{})
	in := endless(10000, 20*time.Millisecond, 0, nil)
	epoch := time.Unix(1, 0)
	for _, d := range in {
		j.Push(epoch.Add(d.at), d.p)
	}
	received := j.Stats().Received
	if received > 5000 || received+j.Stats().Excess != 10000 {
		t.Errorf("%+v", j.Stats())
	}
	end := time.Duration(0)
	pop := func(now time.Time) {
		for p, ok := j.Pop(now); ok; p, ok = j.Pop(now) {
			end = media.Duration(p.End())
		}
	}
	now := epoch.Add(200 * time.Second)
	pop(now)
	j.Push(now, media.RTP{Sequence: 10000, Timestamp: 10000 * 960, Payload: []byte{0xf8, 1}})
	pop(now.Add(time.Second))
	near(t, "timeline", end, 201*time.Second, 220*time.Millisecond)
}

func FuzzJitter(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 3, 20, 1, 0, 0, 1, 3, 20, 1, 0, 0, 3, 3, 20})
	f.Add([]byte{1, 255, 255, 0, 3, 20, 1, 0, 0, 1, 100, 255, 2, 0, 0, 3, 3, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		j := media.NewJitter(media.JitterConfig{})
		now := time.Unix(1, 0)
		var out []media.Packet
		seq, ts := uint16(0), uint32(0)
		for len(data) >= 6 && len(out) < 1e5 {
			// ssrc, sequence step, timestamp step (in 2.5 ms or wild), payload, delay
			seq += uint16(int8(data[1]))
			if data[2] >= 200 {
				ts += uint32(data[2]) << 24
			}
			ts += uint32(int32(int8(data[3])) * 120)
			j.Push(now, media.RTP{SSRC: uint32(data[0] & 3), Sequence: seq, Timestamp: ts, Payload: data[4:6]})
			now = now.Add(time.Duration(data[5]) * time.Millisecond)
			data = data[6:]
			for {
				p, ok := j.Pop(now)
				if !ok {
					break
				}
				out = append(out, p)
			}
			if wake, ok := j.Wake(); ok && !wake.After(now) {
				t.Fatal("Wake is past and Pop has nothing")
			}
		}
		j.Flush()
		for {
			p, ok := j.Pop(now)
			if !ok {
				break
			}
			out = append(out, p)
		}
		checkTimeline(t, out)
		passed := now.Sub(time.Unix(1, 0))
		if n := len(out); n > 0 && media.Duration(out[n-1].End()) > passed+passed/100+2200*time.Millisecond {
			t.Fatalf("the timeline ran to %v in %v", media.Duration(out[n-1].End()), passed)
		}
	})
}

func BenchmarkJitter(b *testing.B) {
	j := media.NewJitter(media.JitterConfig{})
	now := time.Unix(1, 0)
	payload := []byte{0xf8, 1, 2, 3}
	b.ReportAllocs()
	for i := range b.N {
		now = now.Add(20 * time.Millisecond)
		j.Push(now, media.RTP{Sequence: uint16(i), Timestamp: uint32(i) * 960, Payload: payload})
		if _, ok := j.Pop(now); !ok {
			b.Fatal("nothing")
		}
		j.Wake()
	}
}
