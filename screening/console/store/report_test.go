package store

import (
	"cmp"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// plain counts a period from the events alone, with queries that know nothing of what the store keeps beside them.
type plain struct {
	t    *testing.T
	s    *Store
	p    Period
	zone *time.Location
}

// readPlain makes tables of the events of a site: e as they came, m with the visit that each is of, v of visits, l of looks
// and a of alerts.
func readPlain(t *testing.T, s *Store, site string) {
	t.Helper()
	field := func(name string) string { return "json_extract(body, '$.data." + name + "')" }
	milliseconds := func(text string) string { return "CAST(round(unixepoch(" + text + ", 'subsec') * 1000) AS INTEGER)" }
	if s.postgres {
		field = func(name string) string { return "(body::json->'data'->>'" + name + "')" }
		milliseconds = func(text string) string {
			return "CAST(round(extract(epoch FROM " + text + "::timestamptz) * 1000) AS BIGINT)"
		}
	}
	for _, table := range []struct{ name, query string }{
		{"e", "SELECT id, gate, time, received, outcome, reason, seconds_to_verdict AS seconds, coalesce(" + field("revises") + ", " + field("rescreen_of") + ") AS origin, " +
			milliseconds(field("first_seen")) + " AS first_seen, CAST(" + field("baseline_celsius") + " AS DOUBLE PRECISION) AS baseline FROM events WHERE site = '" + site + "'"},
		{"m", `WITH RECURSIVE chain(id, gate, root) AS (
			SELECT id, gate, coalesce(origin, id) FROM e WHERE NOT EXISTS (SELECT 1 FROM e AS origins WHERE origins.id = e.origin AND origins.gate = e.gate)
			UNION ALL SELECT e.id, e.gate, chain.root FROM e JOIN chain ON chain.id = e.origin AND chain.gate = e.gate)
			SELECT e.*, chain.root, row_number() OVER (PARTITION BY e.gate, root ORDER BY reason = 'second-reading', time DESC, e.id DESC) AS back
			FROM e JOIN chain ON chain.id = e.id`},
		{"v", `SELECT gate, root, min(time) AS begun, max(CASE WHEN back = 1 THEN outcome END) AS outcome, max(CASE WHEN back = 1 THEN reason END) AS reason,
			sum(CASE WHEN reason <> 'second-reading' THEN 1 ELSE 0 END) AS looks, max(received) AS received FROM m GROUP BY gate, root`},
		{"l", "SELECT gate, first_seen AS since, time AS until FROM e WHERE origin IS NULL AND first_seen < time AND time - first_seen <= 900000"},
		{"a", `SELECT alerts.*, v.begun AS since, v.outcome = 'alert' AND alerts.event = (SELECT max(other.event) FROM alerts AS other JOIN m AS of ON of.id = other.event
			WHERE of.root = v.root AND of.gate = v.gate) AS last FROM alerts JOIN m ON m.id = alerts.event JOIN v ON v.root = m.root AND v.gate = m.gate`},
	} {
		for _, statement := range []string{"DROP TABLE IF EXISTS " + table.name, "CREATE TABLE " + table.name + " AS " + table.query} {
			if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%v in %s", err, statement)
			}
		}
	}
}

// in says that a time is within the period, at its gate.
func (q plain) in(column string) string {
	table := column[:strings.LastIndex(column, ".")+1]
	return fmt.Sprintf("(%s >= %d AND %s < %d AND (%sgate = '%s' OR '%s' = ''))", column, q.p.From.UnixMilli(), column, q.p.To.UnixMilli(), table, q.p.Gate, q.p.Gate)
}

// lines are the rows of a query as text.
func (q plain) lines(query string) []string {
	q.t.Helper()
	lines, err := collect(q.t.Context(), q.s.read, func(rows *sql.Rows) (string, error) {
		columns, err := rows.Columns()
		if err != nil {
			return "", err
		}
		values, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		err = rows.Scan(to...)
		words := make([]string, len(values))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, " "), err
	}, query)
	if err != nil {
		q.t.Fatalf("%v in %s", err, query)
	}
	return lines
}

func (q plain) one(query string) string {
	q.t.Helper()
	lines := q.lines(query)
	if len(lines) != 1 {
		q.t.Fatalf("%d rows of %s", len(lines), query)
	}
	return lines[0]
}

// nth is the value of a list in order that a share of it does not exceed.
func (q plain) nth(share float64, from string) string {
	q.t.Helper()
	var n float64
	fmt.Sscan(q.one("SELECT count(*) FROM "+from), &n)
	if n == 0 {
		return "none"
	}
	return q.one(fmt.Sprintf("SELECT x FROM %s ORDER BY x LIMIT 1 OFFSET %d", from, int(math.Ceil(share*n))-1))
}

// gate is what a gate came to, all of them where the name is empty, in the words of told.
func (q plain) gate(name string) []string {
	q.t.Helper()
	only := " AND (gate = '" + name + "' OR '" + name + "' = '')"
	people := func(where string) string {
		return q.one("SELECT count(*) FROM v WHERE " + q.in("begun") + only + where)
	}
	alerts := func(where string) string {
		return q.one("SELECT count(*) FROM a WHERE last AND " + q.in("since") + only + where)
	}
	lines := []string{
		"people " + people(""), "pass " + people(" AND outcome = 'pass'"), "alert " + people(" AND outcome = 'alert'"),
		"inconclusive " + people(" AND outcome = 'inconclusive'"), "left " + people(" AND reason IN ('left', 'walked-through')"), "again " + people(" AND looks > 1"),
		"confirmed " + alerts(" AND state = 'closed' AND a.outcome = 'confirmed'"), "false " + alerts(" AND state = 'closed' AND a.outcome = 'false'"),
		"gone " + alerts(" AND state = 'closed' AND a.outcome = 'gone'"), "open " + alerts(" AND state <> 'closed'"),
	}
	for _, reason := range q.lines("SELECT reason, count(*) FROM v WHERE outcome = 'inconclusive' AND " + q.in("begun") + only + " GROUP BY reason ORDER BY reason") {
		lines = append(lines, "reason "+reason)
	}
	seconds := "(SELECT CAST(round(seconds * 100) AS INTEGER) AS x FROM e WHERE origin IS NULL AND seconds >= 0 AND seconds <= 600 AND " + q.in("time") + only + ") AS list"
	lines = append(lines, "seconds "+q.nth(0.5, seconds)+" "+q.nth(0.95, seconds))
	for _, busiest := range q.lines("SELECT count(*) AS n, begun / 900000 AS quarter FROM v WHERE " + q.in("begun") + only + " GROUP BY 2 ORDER BY 1 DESC, 2 LIMIT 1") {
		lines = append(lines, "busiest "+busiest)
	}
	for _, queue := range q.lines(fmt.Sprintf(`SELECT count(*) AS n, point.t FROM (SELECT gate, since AS t FROM l WHERE %s%s UNION SELECT DISTINCT gate, CAST(%d AS BIGINT) FROM l WHERE true%s) AS point
		JOIN l ON l.gate = point.gate AND l.since <= point.t AND l.until > point.t GROUP BY point.gate, point.t ORDER BY 1 DESC, 2 LIMIT 1`,
		q.in("since"), only, q.p.From.UnixMilli(), only)) {
		lines = append(lines, "queue "+queue)
	}
	for _, did := range []struct{ name, where string }{{"taken", "taken_at > 0"}, {"closed", "closed_at > 0 AND closed_by <> ''"}} {
		lines = append(lines, did.name+" "+q.nth(0.5, "(SELECT CASE WHEN "+did.name+"_at < time THEN 0 ELSE "+did.name+"_at - time END AS x FROM a WHERE "+
			did.where+" AND "+q.in("since")+only+") AS list"))
	}
	return append(lines, "drift "+q.drift(name))
}

func (q plain) drift(gate string) string {
	if gate == "" {
		return "unknown"
	}
	from := "e WHERE gate = '" + gate + "' AND baseline >= 0 AND baseline <= 100 AND " + q.in("time")
	var first, last int64
	bounds := q.one("SELECT coalesce(min(time), 0), coalesce(max(time), 0) FROM " + from)
	fmt.Sscan(bounds, &first, &last)
	if first == 0 {
		return "unknown"
	}
	const quarter, hour = 900_000, 3_600_000
	firstEnd, lastBegin := first/quarter*quarter+hour, last/quarter*quarter-hour+quarter
	if q.p.To.Sub(q.p.From) > ShortPeriod { // full days of the period alone
		day := func(at int64) Day { return DayOf(time.UnixMilli(at).In(q.zone)) }
		full := slices.DeleteFunc(q.times("SELECT time FROM "+from), func(at int64) bool {
			return day(at).Begin(q.zone).Before(q.p.From) || (day(at) + 1).Begin(q.zone).After(q.p.To)
		})
		if len(full) == 0 {
			return "unknown"
		}
		firstEnd, lastBegin = (day(slices.Min(full)) + 1).Begin(q.zone).UnixMilli(), day(slices.Max(full)).Begin(q.zone).UnixMilli()
		from += fmt.Sprintf(" AND time >= %d AND time < %d", day(slices.Min(full)).Begin(q.zone).UnixMilli(), (day(slices.Max(full)) + 1).Begin(q.zone).UnixMilli())
	}
	if firstEnd > lastBegin {
		return "unknown"
	}
	return q.one(fmt.Sprintf("SELECT CAST(round(1000 * (avg(CASE WHEN time >= %d THEN baseline END) - avg(CASE WHEN time < %d THEN baseline END))) AS INTEGER) FROM %s", lastBegin, firstEnd, from))
}

func (q plain) times(query string) (all []int64) {
	for _, line := range q.lines(query) {
		var at int64
		fmt.Sscan(line, &at)
		all = append(all, at)
	}
	return all
}

// told is what the report says of a gate.
func told(g GateReport) []string {
	orNone := func(v float64, factor float64) string {
		if math.IsNaN(v) {
			return "none"
		}
		return fmt.Sprint(math.Round(v * factor))
	}
	duration := func(d time.Duration) string {
		if d < 0 {
			return "none"
		}
		return fmt.Sprint(d.Milliseconds())
	}
	lines := []string{}
	for _, one := range []struct {
		name string
		n    int64
	}{
		{"people", g.People},
		{"pass", g.Pass},
		{"alert", g.Alert},
		{"inconclusive", g.Inconclusive},
		{"left", g.Left},
		{"again", g.Again},
		{"confirmed", g.Confirmed},
		{"false", g.False},
		{"gone", g.Gone},
		{"open", g.Open},
	} {
		lines = append(lines, fmt.Sprint(one.name, " ", one.n))
	}
	var reasons []string
	for reason, n := range g.Reasons {
		reasons = append(reasons, fmt.Sprint("reason ", reason, " ", n))
	}
	slices.Sort(reasons)
	lines = append(append(lines, reasons...), "seconds "+orNone(g.SecondsMedian, 100)+" "+orNone(g.Seconds95, 100))
	if g.BusiestPeople > 0 {
		lines = append(lines, fmt.Sprint("busiest ", g.BusiestPeople, " ", g.BusiestQuarter.UnixMilli()/900_000))
	}
	if g.Queue > 0 {
		lines = append(lines, fmt.Sprint("queue ", g.Queue, " ", g.QueueAt.UnixMilli()))
	}
	lines = append(lines, "taken "+duration(g.TakeMedian), "closed "+duration(g.CloseMedian))
	return append(lines, "drift "+strings.Replace(orNone(g.DriftCelsius, 1000), "none", "unknown", 1))
}

// check compares a report with what the events come to.
func (q plain) check() Report {
	q.t.Helper()
	r, err := q.s.Report(q.t.Context(), q.p)
	if err != nil {
		q.t.Fatal(err)
	}
	all := q.gate("")
	if q.p.Gate != "" {
		all = q.gate(q.p.Gate)
	}
	title := q.p.From.Format(time.DateTime) + " to " + q.p.To.Format(time.DateTime) + " " + q.p.Gate
	if diff := gocmp.Diff(all, told(r.All)); diff != "" {
		q.t.Errorf("%s, all gates (-events +report): %s", title, diff)
	}
	for _, g := range r.Gates {
		if diff := gocmp.Diff(q.gate(g.Gate.Name), told(g)); diff != "" {
			q.t.Errorf("%s, gate %s (-events +report): %s", title, g.Gate.Name, diff)
		}
	}
	if want := q.lines("SELECT DISTINCT gate FROM e WHERE " + q.in("time") + " ORDER BY gate"); len(want) > len(r.Gates) {
		q.t.Errorf("%s: %d gates are reported, %d have events", title, len(r.Gates), len(want))
	}
	var course []string
	for _, c := range append(r.Quarters, r.Days...) {
		at := c.Quarter.UnixMilli() / 900_000
		if c.Quarter.IsZero() {
			at = int64(c.Day)
		}
		course = append(course, fmt.Sprint(at, " ", c.Gate.Name, " ", c.Outcome, " ", c.People))
	}
	if diff := gocmp.Diff(q.course(), course); diff != "" {
		q.t.Errorf("%s, in time (-events +report): %s", title, diff)
	}
	var alerts []string
	for _, a := range r.Alerts {
		alerts = append(alerts, fmt.Sprint(a.Event, " ", a.State, " ", a.Outcome, " ", a.Counts))
	}
	want := q.lines("SELECT event, state, a.outcome, CASE WHEN last THEN 'true' ELSE 'false' END FROM a WHERE " + q.in("since") + " ORDER BY time, event")
	if r.Quarters == nil {
		want = nil
	}
	if diff := gocmp.Diff(want, alerts); diff != "" {
		q.t.Errorf("%s, alerts (-events +report): %s", title, diff)
	}
	changed := q.one("SELECT max(x) FROM (SELECT max(v.received) AS x FROM v JOIN m ON m.root = v.root AND m.gate = v.gate WHERE " + q.in("m.time") +
		" UNION ALL SELECT max(at) FROM alert_changes WHERE event IN (SELECT event FROM a WHERE " + q.in("since") + ")) AS x")
	if got := fmt.Sprint(r.Changed.UnixMilli()); got != changed && changed != "<nil>" {
		q.t.Errorf("%s changed at %s, want %s", title, got, changed)
	}
	return r
}

// course is people by quarter of an hour, or by day in a long period.
func (q plain) course() []string {
	n := map[string]int64{}
	var order []string
	for _, line := range q.lines("SELECT begun, gate, outcome FROM v WHERE " + q.in("begun") + " ORDER BY begun") {
		var at int64
		var rest, outcome string
		fmt.Sscan(line, &at, &rest, &outcome)
		number := at / 900_000
		if q.p.To.Sub(q.p.From) > ShortPeriod {
			number = int64(DayOf(time.UnixMilli(at).In(q.zone)))
		}
		key := fmt.Sprint(number, " ", rest, " ", outcome)
		if n[key] == 0 {
			order = append(order, key)
		}
		n[key]++
	}
	slices.SortFunc(order, func(a, b string) int {
		var x, y int64
		fmt.Sscan(a, &x)
		fmt.Sscan(b, &y)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	})
	var lines []string
	for _, key := range order {
		lines = append(lines, fmt.Sprint(key, " ", n[key]))
	}
	return lines
}

// history makes up what happens at some gates in some days: people who come again, verdicts that are revised, events that come
// late, twice or not at all, and guards who see to alerts or don't.
type history struct {
	t      *testing.T
	s      *Store
	random *rand.Rand
	now    time.Time
	alerts []string
}

func (h *history) events(gates []*maker, from time.Time, days, people int) []Event {
	var all []Event
	byGate := map[*maker][]Event{}
	for range people {
		m := gates[h.random.IntN(len(gates))]
		at := from.Add(time.Duration(h.random.IntN(days*24*4))*15*time.Minute + time.Duration(h.random.IntN(900_000)/(1+h.random.IntN(20)))*time.Millisecond)
		var change []func(*event.Event)
		earlier := byGate[m]
		if len(earlier) > 0 && h.random.IntN(4) == 0 {
			of := earlier[max(0, len(earlier)-1-h.random.IntN(20))]
			if h.random.IntN(10) == 0 { // another gate's
				of = all[h.random.IntN(len(all))]
			}
			if h.random.IntN(8) > 0 { // else from before, by a clock that was set back
				at = of.Time.Add(time.Duration(h.random.IntN(40)) * time.Minute)
			}
			change = append(change, again(of))
			if h.random.IntN(3) == 0 {
				change = append(change, revising(of))
			}
		}
		change = append(change, func(e *event.Event) {
			if h.random.IntN(10) > 0 {
				e.Data.FirstSeen = at.Add(-time.Duration(h.random.IntN(200_000)) * time.Millisecond)
			}
			if h.random.IntN(50) == 0 {
				e.Data.FirstSeen = time.Unix(0, 0)
			}
			if seconds := float64(h.random.IntN(200)) / 100; h.random.IntN(10) > 0 {
				e.Data.SecondsToVerdict = &seconds
			}
			if baseline := 33 + float64(h.random.IntN(200))/100; h.random.IntN(3) > 0 {
				e.Data.BaselineCelsius = &baseline
			}
		})
		outcome, reason := event.Pass, event.BelowThreshold
		switch h.random.IntN(8) {
		case 0, 1:
			outcome, reason = event.Alert, event.AboveThreshold
		case 2:
			outcome, reason = event.Inconclusive, event.Left
		case 3:
			outcome, reason = event.Inconclusive, event.Moving
		case 4:
			outcome, reason = event.Inconclusive, event.SecondReading
		}
		e := m.event(at, outcome, reason, change...)
		byGate[m] = append(byGate[m], e)
		all = append(all, e)
	}
	return all
}

// deliver stores events in batches, some late, some again, some never.
func (h *history) deliver(events []Event) {
	h.t.Helper()
	events = slices.DeleteFunc(events, func(Event) bool { return h.random.IntN(25) == 0 })
	for range len(events) / 10 {
		a, b := h.random.IntN(len(events)), h.random.IntN(len(events))
		events[a], events[b] = events[b], events[a]
		events = append(events, events[a])
	}
	for len(events) > 0 {
		n := min(1+h.random.IntN(30), len(events))
		h.now = h.now.Add(time.Minute)
		batch := slices.Clone(events[:n])
		for i := range batch {
			batch[i].Received = h.now
			if batch[i].Data.Outcome == event.Alert {
				h.alerts = append(h.alerts, batch[i].ID)
			}
		}
		add(h.t, h.s, batch...)
		events = events[n:]
		for range 15 {
			h.guard()
		}
	}
}

// guard does something with an alert, if that can be done with it.
func (h *history) guard() {
	if len(h.alerts) == 0 {
		return
	}
	h.now = h.now.Add(time.Second)
	a, _, err := h.s.Alert(h.t.Context(), h.alerts[h.random.IntN(len(h.alerts))])
	if err != nil {
		return // an event of an alert that is there already
	}
	ctx, who := h.t.Context(), fmt.Sprint("guard ", h.random.IntN(2))
	switch h.random.IntN(6) {
	case 0, 1:
		h.s.Take(ctx, a.Event, a.Version, who, h.now)
	case 2, 3:
		h.s.AddReading(ctx, a.Event, a.Version, who, Reading{Celsius: 37.4, Unit: "°C", Place: Ear}, h.now)
	case 4:
		outcome := []mqtt.AlertOutcome{mqtt.Confirmed, mqtt.FalseAlert, mqtt.Gone}[h.random.IntN(3)]
		h.s.CloseAlert(ctx, a.Event, a.Version, who, outcome, h.now)
	case 5:
		h.s.Undo(ctx, a.Event, a.Version, who, h.now)
	}
}

// TestReportIsPlainCount has every figure of reports equal what plain queries over the events say, in random histories.
func TestReportIsPlainCount(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for seed := range uint64(2) {
			site := fmt.Sprint("plant-", seed)
			h := &history{t: t, s: s, random: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 4, 10, 0, 0, 0, 0, time.UTC)}
			if err := s.SetZone(t.Context(), site, []string{"Asia/Shanghai", "Europe/Berlin"}[seed%2]); err != nil {
				t.Fatal(err)
			}
			var gates []*maker
			for _, name := range []string{"east", "north", "west"} {
				gates = append(gates, newMaker(t, mqtt.Gate{Site: site, Name: name}))
			}
			from := time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC) // over the change to summer time
			events := h.events(gates, from, 4, 700)
			h.deliver(events[:500])
			h.check(site, from)
			if seed == 1 {
				if err := s.SetZone(t.Context(), site, "Asia/Kathmandu"); err != nil {
					t.Fatal(err)
				}
			}
			h.deliver(events[500:])
			h.check(site, from)
		}
		sameAfterUpgrade(t, s)
	})
}

func (h *history) check(site string, from time.Time) {
	h.t.Helper()
	zone := h.s.Zone(site)
	day := DayOf(from.In(zone))
	shifts, err := h.s.Shifts(h.t.Context(), site, day+1, day+1)
	if err != nil {
		h.t.Fatal(err)
	}
	periods := []Period{
		{Site: site, From: (day + 1).Begin(zone), To: (day + 2).Begin(zone)},
		{Site: site, From: (day - 2).Begin(zone), To: (day + 5).Begin(zone)},
		{Site: site, Gate: "north", From: (day - 2).Begin(zone), To: (day + 5).Begin(zone)},
		{Site: site, Gate: "west", From: (day + 2).Begin(zone), To: (day + 3).Begin(zone)},
		{Site: site, From: from.Add(7 * time.Hour), To: from.Add(61*time.Hour + 15*time.Minute)},
		{Site: site, From: from.Add(7 * time.Hour), To: from.Add(33 * time.Hour)},
		{Site: site, From: from.Add(-48 * time.Hour), To: from.Add(-24 * time.Hour)},
	}
	for _, shift := range shifts {
		periods = append(periods, shift.Period())
	}
	readPlain(h.t, h.s, site)
	people := int64(0)
	for _, p := range periods {
		people += plain{h.t, h.s, p, zone}.check().All.People
	}
	if people < 500 {
		h.t.Errorf("only %d people are in all periods", people)
	}
}

// sameAfterUpgrade takes away what reports are made of and has it made anew as for a store from before there were any.
func sameAfterUpgrade(t *testing.T, s *Store) {
	t.Helper()
	dump := func() []string {
		q := plain{t: t, s: s}
		all := countedTables(t, s)
		return append(all, q.lines("SELECT event, begun, CASE WHEN counts THEN 1 ELSE 0 END, changed FROM alerts ORDER BY 1")...)
	}
	before := dump()
	downgrade(t, s)
	if err := s.transact(t.Context(), func(tx *sql.Tx) error { return s.addPaces(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(before, dump()); diff != "" {
		t.Error("after an upgrade (-kept +made):", diff)
	}
}

// downgrade takes away what reports are made of.
func downgrade(t testing.TB, s *Store) {
	t.Helper()
	s.forgetAll()
	for _, statement := range []string{
		"DROP INDEX alerts_of_sites", "DROP INDEX gate_states_of_sites", "DROP TABLE shift_plans", "DROP TABLE gate_quarters", "DROP TABLE gate_days",
		"ALTER TABLE quarters DROP COLUMN again", "ALTER TABLE days DROP COLUMN again", "ALTER TABLE alerts DROP COLUMN begun",
		"ALTER TABLE alerts DROP COLUMN counts", "ALTER TABLE alerts DROP COLUMN changed", "ALTER TABLE gate_states DROP COLUMN who",
		"ALTER TABLE missing DROP COLUMN happened_after", "ALTER TABLE missing DROP COLUMN happened_before",
	} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPacesAreForgotten stores the events of one gate for days: what is remembered of them stays little, and an event that
// comes late is counted with those of its quarter.
func TestPacesAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		pass := func(after time.Duration) Event {
			at := morning.Add(after)
			return m.event(at, event.Pass, event.BelowThreshold, func(e *event.Event) { e.Data.FirstSeen = at.Add(-2 * time.Second) })
		}
		for n := range 100 {
			add(t, s, pass(time.Duration(n)*quarterHour))
			if p := s.shareOf("plant").paces; len(p.quarters) > leastPaces+4 || len(p.days) > 8 {
				t.Fatalf("%d quarters and %d days are remembered of one gate", len(p.quarters), len(p.days))
			}
		}
		add(t, s, pass(time.Second))
		var events, queue int64
		if err := s.read.QueryRow("SELECT events, queue FROM gate_quarters WHERE site = $1 AND gate = $2 AND quarter = $3",
			north.Site, north.Name, floorDiv(morning.UnixMilli(), quarterMilliseconds)).Scan(&events, &queue); err != nil {
			t.Fatal(err)
		}
		if events != 2 || queue != 2 {
			t.Errorf("the first quarter has %d events and at most %d people at a time", events, queue)
		}
	})
}
