package stationtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestWire checks a wire. Every call of open gives one that nobody else is on.
func TestWire(t *testing.T, open func(t *testing.T) station.Wire) {
	for name, test := range map[string]func(t *testing.T, w station.Wire){
		"everybody hears":       wireEverybody,
		"in order":              wireOrder,
		"one after the other":   wireOneByOne,
		"any bytes":             wireBytes,
		"too long":              wireTooLong,
		"nobody there":          wireNobody,
		"receive ends":          wireEnds,
		"who comes late":        wireLate,
		"a cancelled context":   wireCancelled,
		"sent by a receiver":    wireAnswer,
		"many send at a time":   wireRush,
		"the bytes are f's own": wireOwn,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// An ear listens to a wire in the background of a test.
type ear struct {
	t    *testing.T
	stop func()

	mu      sync.Mutex
	heard   []string
	changed chan struct{} // closed and replaced whenever heard changes
}

const hello = "hello "

// listen returns when the ear hears what is sent. f may be nil.
func listen(t *testing.T, w station.Wire, f func(message []byte)) *ear {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &ear{t: t, changed: make(chan struct{})}
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	done := make(chan error, 1)
	go func() {
		done <- w.Receive(ctx, func(m []byte) {
			if bytes.HasPrefix(m, []byte(hello)) {
				begin()
				return
			}
			e.mu.Lock()
			e.heard = append(e.heard, string(m))
			close(e.changed)
			e.changed = make(chan struct{})
			e.mu.Unlock()
			if f != nil {
				f(m)
			}
		})
	}()
	e.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Receive returned %v", err)
			}
		case <-time.After(patience):
			t.Error("Receive did not return")
		}
	})
	t.Cleanup(e.stop)
	deadline := time.After(patience)
	for {
		ok(t, w.Send(t.Context(), []byte(hello)))
		select {
		case <-begun:
			return e
		case <-deadline:
			t.Fatal("nothing is heard")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// hears waits until n messages were heard and gives them all.
func (e *ear) hears(n int) []string {
	e.t.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		heard, changed := slices.Clone(e.heard), e.changed
		e.mu.Unlock()
		if len(heard) >= n {
			return heard
		}
		select {
		case <-changed:
		case <-deadline:
			e.t.Fatalf("heard %d messages of %d", len(heard), n)
		}
	}
}

func say(t *testing.T, w station.Wire, message string) {
	t.Helper()
	ok(t, w.Send(t.Context(), []byte(message)))
}

func wireEverybody(t *testing.T, w station.Wire) {
	a, b := listen(t, w, nil), listen(t, w, nil)
	say(t, w, "one")
	say(t, w, "two")
	for _, e := range []*ear{a, b} {
		same(t, e.hears(2), []string{"one", "two"})
	}
}

func wireOrder(t *testing.T, w station.Wire) {
	e := listen(t, w, nil)
	var sent []string
	for i := range 300 {
		sent = append(sent, fmt.Sprint(i))
		say(t, w, sent[i])
	}
	same(t, e.hears(len(sent)), sent)
}

func wireOneByOne(t *testing.T, w station.Wire) {
	var busy sync.Mutex
	e := listen(t, w, func([]byte) {
		if !busy.TryLock() {
			t.Error("two messages at a time")
			return
		}
		defer busy.Unlock()
		time.Sleep(time.Millisecond)
	})
	for range 30 {
		say(t, w, "m")
	}
	e.hears(30)
}

func wireBytes(t *testing.T, w station.Wire) {
	e := listen(t, w, nil)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	sent := []string{"", string(all), "é\r\n$5\r\nfalse", string(bytes.Repeat(all, 200))}
	for _, m := range sent {
		say(t, w, m)
	}
	same(t, e.hears(len(sent)), sent)
}

func wireTooLong(t *testing.T, w station.Wire) {
	e := listen(t, w, nil)
	if err := w.Send(t.Context(), make([]byte, 1<<20)); err == nil {
		t.Error("a megabyte was sent as a small message")
	}
	say(t, w, "after")
	same(t, e.hears(1), []string{"after"})
}

func wireNobody(t *testing.T, w station.Wire) {
	say(t, w, "is anybody there?")
}

func wireEnds(t *testing.T, w station.Wire) {
	listen(t, w, nil).stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ok(t, w.Receive(ctx, func([]byte) { t.Error("heard with a context that is over") }))
	say(t, w, "after")
}

func wireLate(t *testing.T, w station.Wire) {
	first := listen(t, w, nil)
	say(t, w, "early")
	same(t, first.hears(1), []string{"early"})
	second := listen(t, w, nil)
	say(t, w, "late")
	same(t, second.hears(1), []string{"late"})
	same(t, first.hears(2), []string{"early", "late"})
}

func wireCancelled(t *testing.T, w station.Wire) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	is(t, w.Send(ctx, []byte("m")), context.Canceled)
}

func wireAnswer(t *testing.T, w station.Wire) {
	e := listen(t, w, func(m []byte) {
		if string(m) == "question" {
			if err := w.Send(t.Context(), []byte("answer")); err != nil {
				t.Error(err)
			}
		}
	})
	say(t, w, "question")
	same(t, e.hears(2), []string{"question", "answer"})
}

func wireRush(t *testing.T, w station.Wire) {
	e := listen(t, w, nil)
	var sent []string
	for i := range 50 {
		sent = append(sent, fmt.Sprintf("message %02d", i))
	}
	atOnce(t, len(sent), func(i int) error { return w.Send(t.Context(), []byte(sent[i])) })
	heard := e.hears(len(sent))
	slices.Sort(heard)
	same(t, heard, sent)
}

// A receiver may keep and change what it was given.
func wireOwn(t *testing.T, w station.Wire) {
	message := []byte("message")
	scribble := func(m []byte) { clear(m) }
	a, b := listen(t, w, scribble), listen(t, w, scribble)
	ok(t, w.Send(t.Context(), message))
	clear(message)
	for _, e := range []*ear{a, b} {
		same(t, e.hears(1), []string{"message"})
	}
}
