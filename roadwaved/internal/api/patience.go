package api

import (
	"io"
	"net/http"
	"time"
)

const (
	// patience is how long a reader may take to accept an answer, or the next
	// piece of a long one: who stalls for longer gives its place back.
	patience = 30 * time.Second
	// slowest is how many bytes per second a reader must take of a piece, below
	// what the poorest rung needs.
	slowest = 2 << 10
	// piece is how much of a file is sent before the reader gets new time.
	piece = 256 << 10
)

// giveTime lets a reader have the time that n bytes may take.
func giveTime(rc *http.ResponseController, n int) {
	_ = rc.SetWriteDeadline(time.Now().Add(patience + time.Duration(n)*time.Second/slowest))
}

// patient gives the reader of a long answer time for each piece of it, where one
// deadline for all would cut who listens to an hour of replay.
type patient struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func newPatient(w http.ResponseWriter) *patient {
	return &patient{w, http.NewResponseController(w)}
}

// Unwrap is how [http.ResponseController] finds what is below.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *patient) Write(b []byte) (int, error) {
	giveTime(p.rc, len(b))
	return p.ResponseWriter.Write(b)
}

// ReadFrom keeps the way open on which the kernel copies a file to a socket: it
// sees a file behind one LimitedReader, not behind two.
func (p *patient) ReadFrom(src io.Reader) (sent int64, err error) {
	left := int64(-1)
	inner, limited := src.(*io.LimitedReader)
	if limited {
		src, left = inner.R, inner.N
		defer func() { inner.N = left }()
	}
	for left != 0 {
		n := int64(piece)
		if limited {
			n = min(n, left)
		}
		giveTime(p.rc, piece)
		m, err := io.CopyN(p.ResponseWriter, src, n)
		sent += m
		if limited {
			left -= m
		}
		if err == io.EOF {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// patiently serves media.
func patiently(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { next(newPatient(w), r) }
}
