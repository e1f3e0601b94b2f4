package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// crashEnv makes the test binary the victim of TestKilled: it holds the path of
// the catalog to write to.
const crashEnv = "ROADWAVE_TEST_SQLITE_VICTIM"

// TestVictim is not a test: it writes lives until it is killed, and says so after
// each.
func TestVictim(t *testing.T) {
	path := os.Getenv(crashEnv)
	if path == "" {
		t.Skip("only runs for TestKilled")
	}
	c, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		id := fmt.Sprint(i)
		if err := c.StartLive(context.Background(), live(id)); err != nil {
			t.Fatal(err)
		}
		if err := c.EndLive(context.Background(), id, station.End{At: live(id).StartedAt, State: station.Ended}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("ended", id)
	}
}

// A process is killed while it writes: whatever it was told is written is there,
// and what it was at is there as a whole or not at all.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "ended ") {
			acknowledged++
		}
		if acknowledged == 40 {
			cmd.Process.Kill() // and read what it still managed to say
		}
	}
	cmd.Wait()
	if acknowledged < 40 {
		t.Fatalf("the victim ended by itself after %d lives", acknowledged)
	}

	c := open(t, path)
	for i := range acknowledged {
		if _, err := c.Job(t.Context(), fmt.Sprint(i)); err != nil {
			t.Errorf("live %d of %d was lost: %v", i, acknowledged, err)
		}
	}
	jobs, err := c.ListJobs(t.Context(), station.JobQuery{Limit: station.MaxPage})
	if err != nil || len(jobs) > acknowledged+1 {
		t.Errorf("%d jobs of %d lives (%v)", len(jobs), acknowledged, err)
	}
	over, err := c.ListLives(t.Context(), station.LiveQuery{State: station.Ended, Limit: station.MaxPage})
	if err != nil || len(over) != len(jobs) {
		t.Errorf("%d lives are over and %d have jobs (%v)", len(over), len(jobs), err)
	}
}
