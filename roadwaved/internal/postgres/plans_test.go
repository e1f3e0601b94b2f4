package postgres

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A recorder keeps the queries that a catalog sends.
type recorder struct {
	mu   sync.Mutex
	sent []pgx.TraceQueryStartData
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, q)
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// take gives what was sent since the last call.
func (r *recorder) take() []pgx.TraceQueryStartData {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.sent
	r.sent = nil
	return sent
}

// A plan is a node of what EXPLAIN says.
type plan struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Plans    []plan  `json:"Plans"`
}

func (p plan) String() string {
	s := p.Type
	if p.Index != "" {
		s += " " + p.Index
	}
	s += fmt.Sprintf(" %.0f", p.Rows)
	if p.Removed > 0 {
		s += fmt.Sprintf(" of %.0f", p.Rows+p.Removed)
	}
	for _, child := range p.Plans {
		s += " < " + child.String()
	}
	return s
}

// walk visits a node and all below it.
func (p plan) walk(visit func(p plan)) {
	visit(p)
	for _, child := range p.Plans {
		child.walk(visit)
	}
}

// explain runs a query again and tells how it was done; what it writes is undone.
func explain(t *testing.T, c *Catalog, q pgx.TraceQueryStartData) (plan, time.Duration) {
	t.Helper()
	tx, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	var out []byte
	if err := tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+q.SQL, q.Args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", q.SQL, err)
	}
	var result []struct {
		Plan      plan
		Planning  float64 `json:"Planning Time"`
		Execution float64 `json:"Execution Time"`
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	ms := result[0].Planning + result[0].Execution
	return result[0].Plan, time.Duration(ms * float64(time.Millisecond)).Round(10 * time.Microsecond)
}

// fill makes a catalog with n lives, jobs, replays and events. Indexes are made
// last and words looked up in a few titles, which is ten times faster.
func fill(t *testing.T, c *Catalog, n int) {
	t.Helper()
	events := make([]station.Event, 10)
	for i := range events {
		events[i].At = newestStart.Add(-time.Duration(i) * day)
	}
	if err := c.makeDays(t.Context(), daysOf(events)); err != nil {
		t.Fatal(err)
	}
	conn, err := c.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{`
		SET session_replication_role = replica; -- foreign keys hold by construction
		SET statement_timeout = 0;
		SELECT setseed(0.5);
		SET maintenance_work_mem = '256MB'`, `
		CREATE TEMP TABLE definitions AS SELECT indexname, indexdef FROM pg_indexes
			WHERE schemaname = current_schema() AND tablename IN ('lives', 'replay_jobs', 'replays') AND indexname !~ 'key$'`, `
		DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM definitions LOOP EXECUTE 'DROP INDEX ' || r.indexname; END LOOP; END $$`, `
		CREATE TEMP TABLE titles AS SELECT n, title, to_tsvector('pg_catalog.simple', roadwave_plain(title)) || to_tsvector('pg_catalog.french', roadwave_plain(title)) AS words
			FROM (SELECT n, (ARRAY['Bouchons sur l''A', 'Météo de la nationale ', 'Embouteillages à Lyon, sortie ', 'Nuit blanche n° '])[1 + n % 4] || n
				|| (ARRAY[' — été', ' et musique', ' avec Léa'])[1 + n % 3] AS title FROM generate_series(0, 1999) n) AS t`, `
		ALTER TABLE lives ALTER COLUMN title_words DROP EXPRESSION`, fmt.Sprintf(`
		INSERT INTO lives (live_id, creator_id, title, started_at, zone_geo, tags, classification_age, premium, state, node, ended_at, title_words)
			SELECT md5(i::text)::uuid, 'creator-' || floor(power(random(), 3) * 20000), title, '%s'::timestamptz - i * interval '90 s',
				'zone-' || floor(power(random(), 2) * 100), ARRAY['tag-' || floor(power(random(), 3) * 500), 'tag-' || floor(power(random(), 3) * 500), 'direct'],
				'tout public', false, CASE WHEN i < 100 THEN 'on_air' WHEN i %% 1000 = 0 THEN 'lost' ELSE 'ended' END, 'node-' || i %% 4,
				CASE WHEN i >= 100 THEN now() END, words
			FROM generate_series(0, %d) AS i JOIN titles ON titles.n = (i::bigint * 7919) %% 2000`, newestStart.Format(time.RFC3339), n-1), `
		INSERT INTO replay_jobs (live_id, node, priority, opened_at, state, lease_until, updated_at)
			SELECT live_id, node, 0, started_at, s, CASE s WHEN 'running' THEN now() END, started_at FROM (SELECT *,
				(ARRAY['pending', 'running', 'uploading', 'parked', 'empty', 'done'])[1 + least(5, extract(epoch FROM started_at)::bigint / 90 % 5000)] AS s
				FROM lives WHERE state <> 'on_air') AS l`, `
		INSERT INTO replays SELECT live_id, live_id, title, 'Géo-neutre', started_at, 3600, '', -14, 0 FROM lives WHERE state <> 'on_air'`, `
		INSERT INTO counter_samples SELECT live_id, started_at, 1, 1, 1, 1 FROM lives`, `
		INSERT INTO audit_lives SELECT live_id, started_at FROM lives`, fmt.Sprintf(`
		INSERT INTO audit_events SELECT gen_random_uuid(), '%s'::timestamptz - random() * interval '9 days',
				CASE WHEN i %% 5000 = 0 THEN 'report' WHEN i %% 50 = 0 THEN 'like' WHEN i %% 2 = 0 THEN 'join' ELSE 'leave' END,
				md5((i %% 500)::text)::uuid, 'user-' || i %% 10007, '', 43.5, 7.1, '', 0, 0, 0, 0, 0, 0, 0, 0
			FROM generate_series(0, %d) AS i`, newestStart.Format(time.RFC3339), n-1), `
		DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM definitions LOOP EXECUTE r.indexdef; END LOOP; END $$`, `
		VACUUM ANALYZE`, `
		RESET ALL`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

var newestStart = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// liveNumber is the id of a live that fill made; 0 is the newest.
func liveNumber(n int) string { return uuid.UUID(md5.Sum([]byte(fmt.Sprint(n)))).String() }

// TestPlans fills a catalog and looks at how each query is done that the code
// sends: none may read or sort more than a small part of a table. With
// ROADWAVE_TEST_BIG=1 that is on a million rows.
func TestPlans(t *testing.T) {
	n := 100_000
	if os.Getenv("ROADWAVE_TEST_BIG") == "1" {
		n = 1_000_000
	}
	pc, err := parse(empty(t))
	if err != nil {
		t.Fatal(err)
	}
	sent := &recorder{}
	pc.ConnConfig.Tracer = sent
	c, err := open(t.Context(), pc, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	fill(t, c, n)
	t.Logf("%d rows made in %v", n, time.Since(began).Round(time.Millisecond))

	ctx := t.Context()
	lives := func(q station.LiveQuery) func() (int, error) {
		return func() (int, error) { l, err := c.ListLives(ctx, q); return len(l), err }
	}
	jobs := func(q station.JobQuery) func() (int, error) {
		return func() (int, error) { j, err := c.ListJobs(ctx, q); return len(j), err }
	}
	events := func(q station.EventQuery) func() (int, error) {
		return func() (int, error) { e, err := c.ListEvents(ctx, q); return len(e), err }
	}
	middle := newestStart.Add(-time.Duration(n/2) * 90 * time.Second)
	for _, tt := range []struct {
		name string
		run  func() (rows int, err error)
	}{
		{"lives: newest", lives(station.LiveQuery{})},
		{"lives: a page in the middle", lives(station.LiveQuery{Before: middle, BeforeID: liveNumber(n / 2)})},
		{"lives: on air", lives(station.LiveQuery{State: station.OnAir})},
		{"lives: on air, node", lives(station.LiveQuery{State: station.OnAir, Node: "node-1"})},
		{"lives: on air, zone", lives(station.LiveQuery{State: station.OnAir, ZoneGeo: "zone-0"})},
		{"lives: on air, text", lives(station.LiveQuery{State: station.OnAir, Text: "météo"})},
		{"lives: ended", lives(station.LiveQuery{State: station.Ended})},
		{"lives: lost", lives(station.LiveQuery{State: station.Lost})},
		{"lives: lost, a page in the middle", lives(station.LiveQuery{State: station.Lost, Before: middle})},
		{"lives: node", lives(station.LiveQuery{Node: "node-1"})},
		{"lives: creator with many", lives(station.LiveQuery{CreatorID: "creator-0"})},
		{"lives: creator with few", lives(station.LiveQuery{CreatorID: "creator-19000"})},
		{"lives: creator, a page in the middle", lives(station.LiveQuery{CreatorID: "creator-0", Before: middle})},
		{"lives: unknown creator", lives(station.LiveQuery{CreatorID: "nobody"})},
		{"lives: zone, time", lives(station.LiveQuery{ZoneGeo: "zone-1", Since: middle.Add(-day), Before: middle})},
		{"lives: zone", lives(station.LiveQuery{ZoneGeo: "zone-99"})},
		{"lives: time", lives(station.LiveQuery{Since: middle.Add(-day), Before: middle})},
		{"lives: tag of all", lives(station.LiveQuery{Tag: "direct"})},
		{"lives: frequent tag", lives(station.LiveQuery{Tag: "tag-0"})},
		{"lives: rare tag", lives(station.LiveQuery{Tag: "tag-499"})},
		{"lives: unknown tag", lives(station.LiveQuery{Tag: "nothing"})},
		{"lives: frequent word", lives(station.LiveQuery{Text: "bouchons"})},
		{"lives: beginning of a frequent word", lives(station.LiveQuery{Text: "bouch"})},
		{"lives: rare word", lives(station.LiveQuery{Text: "a1236"})},
		{"lives: frequent and rare word", lives(station.LiveQuery{Text: "bouchons a1236"})},
		{"lives: unknown word", lives(station.LiveQuery{Text: "xyzzy"})},
		{"lives: word and tag", lives(station.LiveQuery{Text: "musique", Tag: "tag-1"})},
		{"lives: word and zone", lives(station.LiveQuery{Text: "météo", ZoneGeo: "zone-50"})},
		{"live", func() (int, error) { _, err := c.Live(ctx, liveNumber(5)); return 1, err }},
		{"live: end", func() (int, error) {
			return 1, c.EndLive(ctx, liveNumber(99), station.End{At: newestStart, State: station.Ended})
		}},
		{"jobs: all", jobs(station.JobQuery{})},
		{"jobs: to do", jobs(station.JobQuery{States: []station.JobState{station.JobPending, station.JobRunning}})},
		{"jobs: to do, a page in the middle", jobs(station.JobQuery{
			States: []station.JobState{station.JobPending, station.JobRunning}, After: middle, AfterID: liveNumber(n / 2)})},
		{"jobs: uploading, node", jobs(station.JobQuery{States: []station.JobState{station.JobUploading}, Node: "node-1"})},
		{"jobs: parked", jobs(station.JobQuery{States: []station.JobState{station.JobParked}})},
		{"jobs: empty", jobs(station.JobQuery{States: []station.JobState{station.JobEmpty}})},
		{"jobs: done", jobs(station.JobQuery{States: []station.JobState{station.JobDone}})},
		{"job: claim", func() (int, error) { return 1, claimAny(ctx, c) }},
		{"replays: newest", func() (int, error) { r, err := c.ListReplays(ctx, station.ReplayQuery{}); return len(r), err }},
		{"replays: a page in the middle", func() (int, error) {
			r, err := c.ListReplays(ctx, station.ReplayQuery{Before: middle})
			return len(r), err
		}},
		{"replay of a live", func() (int, error) { _, err := c.ReplayOf(ctx, liveNumber(500)); return 1, err }},
		{"events: oldest", events(station.EventQuery{})},
		{"events: time", events(station.EventQuery{Since: newestStart.Add(-3 * day), Until: newestStart.Add(-2 * day)})},
		{"events: a page in the middle", events(station.EventQuery{After: newestStart.Add(-5 * day), AfterID: liveNumber(1)})},
		{"events: live", events(station.EventQuery{LiveID: liveNumber(7)})},
		{"events: user", events(station.EventQuery{UserID: "user-77"})},
		{"events: reports", events(station.EventQuery{Kind: station.EventReport})},
		{"events: joins", events(station.EventQuery{Kind: station.EventJoin})},
		{"events: recorded", func() (int, error) { return 500, c.Record(ctx, visits(newestStart, 500), nil) }},
		{"reactors", func() (int, error) { r, err := c.Reactors(ctx, liveNumber(50), station.Like); return len(r), err }},
		{"samples", func() (int, error) { s, err := c.ListSamples(ctx, liveNumber(7)); return len(s), err }},
	} {
		sent.take()
		rows, err := tt.run()
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, q := range sent.take() {
			if verb, _, _ := strings.Cut(strings.TrimSpace(q.SQL), " "); !slices.Contains([]string{"SELECT", "UPDATE"}, strings.TrimSpace(verb)) {
				continue // no plan to speak of
			}
			p, took := explain(t, c, q)
			t.Logf("%-36s %4d rows %10v  %v", tt.name, rows, took, p)
			p.walk(func(p plan) {
				if p.Type == "Seq Scan" && p.Rows+p.Removed > 100 {
					t.Errorf("%s: reads the whole of %s\n%s", tt.name, p.Relation, q.SQL)
				}
				most := float64(n) / 20
				if p.Type == "Bitmap Index Scan" {
					most *= 4 // entries of an index, of which a BitmapAnd leaves few
				}
				if read := (p.Rows + p.Removed) * p.Loops; read > most {
					t.Errorf("%s: %s handles %.0f rows of %d\n%s", tt.name, p.Type, read, n, q.SQL)
				}
			})
		}
	}
}

// claimAny claims a job that waits.
func claimAny(ctx context.Context, c *Catalog) error {
	waiting, err := c.ListJobs(ctx, station.JobQuery{States: []station.JobState{station.JobPending}, Limit: 1})
	if err == nil {
		_, err = c.Claim(ctx, waiting[0].LiveID, "w", newestStart, time.Minute)
	}
	return err
}
