package postgres

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// with changes parameters of a URL; those that become empty go.
func with(t *testing.T, databaseURL string, parameters ...string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for i := 0; i < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
		if parameters[i+1] == "" {
			q.Del(parameters[i])
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// as changes who connects.
func as(t *testing.T, databaseURL string, user *url.Userinfo) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = user
	return u.String()
}

// A server that takes TLS alone, by a certificate of an authority that the
// system does not know.
func TestSecured(t *testing.T) {
	authority := mediatest.NewAuthority(t)
	s := postgrestest.Start(t, postgrestest.Options{Certificate: authority.Issue(t, "server", "127.0.0.1")})
	databaseURL := s.Database(t)
	if _, _, err := Migrate(t.Context(), databaseURL, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), "CREATE ROLE certified LOGIN IN ROLE roadwave"); err != nil {
		t.Fatal(err)
	}
	client, other := authority.Issue(t, postgrestest.CertifiedUser), mediatest.NewAuthority(t)
	certified := with(t, as(t, databaseURL, url.User(postgrestest.CertifiedUser)), "sslcert", client.File, "sslkey", client.Key)
	const secret = "s3cr3t-of-the-house"
	for _, tt := range []struct {
		name, url string
		want      string // what the error says; empty: it works
	}{
		{"verify-full", databaseURL, ""},
		{"verify-ca", with(t, databaseURL, "sslmode", "verify-ca"), ""},
		{"require", with(t, databaseURL, "sslmode", "require", "sslrootcert", ""), ""},
		{"by a certificate", certified, ""},
		{"nothing said", with(t, databaseURL, "sslmode", "", "sslrootcert", ""), ""},
		{"another authority", with(t, databaseURL, "sslrootcert", other.File), "sslrootcert"},
		{"another authority, verify-ca", with(t, databaseURL, "sslmode", "verify-ca", "sslrootcert", other.File), "sslrootcert"},
		{"the system's authorities", with(t, databaseURL, "sslrootcert", ""), "SSL_CERT_FILE"},
		{"another name", strings.Replace(databaseURL, "127.0.0.1", "localhost", 1), "verify-ca"},
		{"no such file", with(t, databaseURL, "sslrootcert", "/nowhere.pem"), "/nowhere.pem"},
		{"without TLS", with(t, databaseURL, "sslmode", "disable"), "sslmode"},
		{"without a certificate", as(t, databaseURL, url.User(postgrestest.CertifiedUser)), "certificate"},
		{"wrong password", as(t, databaseURL, url.UserPassword("roadwave", secret)), "password authentication failed"},
	} {
		_, _, merr := Migrate(t.Context(), tt.url, nil)
		c, err := Open(t.Context(), tt.url, Config{})
		if err == nil {
			if err := c.StartLive(t.Context(), liveCalled("t")); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			c.Close()
		}
		for _, err := range []error{merr, err} {
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%s: %v", tt.name, err)
			case tt.want != "" && (err == nil || errors.Is(err, station.ErrAway) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%s: %v, want it to say %q", tt.name, err, tt.want)
			case err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), s.Password()) || strings.Contains(err.Error(), "\n")):
				t.Errorf("%s: the error tells the password, or is not a line: %v", tt.name, err)
			}
		}
	}
	t.Run("no TLS here", func(t *testing.T) {
		_, err := Open(t.Context(), with(t, postgrestest.Shared(t).URL(), "sslmode", "require"), Config{})
		if err == nil || errors.Is(err, station.ErrAway) || !strings.Contains(err.Error(), "sslmode") {
			t.Errorf("a server without TLS: %v", err)
		}
	})
}

// A role that has everything but what the daemons' role must have.
func TestPrivileges(t *testing.T) {
	s := postgrestest.Shared(t)
	run := func(databaseURL string, statements ...string) {
		t.Helper()
		for _, sql := range statements {
			exec(t, databaseURL, sql)
		}
	}
	run(s.URL(), "CREATE ROLE guest LOGIN PASSWORD 'guest'")
	t.Cleanup(func() { s.Exec(context.Background(), "DROP ROLE guest") })
	guest := url.UserPassword("guest", "guest")
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, station.ErrAway) || !strings.Contains(err.Error(), ownership) || strings.Count(err.Error(), ownership) != 1 {
			t.Errorf("%s: %v", what, err)
		}
	}

	bare := s.Database(t)
	run(bare, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	_, _, err := Migrate(t.Context(), as(t, bare, guest), nil)
	refused("making tables", err)

	theirs := empty(t)
	_, err = Open(t.Context(), as(t, theirs, guest), Config{})
	refused("reading", err)
	run(theirs, "GRANT ALL ON SCHEMA public TO guest", "GRANT ALL ON ALL TABLES IN SCHEMA public TO guest")
	_, _, err = Migrate(t.Context(), as(t, theirs, guest), nil)
	refused("starting on tables of another role", err)
	c := openAt(t, as(t, theirs, guest))
	refused("adding a partition", c.Record(t.Context(), visits(newestStart, 1), nil))
	if _, err := c.ListJobs(t.Context(), station.JobQuery{}); err != nil {
		t.Errorf("looking: %v", err)
	}
}

func TestServersThatDoNotDo(t *testing.T) {
	for _, tt := range []struct {
		version        int
		name, encoding string
		want           string
	}{
		{120022, "12.22", "UTF8", "13 or later"},
		{150004, "15.4", "LATIN1", "ENCODING 'UTF8'"},
		{130000, "13.0", "UTF8", ""},
		{180001, "18.1", "UTF8", ""},
	} {
		err := suits(tt.version, tt.name, tt.encoding)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("PostgreSQL %s in %s: %v", tt.name, tt.encoding, err)
		}
	}
}
