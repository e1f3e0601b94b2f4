package api_test

import (
	"fmt"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func ExampleHub() {
	var hub api.Hub
	events, cancel := hub.Subscribe("a-live", api.ToListeners)
	defer cancel()
	hub.Publish("a-live", api.ToCreator, api.Event{Type: api.EventWarning, Message: "Connexion instable"})
	hub.Publish("a-live", api.ToListeners, api.Ended(station.Live{State: station.Lost}, api.ToListeners))
	fmt.Println((<-events).Message)
	// Output: Le live est terminé suite à un problème technique
}

func TestHubDropsTheSlow(t *testing.T) {
	var hub api.Hub
	slow, cancelSlow := hub.Subscribe("l", api.ToListeners)
	defer cancelSlow()
	quick, cancelQuick := hub.Subscribe("l", api.ToListeners)
	defer cancelQuick()
	for i := range 100 {
		hub.Publish("l", api.ToListeners, api.Event{Code: fmt.Sprint(i)})
		if e := <-quick; e.Code != fmt.Sprint(i) {
			t.Fatalf("got event %s, want %d", e.Code, i)
		}
	}
	n := 0
	for range slow { // ends because the channel was closed
		n++
	}
	if n != 16 {
		t.Errorf("the slow one got %d events before it was dropped, want 16", n)
	}
}

func TestHubCancel(t *testing.T) {
	var hub api.Hub
	events, cancel := hub.Subscribe("l", api.ToCreator)
	cancel()
	cancel()
	hub.Publish("l", api.ToCreator, api.Event{})
	if len(events) != 0 {
		t.Error("an event after cancel")
	}
}
