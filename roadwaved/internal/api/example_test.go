package api_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
)

func ExampleNew() {
	c := newCatalog() // anything that fulfils Lives and Replays, such as a database
	a, err := api.New(api.Config{Lives: c, Replays: c, PublicURL: "https://radio.example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	server := httptest.NewServer(a)
	defer server.Close()

	res, err := server.Client().Get(server.URL + "/v1/lives")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	var page api.LiveList
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Lives[0].Title, page.Lives[0].HLSURL)
	// Output: En direct https://radio.example/live/11111111-1111-4111-8111-111111111111/index.m3u8
}
