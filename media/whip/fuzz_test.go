package whip_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/whip"
)

// FuzzOffer sends bytes as an offer and, when a session comes of it, the same
// bytes as a fragment. Nothing may panic, answer 500, or leave a session.
func FuzzOffer(f *testing.F) {
	files, err := filepath.Glob("testdata/*.sdp")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add([]byte(golden(f, filepath.Base(file))))
	}
	f.Add([]byte("v=0\r\n"))
	server, err := whip.NewServer(whip.Config{UDPAddress: "127.0.0.1:0", Loopback: true, DisableTCP: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = server.Close() })
	send := func(method, path, contentType string, body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("If-Match", "*")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		return w
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := send(http.MethodPost, "/whip", "application/sdp", body)
		switch w.Code {
		case 201:
		case 400, 413, 422:
			if server.Stats().Sessions != 0 {
				t.Fatal("a refused offer left a session")
			}
			return
		default:
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		session := w.Header().Get("Location")
		patched := send(http.MethodPatch, session, "application/trickle-ice-sdpfrag", body)
		if patched.Code >= 500 {
			t.Fatalf("status %d: %s", patched.Code, patched.Body)
		}
		s := server.Sessions()[0]
		if w := send(http.MethodDelete, session, "", nil); w.Code != 200 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		select {
		case <-s.Done():
		case <-time.After(time.Minute):
			t.Fatal("the session does not end")
		}
	})
}
