package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
)

// startSecuredStack starts servers as a hosting company has them: TLS by an
// authority of its own, which the environment names, and users with passwords and
// the rights it takes.
func startSecuredStack(t *testing.T, password string) *stack {
	t.Helper()
	mediatest.Tool(t, "ffmpeg")
	authority := mediatest.NewAuthority(t)
	certificate := authority.Issue(t, "server", "127.0.0.1")
	s := &stack{
		t:        t,
		database: postgrestest.Start(t, postgrestest.Options{Certificate: certificate}),
		redis:    redistest.StartSecured(t, certificate),
		storage:  objectstest.StartSecured(t, certificate),
	}
	for _, sql := range []string{"CREATE ROLE radio LOGIN PASSWORD '" + password + "'", "CREATE DATABASE radio OWNER radio"} {
		if err := s.database.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	at := url.URL{Scheme: "postgres", User: url.UserPassword("radio", password), Host: s.database.Address(), Path: "radio", RawQuery: "sslmode=verify-full"}
	s.bucket, s.url = s.storage.Bucket(t, "radio"), at.String()+"&sslrootcert="+url.QueryEscape(authority.File)
	s.env = []string{
		"SSL_CERT_FILE=" + authority.File,
		"ROADWAVE_DATABASE_URL=" + at.String(),
		"ROADWAVE_REDIS_URL=" + s.redis.User(t, "deploy/redis/roadwave.acl", password),
		"ROADWAVE_STORAGE_URL=" + s.bucket,
		"AWS_ACCESS_KEY_ID=" + s.storage.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.storage.SecretKey,
	}
	return s
}

// From the creator to the replay on such servers. Nobody logs a secret.
func TestSecuredServices(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-of-the-house"
	s := startSecuredStack(t, password)
	d, w := s.daemon(), s.worker()
	creator := d.publish(programme(6*time.Second), "title=Chiffr%C3%A9", nil)
	d.leave(creator.id, d.join(creator.id, "léa"))
	creator.wait(t)
	r := d.replayOf(creator.id, 2*time.Minute)
	if mp3 := d.body(strings.TrimPrefix(r.MP3URL, d.url)); len(mp3) < 30_000 {
		t.Errorf("the MP3 has %d bytes", len(mp3))
	}
	d.eventually("the audit log has the whole live", 20*time.Second, func() bool {
		return s.events(creator.id) == "live_start join leave live_end"
	})
	for _, p := range []*testProcess{d.testProcess, w} {
		p.stop()
		for _, secret := range []string{password, s.storage.SecretKey} {
			if strings.Contains(p.logs.String(), secret) {
				t.Error("a secret is in the log")
			}
		}
		for _, refusal := range []string{"NOPERM", "permission denied", "x509"} {
			if strings.Contains(p.logs.String(), refusal) {
				t.Errorf("%s is in the log", refusal)
			}
		}
	}
}
