package deploy_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
)

// TestTLS serves HTTP/2, sends people there, and reads from a bucket that must
// prove who it is.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate := mediatest.NewAuthority(t).Issue(t, "nginx", "localhost")
	pair, err := tls.LoadX509KeyPair(certificate.File, certificate.Key)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(certificate.Authority)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	bucket := httptest.NewUnstartedServer(carelessBucket(newBucket(t)))
	bucket.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	bucket.StartTLS()
	t.Cleanup(bucket.Close)
	daemon := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen", r.Header.Get("X-Forwarded-Proto"))
	}))
	_, port, _ := strings.Cut(bucket.Listener.Addr().String(), ":")
	config := deploy.NginxConfig{Daemons: []string{daemon.address()}, Bucket: "https://localhost:" + port + "/radio/fm",
		BucketCA: certificate.Authority, Certificate: certificate.File, Key: certificate.Key}
	n := deploytest.Nginx(t, config)

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	secure := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	ask := func(url string) (answer, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := secure.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a, err := read(response, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a, response.Proto
	}
	if a, protocol := ask(n.URL + livePrefix + "opus/run1-0.mp4"); a.status != 200 || len(a.body) != 20000 || protocol != "HTTP/2.0" {
		t.Errorf("%d, %d bytes over %s", a.status, len(a.body), protocol)
	}
	if a, _ := ask(n.URL + "/v1/lives"); a.header.Get("Seen") != "https" {
		t.Errorf("the daemon saw %q", a.header.Get("Seen"))
	}
	if a := get(t, n.Redirect+"/listen/x?y"); a.status != 301 || a.header.Get("Location") != "https://127.0.0.1/listen/x?y" {
		t.Errorf("without TLS: %d %v", a.status, a.header)
	}

	config.BucketCA, config.Folder = mediatest.NewAuthority(t).File, ""
	n = deploytest.Nginx(t, config)
	if a, _ := ask(n.URL + livePrefix + "opus/run1-0.mp4"); a.status != 502 {
		t.Errorf("a bucket that is somebody else: %d", a.status)
	}
}
