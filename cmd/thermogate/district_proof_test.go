package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"thermogate/screening/console/district"
	"thermogate/screening/console/district/natstest"
	"thermogate/screening/console/postgrestest"
	"thermogate/testdata"
)

// TestADistrictLosesNothing has the plants of a district send while its parts are killed one after the other, and then all
// of its servers: in the end the district holds every event once, and counts what was sent. deploy/soak-district runs it at
// full size.
func TestADistrictLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short, it takes more than a minute")
	}
	p := newProof(t, sizeOfDistrict(t))
	p.run()
	p.check()
	p.report()
}

// takenOver is by when another console must store what plants tell once the one that did is killed, however busy the machine.
const takenOver = time.Minute

// TestAnotherConsoleTakesOver has two consoles on one database, of which each is killed while the other stands by: that goes
// on within seconds, every event is there once and counted once, and who was logged in at one is at the other.
func TestAnotherConsoleTakesOver(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short, it takes more than a minute")
	}
	p := newProof(t, size{plants: 6, gates: 5, eventsPerSecond: 60, length: 40 * time.Second})
	other := configureConsole(t, p.console.binary, p.nats.URLs(), p.database)
	other.start()
	other.look(p.page.client)
	p.plants = startProgram(t, "simulate", "--district", strings.Join(p.nats.URLs(), ","), "--plants", fmt.Sprint(p.size.plants),
		"--gates", fmt.Sprint(p.size.gates), "--rate", "2", "--duration", p.size.length.String(), "--ids", p.ids)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { p.watch(ctx) })
	p.begin(quiet)
	for _, one := range []*consoleProcess{p.console, other, p.console} { // each leads when it is killed
		p.waitForMore(takenOver)
		p.change(func() error { one.kill(); return nil })
		p.waitForMore(takenOver)
		p.change(func() error { one.start(); return nil })
	}
	t.Log(p.plants.wait())
	p.begin("over")
	p.waitForAll(ctx)
	p.check()
}

// waitForMore returns once the district holds more events than now, which it must soon.
func (p *proof) waitForMore(soon time.Duration) {
	p.t.Helper()
	held := func() (n int64) {
		if err := p.db.QueryRowContext(p.t.Context(), "SELECT count(*) FROM events").Scan(&n); err != nil {
			p.t.Fatal(err)
		}
		return n
	}
	began := time.Now()
	for before := held(); held() == before; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > soon {
			p.t.Fatalf("nothing is stored for %v", soon)
		}
	}
	p.t.Logf("more is stored after %v", time.Since(began).Round(time.Millisecond))
}

// size is how much a district has to carry.
type size struct {
	plants, gates   int // gates of each plant
	eventsPerSecond int
	length          time.Duration
	starting        int // gates of one plant that start at once
}

func sizeOfDistrict(t *testing.T) size {
	s := size{plants: 6, gates: 5, eventsPerSecond: 60, length: time.Minute, starting: 40}
	for name, value := range map[string]*int{"PLANTS": &s.plants, "GATES": &s.gates, "EVENTS": &s.eventsPerSecond, "STARTING": &s.starting} {
		if text := os.Getenv("THERMOGATE_DISTRICT_" + name); text != "" {
			var err error
			if *value, err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if text := os.Getenv("THERMOGATE_DISTRICT_LENGTH"); text != "" {
		var err error
		if s.length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// proof is a district on this machine: three NATS servers, PostgreSQL, the console, and a process that is all plants.
type proof struct {
	t        *testing.T
	size     size
	ids      string // file with what the plants have made
	postgres *postgrestest.Server
	database string // its address
	db       *sql.DB
	console  *consoleProcess
	page     *page
	plants   *programProcess
	phases   []phase
	told     string // by the plants at their end
	starting string // by the gates that started at once

	mu     sync.Mutex // held while a process is killed or started
	nats   *natstest.Cluster
	meters map[string]*meter
	steps  []step
	queued natsUse
}

// phase is a part of the run that begins with something that happens to the district.
type phase struct {
	name     string
	from     time.Time
	restored time.Time // when what was broken was started again
}

// step is how far plants and district are at a time.
type step struct {
	at          time.Time
	made, holds int64
	uncounted   int64 // of those that the district holds
}

// uncounted are the events that are stored and not counted yet.
const uncounted = "(SELECT CAST(coalesce(sum(events), 0) AS BIGINT) FROM uncounted)"

// natsUse is what the servers hold when most waits in them.
type natsUse struct {
	messages      uint64
	bytes, onDisk uint64 // of one server; the disk also has what was removed a moment ago
}

func newProof(t *testing.T, size size) *proof {
	p := &proof{t: t, size: size, ids: filepath.Join(t.TempDir(), "ids"), meters: map[string]*meter{}}
	var err error
	if p.nats, err = natstest.Start(3, natstest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.nats.Stop)
	if p.postgres, err = postgrestest.Start(); err != nil {
		t.Skip("skipped: ", err)
	}
	t.Cleanup(p.postgres.Stop)
	if p.database, err = p.postgres.Database(); err != nil {
		t.Fatal(err)
	}
	if p.db, err = sql.Open("pgx", p.database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.db.Close() })
	p.console = newConsoleProcess(t, p.nats.URLs(), p.database)
	p.console.start()
	p.page = watchPage(t, p.console)
	return p
}

const quiet = "nothing is broken"

// run lets everything happen that the phases are named for. Their times are tenths of the whole, after two of them for a
// district that sees its plants for the first time.
func (p *proof) run() {
	tenths := func(n float64) time.Duration { return time.Duration(n * float64(p.size.length) / 10) }
	p.plants = startProgram(p.t, "simulate", "--district", strings.Join(p.nats.URLs(), ","), "--plants", fmt.Sprint(p.size.plants),
		"--gates", fmt.Sprint(p.size.gates), "--rate", fmt.Sprint(float64(p.size.eventsPerSecond)/float64(p.size.plants*p.size.gates)),
		"--duration", (p.size.length + tenths(2)).String(), "--ids", p.ids)
	begin := time.Now().Add(tenths(2))
	until := func(n float64) { time.Sleep(time.Until(begin.Add(tenths(n)))) }
	away := tenths(0.25)
	ctx, cancel := context.WithCancel(p.t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { p.watch(ctx) })

	p.begin("all plants come at once")
	until(0)
	p.begin(quiet)
	until(1)
	p.begin("stream leader killed")
	leader := p.leader()
	p.change(func() error { return p.nats.KillNode(leader) })
	time.Sleep(away)
	p.restore(func() error { return p.nats.StartNode(leader) })
	until(2.5)
	p.begin("console killed")
	p.change(func() error { p.console.kill(); return nil })
	time.Sleep(away / 4) // systemd starts it again
	p.restore(func() error { p.console.start(); return nil })
	until(4)
	p.begin("PostgreSQL killed")
	p.change(func() error { p.postgres.Kill(); return nil })
	time.Sleep(away)
	p.restore(p.postgres.Restart)
	until(5.5)
	p.begin("all servers killed")
	p.change(func() error { return p.eachNode(p.nats.KillNode) })
	until(7.6)
	p.begin("all servers back")
	p.restore(func() error { return p.eachNode(p.nats.StartNode) })
	until(9)
	p.begin(fmt.Sprint(p.size.starting, " gates of a plant start"))
	p.starting = startGatesAtOnce(p.t, p.size.starting, tenths(0.5))
	p.told = p.plants.wait()
	p.begin("over")
	p.waitForAll(ctx)
}

// startGatesAtOnce is beside the district: the gates are of a plant, at its mosquitto.
func startGatesAtOnce(t *testing.T, gates int, length time.Duration) string {
	return startProgram(t, "simulate", "--broker", "mqtt://"+testdata.StartMosquitto(t, "allow_anonymous true\nmax_queued_messages 0\n").Address, "--gates", fmt.Sprint(gates), "--rate", "1",
		"--duration", max(length, time.Second).String()).wait()
}

func (p *proof) begin(name string) { p.phases = append(p.phases, phase{name: name, from: time.Now()}) }

func (p *proof) change(how func() error) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := how(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proof) restore(how func() error) {
	p.t.Helper()
	p.phases[len(p.phases)-1].restored = time.Now()
	p.change(how)
}

func (p *proof) eachNode(what func(int) error) error {
	for i := range 3 {
		if err := what(i); err != nil {
			return err
		}
	}
	return nil
}

// stream asks the servers about the stream.
func (p *proof) stream(ctx context.Context) (*jetstream.StreamInfo, error) {
	conn, err := nats.Connect(strings.Join(p.nats.URLs(), ","))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, district.Stream)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

func (p *proof) leader() int {
	p.t.Helper()
	info, err := p.stream(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return p.nats.Name(i) == info.Cluster.Leader })
}

// watch notes how far everything is, and what it uses.
func (p *proof) watch(ctx context.Context) {
	for i := range 3 {
		p.meter(p.nats.Name(i), func() int { return p.nats.PID(i) })
	}
	p.meter("postgres", p.postgres.PID)
	p.meter("console", p.console.pid)
	p.meter("plants", func() int { return p.plants.cmd.Process.Pid })
	made := lineCounter{path: p.ids}
	for ctx.Err() == nil {
		p.mu.Lock()
		for _, m := range p.meters {
			m.look()
		}
		p.look(ctx)
		p.mu.Unlock()
		now := step{at: time.Now(), made: made.events()}
		// The counts, for they are few rows. Without PostgreSQL nobody knows.
		if p.db.QueryRowContext(ctx, "SELECT CAST(coalesce(sum(events), 0) AS BIGINT), "+uncounted+" FROM quarters").Scan(&now.holds, &now.uncounted) == nil {
			now.holds += now.uncounted
			p.mu.Lock()
			p.steps = append(p.steps, now)
			p.mu.Unlock()
		}
		sleep(ctx, p.size.length/300)
	}
}

func (p *proof) meter(name string, pid func() int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meters[name] = &meter{pid: pid, last: map[int]time.Duration{}}
}

// look notes what the servers hold when that is more than before.
func (p *proof) look(ctx context.Context) {
	info, err := p.stream(ctx)
	if err != nil || info.State.Msgs <= p.queued.messages {
		return
	}
	p.queued = natsUse{messages: info.State.Msgs, bytes: info.State.Bytes}
	_ = filepath.WalkDir(p.nats.Folder(0), func(_ string, entry fs.DirEntry, err error) error { // files come and go
		if err == nil {
			if file, err := entry.Info(); err == nil && file.Mode().IsRegular() {
				p.queued.onDisk += uint64(file.Size())
			}
		}
		return nil
	})
}

// lineCounter counts the events in a file that grows.
type lineCounter struct {
	path string
	read int64
	n    int64
}

func (c *lineCounter) events() int64 {
	file, err := os.Open(c.path)
	if err != nil {
		return 0
	}
	defer file.Close()
	if _, err := file.Seek(c.read, io.SeekStart); err != nil {
		return c.n
	}
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return c.n // the last line may not be whole yet
		}
		c.read += int64(len(line))
		if strings.HasPrefix(line, "event\t") {
			c.n++
		}
	}
}

// patience is how long a district may need at the end to hold everything, at least.
const patience = 10 * time.Minute

// waitForAll returns once the district holds as many events as were made.
func (p *proof) waitForAll(ctx context.Context) {
	p.t.Helper()
	for deadline := time.Now().Add(max(patience, 4*p.size.length)); time.Now().Before(deadline); sleep(ctx, 100*time.Millisecond) {
		p.mu.Lock()
		last := p.steps[len(p.steps)-1]
		p.mu.Unlock()
		if last.at.After(p.phases[len(p.phases)-1].from) && last.holds >= last.made && last.uncounted == 0 {
			sleep(ctx, 2*time.Second) // what else is on its way
			return
		}
	}
	p.t.Errorf("the district does not get everything\n%s", p.console.log())
}

// made is what the plants have noted.
type made struct {
	outcomes map[string]string // of events, by id
	at       map[string]time.Time
	closed   map[string]string // outcomes of alerts that were closed, by id
}

func (p *proof) made() made {
	p.t.Helper()
	m := made{map[string]string{}, map[string]time.Time{}, map[string]string{}}
	text, err := os.ReadFile(p.ids)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if fields[0] == "alert" {
			m.closed[fields[1]] = fields[3]
			continue
		}
		nanoseconds, err := strconv.ParseInt(fields[4], 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		m.outcomes[fields[1]], m.at[fields[1]] = fields[3], time.Unix(0, nanoseconds)
	}
	return m
}

// check compares what the district holds with what the plants have made.
func (p *proof) check() {
	made := p.made()
	want := map[string]int64{}
	for _, outcome := range made.outcomes {
		want[outcome]++
	}
	got := map[string]string{}
	rows := int64(0)
	p.each("SELECT id, outcome FROM events", func(id, outcome string) { got[id] = outcome; rows++ })
	lost, strange := 0, 0
	for id, outcome := range made.outcomes {
		if got[id] != outcome {
			lost++
		}
	}
	for id := range got {
		if made.outcomes[id] == "" {
			strange++
		}
	}
	if lost > 0 || strange > 0 || rows != int64(len(got)) {
		p.t.Errorf("of %d events %d are lost; the district has %d in %d rows, of which nobody has made %d", len(made.outcomes), lost, len(got), rows, strange)
	}
	for _, table := range []string{"quarters", "days"} {
		counted := map[string]int64{}
		p.each("SELECT outcome, CAST(sum(events) AS TEXT) FROM "+table+" GROUP BY outcome HAVING sum(events) <> 0", func(outcome, n string) {
			counted[outcome], _ = strconv.ParseInt(n, 10, 64)
		})
		if fmt.Sprint(counted) != fmt.Sprint(want) {
			p.t.Errorf("%s count %v, and %v were made", table, counted, want)
		}
	}
	closed := map[string]string{}
	p.each("SELECT event, outcome FROM alerts WHERE state = 'closed'", func(id, outcome string) { closed[id] = outcome })
	missing := 0
	for id, outcome := range made.closed {
		if closed[id] != outcome {
			missing++
		}
	}
	if missing > 0 || len(closed) != len(made.closed) {
		p.t.Errorf("of %d alerts that were closed, %d are not so in the district, which has %d", len(made.closed), missing, len(closed))
	}
	var refused int
	if err := p.db.QueryRowContext(p.t.Context(), "SELECT count(*) FROM refused_messages").Scan(&refused); err != nil || refused > 0 {
		p.t.Errorf("the district has refused %d messages, %v", refused, err)
	}
}

// each calls take with each row of two texts.
func (p *proof) each(query string, take func(a, b string)) {
	p.t.Helper()
	rows, err := p.db.QueryContext(p.t.Context(), query)
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			p.t.Fatal(err)
		}
		take(a, b)
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
}

// quietLimit is promised from an alert to the district's page while nothing is broken.
const quietLimit = 2 * time.Second

// report prints the figures.
func (p *proof) report() {
	var text strings.Builder
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(&text, "\n%d plants with %d gates, %d events a second, %v; load of this machine at the end %s\n%s\n%d gates at once at a plant's mosquitto:\n%s\n",
		p.size.plants, p.size.plants*p.size.gates, p.size.eventsPerSecond, p.size.length, load, p.told, p.size.starting, p.starting)
	made := p.made()
	p.page.mu.Lock()
	defer p.page.mu.Unlock()
	unseen := 0
	var disturbed latencies
	fmt.Fprintf(&text, "from an alert to the district's page, and until the district had caught up:\n")
	for i, phase := range p.phases[:len(p.phases)-1] {
		var took latencies
		for id, outcome := range made.outcomes {
			at := made.at[id]
			if outcome != "alert" || at.Before(phase.from) || !at.Before(p.phases[i+1].from) {
				continue
			}
			if seen, ok := p.page.seen[id]; ok {
				took = append(took, seen.Sub(at))
			} else {
				unseen++
			}
		}
		fmt.Fprintf(&text, "  %-28s %v%s\n", phase.name, took, p.caughtUp(phase))
		if phase.name != quiet {
			disturbed = append(disturbed, took...)
		} else if len(took) > 0 { // what a machine is busy with beside is no fault of the district's
			if sorted := slices.Sorted(slices.Values(took)); sorted[len(sorted)*99/100] > quietLimit {
				fmt.Fprintf(&text, "  that is more than the %v which are promised\n", quietLimit)
			}
		}
	}
	fmt.Fprintf(&text, "  %-28s %v\n", "all but \""+quiet+"\"", disturbed)
	fmt.Fprintf(&text, "alerts that were never on the page, for they were closed before: %d\n\n", unseen)
	p.reportSizes(&text, len(made.outcomes))
	p.t.Log(text.String())
}

// caughtUp is how long after its restart a district holds all but the last second.
func (p *proof) caughtUp(in phase) string {
	if in.restored.IsZero() {
		return ""
	}
	behind := int64(0)
	for _, s := range p.steps {
		if s.at.Before(in.from) {
			continue
		}
		behind = max(behind, s.made-s.holds)
		if s.at.After(in.restored) && s.made-s.holds <= int64(p.size.eventsPerSecond) {
			return fmt.Sprintf("; %d events behind at most, caught up %v after the restart", behind, s.at.Sub(in.restored).Round(100*time.Millisecond))
		}
	}
	return fmt.Sprintf("; %d events behind at most, not caught up", behind)
}

func (p *proof) reportSizes(text *strings.Builder, events int) {
	var whole, inEvents int64
	err := p.db.QueryRowContext(p.t.Context(), `SELECT pg_database_size(current_database()),
		(SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE 'events%' AND relkind = 'r')`).Scan(&whole, &inEvents)
	if err != nil {
		p.t.Fatal(err)
	}
	fmt.Fprintf(text, "PostgreSQL: %d MB, %d bytes an event, of that %d in the events' own tables and indexes\n", whole>>20, whole/int64(events), inEvents/int64(events))
	if p.queued.messages > 0 {
		fmt.Fprintf(text, "NATS: at most %d messages waited, %d bytes each, %d on the disk of each server\n",
			p.queued.messages, p.queued.bytes/p.queued.messages, p.queued.onDisk/p.queued.messages)
	}
	for _, part := range []struct {
		name string
		of   []string // meters
	}{
		{"three NATS servers", []string{p.nats.Name(0), p.nats.Name(1), p.nats.Name(2)}},
		{"PostgreSQL", []string{"postgres"}}, {"console", []string{"console"}}, {"all plants", []string{"plants"}},
	} {
		var cpu time.Duration
		var memory int64
		for _, name := range part.of {
			cpu += p.meters[name].cpu()
			memory = max(memory, p.meters[name].most)
		}
		fmt.Fprintf(text, "%-18s %7.1f CPU seconds, %.3f ms an event, %4d MB at most%s\n", part.name, cpu.Seconds(),
			float64(cpu.Microseconds())/1000/float64(events), memory>>20, map[bool]string{true: " of one"}[len(part.of) > 1])
	}
}
