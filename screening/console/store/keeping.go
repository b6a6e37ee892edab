package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/mqtt"
)

// Keeping is what is kept of a site's people, and for how long.
type Keeping struct {
	Site string
	// Months is for how many whole months events, and the numbers of second readings, are kept before the current one.
	Months int
	Own    bool // Months is the site's own, and not that of the console's config
	// OutcomeOnly has nothing stored of what gates measure and guards read but the outcome.
	OutcomeOnly bool
	Stripping   bool // what was stored before that is still being stripped
}

// horizon is the time from which on events are kept.
func (k Keeping) horizon(now time.Time) time.Time {
	now = now.UTC()
	return time.Date(now.Year(), now.Month()-time.Month(k.Months), 1, 0, 0, 0, 0, time.UTC)
}

// KeptSince is the time from which on the events of a site are kept. Of before there are counts.
func (s *Store) KeptSince(ctx context.Context, site string, now time.Time) (time.Time, error) {
	months := 0
	err := s.read.QueryRowContext(ctx, "SELECT keep_months FROM sites WHERE name = $1", site).Scan(&months)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("reading how long %s keeps events: %w", site, err)
	}
	if months == 0 {
		months = s.cfg.KeepMonths
	}
	return Keeping{Months: months}.horizon(now), nil
}

// maxKeepMonths is the longest retention.
const maxKeepMonths = 600

// KeepMonths is for how many months events of sites without a retention of their own are kept.
func (s *Store) KeepMonths() int { return s.cfg.KeepMonths }

// mostCounted bounds what CountOlder counts.
const mostCounted = 100_000

// CountOlder tells how many events of a site would be deleted if they were kept for so many months; 0 is the console's. It stops
// at mostCounted, and then says that there are more.
func (s *Store) CountOlder(ctx context.Context, site string, months int, now time.Time) (count int, more bool, err error) {
	if months == 0 {
		months = s.cfg.KeepMonths
	}
	horizon := Keeping{Months: months}.horizon(now)
	err = s.read.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT id FROM events WHERE site || '' = $1 AND "+older+" AND NOT "+heldEvent+
		" LIMIT "+list(5, 1)+") AS older", slices.Concat([]any{site}, olderThan(horizon, now), []any{mostCounted + 1})...).Scan(&count)
	if err != nil {
		return 0, false, fmt.Errorf("counting old events of %s: %w", site, err)
	}
	return min(count, mostCounted), count > mostCounted, nil
}

// Keepings returns what is kept of each site that is known, by name.
func (s *Store) Keepings(ctx context.Context) ([]Keeping, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (k Keeping, err error) {
		err = rows.Scan(&k.Site, &k.Months, &k.OutcomeOnly, &k.Stripping)
		if k.Own = k.Months > 0; !k.Own {
			k.Months = s.cfg.KeepMonths
		}
		return k, err
	}, `SELECT known.site, coalesce(keep_months, 0), coalesce(outcome_only, FALSE), coalesce(to_strip, FALSE)
		FROM (SELECT name AS site FROM sites UNION SELECT site FROM gates) AS known LEFT JOIN sites ON sites.name = known.site ORDER BY known.site`)
}

// SetKeepMonths has the events of a site kept for so many months; 0 is the console's keep_months again.
func (s *Store) SetKeepMonths(ctx context.Context, site string, months int, by Author) error {
	if months < 0 || months > maxKeepMonths {
		return fmt.Errorf("%d months are not between 1 and %d, or 0 for the console's %d", months, maxKeepMonths, s.cfg.KeepMonths)
	}
	var before int
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.changeSite(ctx, tx, site, "keep_months", months, &before); err != nil || before == months {
			return err
		}
		if err := s.queueSite(ctx, tx, site, time.Time{}); err != nil {
			return err
		}
		return note(ctx, tx, s.retentionLine(site, before, months, by))
	})
	if err != nil {
		return fmt.Errorf("keeping the events of %s for %d months: %w", site, months, err)
	}
	if before != months {
		s.due.Store(true)
	}
	return nil
}

// retentionLine and keptLine tell the audit that a site keeps its events for another time, and less or more of them.
func (s *Store) retentionLine(site string, before, months int, by Author) AuditLine {
	return AuditLine{By: by, What: ChangedRetention, Scope: mqtt.Gate{Site: site}, Detail: s.ofMonths(before) + " → " + s.ofMonths(months)}
}

func keptLine(site string, only bool, by Author) AuditLine {
	detail := "all-kept"
	if only {
		detail = "outcomes-kept"
	}
	return AuditLine{By: by, What: ChangedKept, Scope: mqtt.Gate{Site: site}, Detail: detail}
}

func (s *Store) ofMonths(n int) string {
	if n == 0 {
		return fmt.Sprintf("keep_months=%d", s.cfg.KeepMonths)
	}
	return fmt.Sprint(n)
}

// changeSite sets a column of a site, which may be new here, and tells what it was.
func (s *Store) changeSite(ctx context.Context, tx *sql.Tx, site, column string, value, before any) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO sites (name, time_zone) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", site, s.cfg.TimeZone); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT "+column+" FROM sites WHERE name = $1", site).Scan(before); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE sites SET "+column+" = $1 WHERE name = $2", value, site)
	return err
}

// Due tells, once, that something was changed for which Retire need not wait for its time.
func (s *Store) Due() bool { return s.due.Swap(false) }

// SetOutcomeOnly has a site keep outcomes only, or all again. What is stored of it already, and no hold keeps, Retire strips
// next; nothing brings it back.
func (s *Store) SetOutcomeOnly(ctx context.Context, site string, only bool, by Author) error {
	defer s.lockShares(map[int]bool{ShareOf(site): true})()
	var before bool
	err := s.transact(ctx, func(tx *sql.Tx) error {
		var strips bool
		if err := s.changeSite(ctx, tx, site, "outcome_only", only, &before); err != nil || before == only {
			return err
		}
		if err := s.changeSite(ctx, tx, site, "to_strip", only, &strips); err != nil {
			return err
		}
		if err := s.queueSite(ctx, tx, site, time.Time{}); err != nil {
			return err
		}
		return note(ctx, tx, keptLine(site, only, by))
	})
	if err != nil {
		return fmt.Errorf("outcome-only mode of %s: %w", site, err)
	}
	s.peopleMu.Lock()
	s.outcomeOnly[site] = only
	s.peopleMu.Unlock()
	if before != only {
		s.due.Store(true)
	}
	return nil
}

// OutcomeOnly tells whether a site keeps outcomes only.
func (s *Store) OutcomeOnly(site string) bool {
	s.peopleMu.RLock()
	defer s.peopleMu.RUnlock()
	return s.outcomeOnly[site]
}

// readOutcomeOnly reads which sites keep outcomes only.
func (s *Store) readOutcomeOnly(ctx context.Context) error {
	keepings, err := s.Keepings(ctx)
	s.peopleMu.Lock()
	defer s.peopleMu.Unlock()
	for _, k := range keepings {
		s.outcomeOnly[k.Site] = k.OutcomeOnly
	}
	return err
}

// readPeople reads what Append goes by: which sites keep outcomes only, which events were deleted, and which people forgotten.
func (s *Store) readPeople(ctx context.Context) error {
	if err := errors.Join(s.readOutcomeOnly(ctx), s.readKeys(ctx)); err != nil {
		return err
	}
	deletions, err := s.Deletions(ctx, mqtt.Gate{}, -1)
	if err != nil {
		return err
	}
	forgotten, err := s.Forgotten(ctx, "")
	if err != nil {
		return err
	}
	s.peopleMu.Lock()
	defer s.peopleMu.Unlock()
	for _, f := range forgotten {
		s.rememberOne(f.Site, f.hash, f.again)
	}
	for _, d := range deletions {
		s.deleted[d.Event] = true
		s.settle(d)
	}
	return nil
}

// admit leaves out events that were deleted, and of those of sites that keep outcomes only all else.
func (s *Store) admit(events []*Event) []*Event {
	s.peopleMu.RLock()
	defer s.peopleMu.RUnlock()
	admitted := events[:0]
	for _, e := range events {
		if s.deleted[e.ID] {
			continue
		}
		if s.outcomeOnly[e.Gate.Site] {
			e.keepOutcome()
		}
		admitted = append(admitted, e)
	}
	return admitted
}

// keepOutcome forgets all but the outcome.
func (e *Event) keepOutcome() {
	e.Data = e.Data.WithOutcomeOnly()
	body, err := json.Marshal(e.Event)
	if err != nil {
		panic(err) // it came as JSON
	}
	e.Body = body
}

// Hold keeps what it is about from being deleted, by age or by hand, and from being stripped.
type Hold struct {
	ID       string
	Gate     mqtt.Gate // a gate, or a site where it has no name, or all where it has no site
	Event    string    // only this one; empty is all
	From, To time.Time // only what happened from one time to before another; zero is open
	Reason   string
	By       string // account
	At       time.Time
	EndedBy  string
	EndedAt  time.Time // zero while it is in force
	EndedWhy string
}

// ErrHeld is the error for what a hold keeps.
var ErrHeld = errors.New("a legal hold keeps it")

// heldBy is a condition that is true of a row that a hold in force keeps. Its columns are those of a table, but for the time
// and for the ids of events that it may be held by.
func heldBy(table, at, ids string) string {
	return strings.NewReplacer("TABLE", table, "TIME", at, "IDS", ids).Replace(`EXISTS (SELECT 1 FROM holds WHERE ended_at = 0
		AND (holds.site = '' OR holds.site = TABLE.site) AND (holds.gate = '' OR holds.gate = TABLE.gate) AND (holds.event = '' OR holds.event IN (IDS))
		AND (from_time = 0 OR from_time <= TIME) AND (to_time = 0 OR to_time > TIME))`)
}

// What a hold keeps: events, and with them second readings and pictures.
var (
	heldEvent    = heldBy("events", "events.time", "events.id")
	heldAlert    = heldBy("alerts", "alerts.time", "alerts.event, alerts.latest")
	heldSnapshot = heldBy("snapshots", "snapshots.received", "snapshots.event")
)

const holdColumns = "id, site, gate, event, from_time, to_time, reason, who, at, ended_by, ended_at, ended_why"

func (s *Store) holds(ctx context.Context, q querier, rest string, args ...any) ([]Hold, error) {
	return collect(ctx, q, func(rows *sql.Rows) (h Hold, err error) {
		var from, to, at, ended int64
		err = rows.Scan(&h.ID, &h.Gate.Site, &h.Gate.Name, &h.Event, &from, &to, &h.Reason, &h.By, &at, &h.EndedBy, &ended, &h.EndedWhy)
		h.From, h.To, h.At, h.EndedAt = fromMilliseconds(from), fromMilliseconds(to), fromMilliseconds(at), fromMilliseconds(ended)
		return h, err
	}, "SELECT "+holdColumns+" FROM holds "+rest, args...)
}

// Holds returns all there ever were, those in force first, the newest first.
func (s *Store) Holds(ctx context.Context) ([]Hold, error) {
	return s.holds(ctx, s.read, "ORDER BY CASE WHEN ended_at = 0 THEN 0 ELSE 1 END, id DESC")
}

// HoldsOn returns the holds in force that keep an event.
func (s *Store) HoldsOn(ctx context.Context, e Event) ([]Hold, error) {
	return s.holds(ctx, s.read, `WHERE ended_at = 0 AND (site = '' OR site = $1) AND (gate = '' OR gate = $2) AND (event = '' OR event = $3)
		AND (from_time = 0 OR from_time <= $4) AND (to_time = 0 OR to_time > $5) ORDER BY id`, e.Gate.Site, e.Gate.Name, e.ID, e.at, e.at)
}

// AddHold puts a hold in force.
func (s *Store) AddHold(ctx context.Context, h Hold, by Author, at time.Time) (id string, err error) {
	switch {
	case strings.TrimSpace(h.Reason) == "" || len(h.Reason) > maxNote:
		return "", fmt.Errorf("a hold has a reason, of at most %d bytes", maxNote)
	case h.Gate.Site == "" && h.Gate.Name != "":
		return "", errors.New("a hold on a gate names its site")
	case !h.To.IsZero() && !h.From.Before(h.To):
		return "", errors.New("a hold ends after it begins")
	}
	h.ID = ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String()
	about := h.Event
	if about == "" {
		about = h.ID
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO holds (id, site, gate, event, from_time, to_time, reason, who, at) VALUES "+values(1, 9),
			h.ID, h.Gate.Site, h.Gate.Name, h.Event, milliseconds(h.From), milliseconds(h.To), h.Reason, by.Account, at.UnixMilli()); err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{By: by, What: Held, About: about, Scope: h.Gate, Detail: h.words()})
	})
	if err != nil {
		return "", fmt.Errorf("putting a hold in force: %w", err)
	}
	return h.ID, nil
}

// words is what the audit says of a hold.
func (h Hold) words() string {
	var text []string
	for _, bound := range []struct {
		word string
		at   time.Time
	}{{"from", h.From}, {"to", h.To}} {
		if !bound.at.IsZero() {
			text = append(text, bound.word+" "+bound.at.UTC().Format(time.RFC3339))
		}
	}
	return strings.Join(append(text, h.Reason), " ")
}

// EndHold ends a hold. What is older than it may get goes with the next Retire.
func (s *Store) EndHold(ctx context.Context, id, why string, by Author, at time.Time) error {
	if strings.TrimSpace(why) == "" || len(why) > maxNote {
		return fmt.Errorf("whoever ends a hold says why, in at most %d bytes", maxNote)
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		found, err := s.holds(ctx, tx, "WHERE id = $1 AND ended_at = 0", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errors.New("there is no such hold in force")
		}
		h := found[0]
		if _, err := tx.ExecContext(ctx, "UPDATE holds SET ended_by = $1, ended_at = $2, ended_why = $3 WHERE id = $4", by.Account, at.UnixMilli(), why, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE sites SET to_strip = outcome_only WHERE $1 = '' OR name = $2", h.Gate.Site, h.Gate.Site); err != nil {
			return err
		}
		about := h.Event
		if about == "" {
			about = h.ID
		}
		return note(ctx, tx, AuditLine{By: by, What: EndedHold, About: about, Scope: h.Gate, Detail: why})
	})
	if err != nil {
		return fmt.Errorf("ending the hold %.40q: %w", id, err)
	}
	s.due.Store(true)
	return nil
}

// KeepPeopleDays is for how many days it is kept who events are about.
func (s *Store) KeepPeopleDays() int { return s.cfg.KeepPeopleDays }

// KeepSnapshotDays is for how many days the pictures of alerts are kept.
func (s *Store) KeepSnapshotDays() int { return s.cfg.KeepSnapshotDays }
