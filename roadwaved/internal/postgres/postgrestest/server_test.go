package postgrestest_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What was committed outlives a crash, at the same address.
func TestStopAndStart(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{Durable: true, Settings: map[string]string{"work_mem": "5MB"}})
	databaseURL := s.Database(t)
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var fsync, memory string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('fsync'), current_setting('work_mem')").Scan(&fsync, &memory); err != nil || fsync != "on" || memory != "5MB" {
		t.Errorf("fsync %s, work_mem %s (%v)", fsync, memory, err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept (n integer); INSERT INTO kept VALUES (42)"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if conn, err := pgx.Connect(t.Context(), databaseURL); err == nil {
			conn.Close(t.Context())
			t.Fatal("a stopped server answers")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		again, err := pgx.Connect(t.Context(), databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := again.QueryRow(t.Context(), "SELECT n FROM kept").Scan(&n); err != nil || n != 42 {
			t.Errorf("read %d (%v)", n, err)
		}
		again.Close(t.Context())
	}
	wrong := strings.Replace(databaseURL, s.Password(), "wrong", 1)
	if conn, err := pgx.Connect(t.Context(), wrong); err == nil {
		conn.Close(t.Context())
		t.Error("any password is good enough")
	}
}

func TestCopy(t *testing.T) {
	s := postgrestest.Start(t, postgrestest.Options{})
	original := s.Database(t)
	conn, err := pgx.Connect(t.Context(), original)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept (n integer)"); err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	conn, err = pgx.Connect(t.Context(), s.Copy(t, original))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SELECT n FROM kept"); err != nil {
		t.Error(err)
	}
}
