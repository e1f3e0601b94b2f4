package deploy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/deploy"
	"github.com/roadwave/roadwave/roadwaved/deploy/deploytest"
)

// newCertificate makes a certificate of localhost that vouches for itself.
func newCertificate(t *testing.T) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate, key = write("certificate.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return certificate, key, pool
}

// TestTLS serves HTTP/2, sends people there, and reads from a bucket that must
// prove who it is.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, key, pool := newCertificate(t)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	bucket := httptest.NewUnstartedServer(carelessBucket(newBucket(t)))
	bucket.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	bucket.StartTLS()
	t.Cleanup(bucket.Close)
	daemon := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen", r.Header.Get("X-Forwarded-Proto"))
	}))
	_, port, _ := strings.Cut(bucket.Listener.Addr().String(), ":")
	config := deploy.NginxConfig{Daemons: []string{daemon.address()}, Bucket: "https://localhost:" + port + "/radio/fm", BucketCA: certificate, Certificate: certificate, Key: key}
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

	other, _, _ := newCertificate(t)
	config.BucketCA, config.Folder = other, ""
	n = deploytest.Nginx(t, config)
	if a, _ := ask(n.URL + livePrefix + "opus/run1-0.mp4"); a.status != 502 {
		t.Errorf("a bucket that is somebody else: %d", a.status)
	}
}
