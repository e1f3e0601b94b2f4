package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// killed runs a test of this binary as another process and kills it once it has
// said n lines that begin with word. It tells how many it said.
func killed(t *testing.T, test, env, word string, n int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), word+" ") {
			acknowledged++
		}
		if acknowledged == n {
			cmd.Process.Kill() // and read what it still managed to say
		}
	}
	cmd.Wait()
	if acknowledged < n {
		t.Fatalf("the victim ended by itself after %d of %d", acknowledged, n)
	}
	return acknowledged
}

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
	acknowledged := killed(t, "TestVictim", crashEnv+"="+path, "ended", 40)
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

// outboxCrashEnv makes the test binary the victim of TestOutboxKilled.
const outboxCrashEnv = "ROADWAVE_TEST_OUTBOX_VICTIM"

// TestOutboxVictim is not a test: it appends and drops until it is killed.
func TestOutboxVictim(t *testing.T) {
	path := os.Getenv(outboxCrashEnv)
	if path == "" {
		t.Skip("only runs for TestOutboxKilled")
	}
	o, err := OpenOutbox(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		batch := events(7)
		for j := range batch {
			batch[j].ID = fmt.Sprint(7*i + j)
		}
		if err := o.Append(context.Background(), batch, nil); err != nil {
			t.Fatal(err)
		}
		fmt.Println("kept", i)
		if i%10 == 9 { // the first half of a batch is delivered
			_, _, through, err := o.Next(context.Background(), 3)
			if err != nil {
				t.Fatal(err)
			}
			if err := o.Drop(context.Background(), through); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A process is killed while it appends: every batch that was acknowledged is
// there, the one it was at is there as a whole or not at all, in order.
func TestOutboxKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	acknowledged := killed(t, "TestOutboxVictim", outboxCrashEnv+"="+path, "kept", 65)
	o := openBox(t, path)
	if o.Damaged() != "" {
		t.Errorf("the outbox is damaged: %s", o.Damaged())
	}
	got, _, _, err := o.Next(t.Context(), 1_000_000)
	if n, lenErr := o.Len(t.Context()); err != nil || lenErr != nil || n != len(got) || n == 0 {
		t.Fatalf("%d records, and %d wait (%v, %v)", len(got), n, err, lenErr)
	}
	first, last := -1, -1
	for _, e := range got {
		n, err := strconv.Atoi(e.ID)
		if err != nil || (last >= 0 && n != last+1) {
			t.Fatalf("record %q follows record %d", e.ID, last)
		}
		if first < 0 {
			first = n
		}
		last = n
	}
	batches := (last + 1) / 7
	if (last+1)%7 != 0 || batches < acknowledged || batches > acknowledged+1 {
		t.Errorf("records up to %d are there, %d batches of 7 were acknowledged", last, acknowledged)
	}
	if dropped := first; dropped%3 != 0 || dropped > 3*(batches/10) || dropped < 3*(acknowledged/10-1) {
		t.Errorf("%d records are gone after %d batches", dropped, batches)
	}
}
