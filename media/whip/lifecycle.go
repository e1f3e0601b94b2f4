package whip

import (
	"context"
	"errors"
	"time"
)

// received runs after every packet: the first one begins the live, and the one
// after a pause ends the pause.
func (s *Session) received() {
	s.mu.Lock()
	switch s.state {
	case Connecting:
		s.running = true
		s.turn(Live)
		s.server.connected()
		go s.publish()
	case Stalled:
		s.turn(Live)
	default:
		s.mu.Unlock()
		return
	}
	s.watch.Reset(min(s.server.cfg.NoticeAfter, watchEvery))
	s.mu.Unlock()
	s.tell()
}

func (s *Session) publish() {
	defer close(s.published)
	s.measure() // a loss in the first second waits for the right time already
	err := s.server.cfg.OnPublish(s.server.context, s)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.end(EndPublished)
}

// turn changes the state; the caller holds mu and calls tell after it let go.
func (s *Session) turn(state State) {
	s.state = state
	s.turns = append(s.turns, state)
}

// tell reports changes of state, in order, from one goroutine at a time.
func (s *Session) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.telling {
		return
	}
	s.telling = true
	for len(s.turns) > 0 {
		state := s.turns[0]
		s.turns = s.turns[1:]
		s.mu.Unlock()
		log := s.server.cfg.Logger.With("session", s.id)
		if reason := s.Reason(); reason != "" {
			log = log.With("reason", string(reason))
		}
		log.Info("session " + state.String())
		s.server.cfg.OnState(s, state)
		s.mu.Lock()
	}
	s.telling = false
}

// watchEvery is how often the round trip is looked at.
const watchEvery = 2 * time.Second

// check is called by the watch timer: it looks how long the creator has been
// silent and sets the timer to when that matters next.
func (s *Session) check() {
	cfg := &s.server.cfg
	silence := s.receiver.silence(time.Now())
	s.mu.Lock()
	switch {
	case s.state == Ended:
		s.mu.Unlock()
		return
	case s.state == Connecting:
		s.mu.Unlock()
		s.end(EndUnused)
		return
	case silence >= cfg.EndAfter:
		s.mu.Unlock()
		s.end(EndVanished)
		return
	case silence >= cfg.NoticeAfter:
		if s.state == Live {
			s.turn(Stalled)
		}
		s.watch.Reset(min(cfg.EndAfter-silence, watchEvery))
	default:
		s.watch.Reset(min(cfg.NoticeAfter-silence, watchEvery))
	}
	s.mu.Unlock()
	s.measure()
	s.tell()
}

// measure takes the round trip from ICE's consent checks (RFC 7675), so that
// the jitter buffer waits long enough for a packet that is asked for again. It
// is called once packets have come: before, Pion may still be writing to what
// it reads.
func (s *Session) measure() {
	stats, ok := s.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
	rtt := time.Duration(stats.CurrentRoundTripTime * float64(time.Second))
	if !ok || rtt <= 0 {
		return
	}
	s.mu.Lock()
	s.rtt = rtt
	s.mu.Unlock()
	s.receiver.mu.Lock()
	s.receiver.jitter.SetRoundTrip(rtt)
	s.receiver.mu.Unlock()
}

// end ends the session once; what follows happens in the background.
func (s *Session) end(reason EndReason) {
	s.mu.Lock()
	if s.state == Ended {
		s.mu.Unlock()
		return
	}
	if s.state == Connecting {
		s.server.connected()
	}
	s.reason = reason
	s.state = Ended // told when it is all over, see hangUp
	running := s.running
	s.watch.Stop()
	s.mu.Unlock()
	s.server.remove(s)
	s.receiver.finish()
	go s.hangUp(running)
}

// hangUp closes the connection, waits for OnPublish and lets everything go.
func (s *Session) hangUp(running bool) {
	defer s.server.running.Done()
	if err := s.pc.GracefulClose(); err != nil {
		s.server.cfg.Logger.Debug("connection not closed properly", "session", s.id, "err", err)
	}
	if running {
		<-s.published
	}
	if err := s.Err(); err != nil && !errors.Is(err, context.Canceled) {
		s.server.cfg.Logger.Error("OnPublish failed", "session", s.id, "err", err)
	}
	if s.release != nil {
		s.release()
	}
	close(s.done)
	s.mu.Lock()
	s.turn(Ended)
	s.mu.Unlock()
	s.tell()
}
