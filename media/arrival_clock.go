package media

import "time"

// An arrivalClock tells when a packet of the timeline is due here. A packet's
// transit is its time of arrival minus its PTS; the smallest of the last 10 to
// 20 s stands for a network without queues. That window follows two clocks that
// drift apart (100 ppm are 2 ms in it) and forgets a path that was faster.
type arrivalClock struct {
	minWait, maxWait time.Duration
	roundTrip        time.Duration

	epoch   time.Time     // transit is counted from here
	base    time.Duration // smallest transit of this window
	before  time.Duration // and of the one before
	turn    time.Time     // when this window began
	last    time.Time     // arrival of the newest packet
	lag     time.Duration // decaying peak of transit over base
	transit time.Duration // of the newest packet, for the jitter
	jitter  time.Duration
}

const (
	transitWindow = 10 * time.Second
	// nackInterval is about how long passes until a missing packet is asked
	// for: the next one has to arrive and the receiver's timer to fire.
	nackInterval = 40 * time.Millisecond
	lagMargin    = 10 * time.Millisecond
	lagDecay     = 1000 // packets until a peak has fallen to 1/e: 20 s

	// leadMax is how far ahead of real time the timeline may be; leadShare of
	// the time passed comes on top, more than any two clocks drift apart.
	leadMax   = 2 * time.Second
	leadShare = 100
)

func (c *arrivalClock) begin(at time.Time) {
	c.epoch, c.turn = at, at
	c.last = at
}

// observe learns from a packet that arrived in sequence and in time.
func (c *arrivalClock) observe(a arrival) {
	transit := a.at.Sub(c.epoch) - Duration(a.pts)
	if a.at.Sub(c.turn) >= transitWindow {
		c.before, c.base, c.turn = c.base, transit, a.at
	}
	c.base = min(c.base, transit)
	d := transit - c.transit
	if d < 0 {
		d = -d
	}
	c.transit = transit
	c.jitter += (d - c.jitter) / 16
	c.lag -= c.lag * time.Duration(a.duration) / (lagDecay * 960)
	c.delayed(a)
}

// delayed learns from a packet how late packets come.
func (c *arrivalClock) delayed(a arrival) {
	lag := a.at.Sub(c.epoch) - Duration(a.pts) - c.fastest()
	c.lag = max(c.lag, min(lag, c.maxWait))
}

// follow takes the transit of a packet that came too late, in sequence, for the
// fastest: everything comes later now. Should the path become faster again, the
// next packet in time tells.
func (c *arrivalClock) follow(a arrival) {
	transit := a.at.Sub(c.epoch) - Duration(a.pts)
	c.lag = max(0, c.lag-max(0, transit-c.fastest()))
	c.base, c.before, c.turn = transit, transit, a.at
}

func (c *arrivalClock) fastest() time.Duration { return min(c.base, c.before) }

func (c *arrivalClock) wait() time.Duration {
	wait := c.lag + lagMargin
	if c.roundTrip > 0 {
		wait = max(wait, c.roundTrip+nackInterval)
	}
	return min(max(wait, c.minWait), c.maxWait)
}

// deadline is when the packet at pts is no longer waited for.
func (c *arrivalClock) deadline(pts int64) time.Time {
	return c.epoch.Add(c.fastest() + Duration(pts) + c.wait())
}

// outage is when the packet at pts is no longer waited for although nothing
// has arrived after it.
func (c *arrivalClock) outage(pts int64) time.Time {
	return c.epoch.Add(c.fastest() + Duration(pts) + c.maxWait)
}

// expected is the PTS of a packet that arrives at a given time after the
// fastest transit, on the grid of the shortest frame.
func (c *arrivalClock) expected(at time.Time) int64 {
	return Samples(at.Sub(c.epoch)-c.fastest()) / minFrame * minFrame
}

// limit is the highest PTS that a packet can have that arrives at a given time.
func (c *arrivalClock) limit(at time.Time) int64 {
	passed := at.Sub(c.epoch)
	return Samples(passed + passed/leadShare + leadMax)
}
