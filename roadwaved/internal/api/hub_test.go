package api_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A wire in memory between the hubs of a test.
type wire struct {
	mu        sync.Mutex
	receivers map[chan []byte]bool
	err       error
	sent      int
}

func (w *wire) Send(_ context.Context, message []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	if w.err != nil {
		return w.err
	}
	for r := range w.receivers {
		r <- message
	}
	return nil
}

func (w *wire) Receive(ctx context.Context, f func([]byte)) error {
	r := make(chan []byte, 4096)
	w.mu.Lock()
	if w.receivers == nil {
		w.receivers = map[chan []byte]bool{}
	}
	w.receivers[r] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.receivers, r)
	}()
	for {
		select {
		case message := <-r:
			f(message)
		case <-ctx.Done():
			return nil
		}
	}
}

// run starts hubs on one wire.
func run(t *testing.T, w *wire, n int) (hubs []*api.Hub, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range n {
		h := api.NewHub(api.HubConfig{Wire: w})
		hubs = append(hubs, h)
		wg.Go(func() {
			if err := h.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return hubs, stop
}

// An event reaches the streams of every daemon once, whole.
func TestHubAcrossDaemons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		hubs, _ := run(t, w, 3)
		synctest.Wait()
		var got [3]<-chan api.Event
		for i, h := range hubs {
			events, cancel := h.Subscribe("l", api.ToListeners)
			defer cancel()
			got[i] = events
		}
		sent := []api.Event{
			{Type: api.EventWarning, Code: "c", Message: "Élan"},
			api.Counted(station.Counters{Listeners: 3, Likes: 2, Reports: 1}),
			api.Ended(station.Live{State: station.Lost, EndReason: station.EndCrash}, api.ToListeners),
		}
		hubs[0].Publish("l", api.ToCreator, api.Event{Type: api.EventWarning, Message: "for the creator alone"})
		hubs[0].Publish("other", api.ToListeners, sent[0])
		for _, e := range sent {
			hubs[0].Publish("l", api.ToListeners, e)
		}
		synctest.Wait()
		for i, events := range got {
			if len(events) != len(sent) {
				t.Fatalf("daemon %d got %d events, want %d", i, len(events), len(sent))
			}
			for _, want := range sent {
				e := <-events
				if e.Type != want.Type || e.Message != want.Message || e.Code != want.Code || e.State != want.State || fmt.Sprint(e.Counters != nil) != fmt.Sprint(want.Counters != nil) {
					t.Errorf("daemon %d: got %+v, want %+v", i, e, want)
				}
				if e.Counters != nil && *e.Counters != *want.Counters {
					t.Errorf("daemon %d: got %+v", i, *e.Counters)
				}
			}
		}
	})
}

// A wire that hangs or fails holds nobody up here.
func TestHubWithoutItsWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{err: errors.New("away")}
		hubs, _ := run(t, w, 1)
		events, cancel := hubs[0].Subscribe("l", api.ToListeners)
		defer cancel()
		for range 5000 { // more than may wait
			hubs[0].Publish("l", api.ToListeners, api.Event{Type: api.EventWarning})
			<-events
		}
	})
}

// The last words of a daemon that stops reach the others.
func TestHubSendsItsLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		hubs, _ := run(t, w, 1)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		last := api.NewHub(api.HubConfig{Wire: w})
		events, unsubscribe := hubs[0].Subscribe("l", api.ToListeners)
		defer unsubscribe()
		last.Publish("l", api.ToListeners, api.Ended(station.Live{State: station.Ended}, api.ToListeners))
		if err := last.Run(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
	})
}

func TestHubAlone(t *testing.T) {
	h := api.NewHub(api.HubConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := h.Run(ctx); err != nil || ctx.Err() == nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}

// FuzzMessage gives a hub what nobody should send: it is an event that streams
// can show, or nothing.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"kind":"event","from":"x","live_id":"l","to":3,"type":"warning","message":"m","code":"c"}`,
		`{"kind":"event","from":"x","live_id":"l","to":3,"type":"counters","counters":{"listeners":1}}`,
		`{"kind":"event","from":"x","live_id":"l","to":3,"type":"ended","state":"lost","message":"m"}`,
		`{"kind":"event","from":"x","live_id":"l","to":3,"type":"ended","state":"on_air"}`,
		`{"kind":"event","from":"x","live_id":"l","to":256,"type":"warning"}`,
		`{"kind":"event","from":"x","live_id":"l","to":3,"type":"a\ndata: b"}`,
		`{"kind":"other"}`, `[]`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := api.NewHub(api.HubConfig{})
		events, cancel := h.Subscribe("l", api.ToCreator|api.ToListeners)
		defer cancel()
		ok := h.ReceiveMessage(b)
		select {
		case e := <-events:
			if !ok || e.Type != api.EventWarning && e.Type != api.EventCounters && e.Type != api.EventEnded || (e.Type == api.EventCounters) != (e.Counters != nil) {
				t.Fatalf("%q became %+v", b, e)
			}
		default:
		}
	})
}
