package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Limits on time with alerts.
const (
	TakeLimit = 3 * time.Minute  // a take without a reading expires after it
	UndoLimit = time.Minute      // what was done can be undone within it
	lateLimit = 12 * time.Hour   // whoever had an alert longer ago than this is long gone when it comes in
	keptWord  = 60 * time.Minute // how long the broker keeps the last word on an alert
)

// AlertState is how far the guards are with an alert.
type AlertState string

// The states.
const (
	New    AlertState = "new"
	Taken  AlertState = "taken"  // somebody sees to it
	Read   AlertState = "read"   // there is a second reading
	Closed AlertState = "closed" // as confirmed, false or gone
)

// Alert is somebody with an alert, for as many events as their visit has. They have one at a time; what comes after it was
// closed is another.
type Alert struct {
	Event       string // id of its first event
	Latest      string // of its last one
	Times       int    // how many there were
	Visit       string
	Gate        mqtt.Gate
	Time        time.Time
	Received    time.Time
	Raised      time.Time // as Time, but by the console's clock
	State       AlertState
	Outcome     mqtt.AlertOutcome // of one that is closed
	Version     int64             // counts the changes; every change names the one that it was made on
	TakenBy     string
	TakenAt     time.Time
	Expired     int       // how often a take was not followed up
	Escalated   time.Time // when it was handed to the shift leader, too; zero while it was not
	ReadAt      time.Time
	ReadCelsius *float64
	ClosedBy    string
	ClosedAt    time.Time
}

// Reading is what a clinical thermometer says.
type Reading struct {
	Celsius     float64
	Unit        string // °C or °F, as it was entered
	Place       string // where it was measured
	Thermometer string // which one
	// NotKept is true where nobody knows any more what it said: its site keeps outcomes only, or it was deleted.
	NotKept bool
}

// The places where a thermometer measures.
const (
	Ear      = "ear"
	Mouth    = "mouth"
	Armpit   = "armpit"
	Forehead = "forehead"
)

// Validate refuses what no living person has.
func (r Reading) Validate() error {
	switch {
	case !r.NotKept && !(r.Celsius >= 30 && r.Celsius <= 45):
		return fmt.Errorf("%.1f °C is not between 30 and 45 °C (86 and 113 °F)", r.Celsius)
	case !r.NotKept && r.Unit != "°C" && r.Unit != "°F":
		return fmt.Errorf("%.10q is neither °C nor °F", r.Unit)
	case r.Place != Ear && r.Place != Mouth && r.Place != Armpit && r.Place != Forehead:
		return fmt.Errorf("%.20q is not %s, %s, %s or %s", r.Place, Ear, Mouth, Armpit, Forehead)
	case utf8.RuneCountInString(r.Thermometer) > maxWord:
		return fmt.Errorf("the name of a thermometer has at most %d characters", maxWord)
	}
	return nil
}

// Change is what somebody did with an alert. Nothing of it is ever deleted, but for what a second reading read.
type Change struct {
	Event    string
	Version  int64 // that it made
	At       time.Time
	Who      string // empty: the console by itself
	What     string // take, read, close, undo, expire (given back and escalated), escalate (nobody took it), late or again
	From, To AlertState
	Outcome  mqtt.AlertOutcome
	Reading  *Reading

	holder string // of an undo: who has it again
}

// ConflictError says that an alert is not any more as somebody saw it who wanted to change it.
type ConflictError struct {
	Alert Alert  // as it is
	Last  Change // what happened meanwhile
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the alert was changed meanwhile: %s by %s at %s", e.Last.What, e.Last.Who, e.Last.At.Format(time.TimeOnly))
}

// Errors of changes, to be told apart with errors.Is.
var (
	ErrUnknown = errors.New("there is no such alert")
	ErrState   = errors.New("that can't be done with an alert in this state")
)

// alertedAgain is the change that another event of the same person makes. Nobody did it, and it gets in nobody's way.
const alertedAgain = "again"

// neverTold is a version that no alert gets. One of toldByPlant no gate is told of here.
const (
	neverTold   = math.MaxInt32
	toldByPlant = -1
)

// raiseAlerts makes alerts of the events that are one, and returns those that are new or changed. What became of those of a plant
// its own console says: an event counts with the alert that was open when it happened.
func raiseAlerts(ctx context.Context, tx *sql.Tx, fresh []*Event, ofPlants bool) (raised []Outgoing, err error) {
	for _, e := range fresh {
		if e.Data.Outcome != event.Alert {
			continue
		}
		open, args, told := "state <> 'closed'", []any{e.ID, e.Visit, e.Gate.Site, e.Gate.Name}, neverTold
		if ofPlants {
			args, told = append(args, e.at), toldByPlant
			open = "(state <> 'closed' OR closed_at >= " + list(len(args), 1) + ")"
		}
		more := Change{At: e.Received, What: alertedAgain}
		err := tx.QueryRowContext(ctx, `UPDATE alerts SET times = times + 1, latest = CASE WHEN latest < $1 THEN $1 ELSE latest END
			WHERE visit = $2 AND site = $3 AND gate = $4 AND `+open+` RETURNING event, version + 1, state`, args...).Scan(&more.Event, &more.Version, &more.From)
		if err == nil && !ofPlants {
			more.To = more.From
			raised = append(raised, Outgoing{Kind: OutgoingAlert, Site: e.Gate.Site, Key: more.Event})
			err = more.apply(ctx, tx)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		// What a clock that is ahead says to be later is of when it came: it may have been set right since it was last looked at.
		at := min(e.Time.Add(e.Behind).UnixMilli(), e.Received.UnixMilli())
		if _, err := tx.ExecContext(ctx, `INSERT INTO alerts (event, latest, times, visit, site, gate, time, received, state, begun, told, raised)
			VALUES ($1, $1, 1, $2, $3, $4, $5, $6, 'new', $5, $7, $8)`,
			e.ID, e.Visit, e.Gate.Site, e.Gate.Name, e.at, e.Received.UnixMilli(), told, at); err != nil {
			return nil, err
		}
		raised = append(raised, Outgoing{Kind: OutgoingAlert, Site: e.Gate.Site, Key: e.ID})
		if !ofPlants && e.Received.UnixMilli()-at > lateLimit.Milliseconds() {
			change := Change{Event: e.ID, Version: 1, At: e.Received, What: "late", From: New, To: Closed, Outcome: mqtt.Gone}
			if err := change.apply(ctx, tx); err != nil {
				return nil, err
			}
		}
	}
	return raised, nil
}

// countAlerts notes of the alerts of visits when these began, and which of them a visit counts with: its last one, where
// its last outcome is an alert.
func (v *visits) countAlerts(ctx context.Context, tx *sql.Tx) error {
	for visit, members := range v.changed {
		if !slices.ContainsFunc(members, func(m member) bool { return m.outcome == event.Alert }) {
			continue
		}
		first, last := ends(members)
		if _, err := tx.ExecContext(ctx, `UPDATE alerts SET begun = $1, counts = $2 AND event =
			(SELECT max(event) FROM alerts AS other WHERE other.visit = $3 AND other.site = $4 AND other.gate = $5)
			WHERE visit = $3 AND site = $4 AND gate = $5`,
			first.at, last.outcome == event.Alert, visit.id, visit.gate.Site, visit.gate.Name); err != nil {
			return err
		}
	}
	return nil
}

func execute(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Take says that who sees to an alert. It may be one that somebody else has taken.
func (s *Store) Take(ctx context.Context, id string, version int64, who string, at time.Time) (Alert, error) {
	return s.change(ctx, id, version, who, at, func(a Alert, c *Change) error {
		c.What, c.To = "take", Taken
		if a.State != New && a.State != Taken || a.State == Taken && a.TakenBy == who {
			return ErrState
		}
		return nil
	})
}

// AddReading notes a second reading, of which there may be more than one. Where outcomes only are kept, it is noted that there
// was one.
func (s *Store) AddReading(ctx context.Context, id string, version int64, who string, reading Reading, at time.Time) (Alert, error) {
	if err := reading.Validate(); err != nil {
		return Alert{}, err
	}
	return s.change(ctx, id, version, who, at, func(a Alert, c *Change) error {
		bare, err := s.bare(ctx, a)
		if err != nil {
			return err
		}
		if bare {
			reading = Reading{Place: reading.Place, Thermometer: reading.Thermometer, NotKept: true}
		}
		c.What, c.To, c.Reading = "read", Read, &reading
		if a.State != Taken && a.State != Read {
			return ErrState
		}
		return nil
	})
}

// bare tells whether an alert has no numbers: its site keeps outcomes only, or its gate tells no more.
func (s *Store) bare(ctx context.Context, a Alert) (bool, error) {
	if s.OutcomeOnly(a.Gate.Site) {
		return true, nil
	}
	e, err := s.Event(ctx, a.Latest)
	if errors.Is(err, ErrNoEvent) {
		return false, nil
	}
	return e.Data.OutcomeOnly, err
}

// CloseAlert says what became of an alert: after a reading confirmed or false, and gone if there was none.
func (s *Store) CloseAlert(ctx context.Context, id string, version int64, who string, outcome mqtt.AlertOutcome, at time.Time) (Alert, error) {
	return s.change(ctx, id, version, who, at, func(a Alert, c *Change) error {
		c.What, c.To, c.Outcome = "close", Closed, outcome
		if a.State == Read && (outcome == mqtt.Confirmed || outcome == mqtt.FalseAlert) || a.State == Taken && outcome == mqtt.Gone {
			return nil
		}
		return ErrState
	})
}

// Undo takes the last change back, for whoever made it and within UndoLimit. A take-over goes back to whom it was taken from.
func (s *Store) Undo(ctx context.Context, id string, version int64, who string, at time.Time) (Alert, error) {
	return s.change(ctx, id, version, who, at, func(a Alert, c *Change) error {
		changes, err := s.changes(ctx, "WHERE event = $1 ORDER BY version", id)
		if err != nil {
			return err
		}
		changes = ofPeople(changes)
		c.What = "undo"
		if !Undoable(changes, who, at) {
			return ErrState
		}
		c.To, c.holder = changes[len(changes)-1].From, holderBefore(changes)
		return nil
	})
}

// ofPeople leaves out what only other events of the same person changed.
func ofPeople(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.What == alertedAgain })
}

// Undoable tells whether somebody can take back the last of an alert's changes.
func Undoable(changes []Change, who string, at time.Time) bool {
	changes = ofPeople(changes)
	if len(changes) == 0 {
		return false
	}
	last := changes[len(changes)-1]
	return last.Who == who && last.What != "undo" && (last.From != last.To || last.What == "take") && at.Sub(last.At) < UndoLimit
}

// holderBefore is who had an alert before the last of its changes.
func holderBefore(changes []Change) string {
	holders := []string{""} // after so many changes
	for _, c := range changes {
		now := holders[len(holders)-1]
		switch {
		case c.What == "take":
			now = c.Who
		case c.What == "undo":
			now = holders[len(holders)-2]
		case c.To == New:
			now = ""
		}
		holders = append(holders, now)
	}
	return holders[len(holders)-2]
}

// Escalate hands to the shift leader every alert that was taken TakeLimit ago and has no reading yet, which it gives back,
// and every one that nobody has taken for so long. Where the clock was set back by more than that, nobody knows how long, and
// it is handed over, too. It returns them.
func (s *Store) Escalate(ctx context.Context, now time.Time) ([]Alert, error) {
	limit, ahead := now.Add(-TakeLimit).UnixMilli(), now.Add(TakeLimit).UnixMilli()
	overdue, err := s.alerts(ctx, s.read, `WHERE state = 'taken' AND (taken_at <= $1 OR taken_at > $2)
		OR state = 'new' AND escalated = 0 AND (received <= $3 OR received > $4)`, limit, ahead, limit, ahead)
	if err != nil {
		return nil, fmt.Errorf("looking for alerts that nobody has followed up: %w", err)
	}
	var escalated []Alert
	for _, a := range overdue {
		a, err := s.change(ctx, a.Event, a.Version, "", now, func(a Alert, c *Change) error {
			c.What, c.To = "escalate", New
			if a.State == Taken {
				c.What = "expire"
			}
			return nil
		})
		if conflict := (*ConflictError)(nil); errors.As(err, &conflict) {
			continue // somebody was quicker
		} else if err != nil {
			return escalated, err
		}
		escalated = append(escalated, a)
	}
	return escalated, nil
}

// change makes a change on a version of an alert: of several at once, one gets through.
func (s *Store) change(ctx context.Context, id string, version int64, who string, at time.Time, decide func(Alert, *Change) error) (Alert, error) {
	alerts, err := s.alerts(ctx, s.read, "WHERE event = $1", id)
	if err != nil {
		return Alert{}, fmt.Errorf("alert %s: %w", id, err)
	}
	if len(alerts) == 0 {
		return Alert{}, fmt.Errorf("alert %.40q: %w", id, ErrUnknown)
	}
	now := alerts[0]
	if now.Version != version {
		since, err := s.changes(ctx, "WHERE event = $1 AND version > $2", id, version)
		if err != nil {
			return Alert{}, fmt.Errorf("alert %s: %w", id, err)
		}
		if len(since) == 0 || len(ofPeople(since)) > 0 {
			return Alert{}, s.conflict(ctx, now)
		}
	}
	change := Change{Event: id, Version: now.Version + 1, At: at, Who: who, From: now.State}
	if err := decide(now, &change); err != nil {
		return Alert{}, fmt.Errorf("%s an alert that is %s: %w", change.What, now.State, err)
	}
	stale := false
	err = s.transact(ctx, func(tx *sql.Tx) error {
		err := change.apply(ctx, tx)
		if stale = errors.Is(err, errStale); err != nil {
			return err
		}
		if err := s.queue(ctx, tx, urgentLane, Outgoing{Kind: OutgoingAlert, Site: now.Gate.Site, Key: id}); err != nil {
			return err
		}
		return s.queueShiftsAt(ctx, tx, now.Gate.Site, at, now.Time)
	})
	if stale { // between being read and being changed: it may have been nobody's doing
		return s.change(ctx, id, version, who, at, decide)
	}
	alerts, readErr := s.alerts(ctx, s.read, "WHERE event = $1", id)
	switch {
	case readErr != nil || len(alerts) == 0:
		return Alert{}, fmt.Errorf("alert %s: %w", id, errors.Join(err, readErr))
	case err != nil:
		return Alert{}, fmt.Errorf("alert %s: %w", id, err)
	}
	return alerts[0], nil
}

var errStale = errors.New("the alert has another version")

// apply makes the change, if the alert still has the version before it.
func (c Change) apply(ctx context.Context, tx *sql.Tx) error {
	at := c.At.UnixMilli()
	set, args := "version = $1, state = $2, changed = $3", []any{c.Version, string(c.To), at}
	add := func(column string, value any) {
		args = append(args, value)
		set += ", " + column + " = " + list(len(args), 1)
	}
	switch {
	case c.What == alertedAgain:
	case c.What == "take":
		add("taken_by", c.Who)
		add("taken_at", at)
	case c.To == New:
		add("taken_by", "")
		add("taken_at", int64(0))
		if c.What != "undo" {
			add("escalated", at)
		}
		if c.What == "expire" {
			set += ", expired = expired + 1"
		}
	case c.What == "undo":
		add("outcome", "")
		add("closed_by", "")
		add("closed_at", int64(0))
		if c.To == Taken {
			add("read_at", int64(0))
			add("read_celsius", nil)
			add("taken_by", c.holder)
			add("taken_at", at) // the time to follow up begins anew
		}
	case c.What == "read":
		add("read_at", at)
		add("read_celsius", c.Reading.celsius())
	case c.To == Closed:
		add("outcome", string(c.Outcome))
		add("closed_by", c.Who)
		add("closed_at", at)
	}
	args = append(args, c.Event, c.Version-1)
	changed, err := execute(ctx, tx, "UPDATE alerts SET "+set+" WHERE event = "+list(len(args)-1, 1)+" AND version = "+list(len(args), 1), args...)
	if err != nil {
		return err
	}
	if changed == 0 {
		return errStale
	}
	var reading Reading
	var celsius *float64
	if c.Reading != nil {
		reading, celsius = *c.Reading, c.Reading.celsius()
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO alert_changes (event, version, at, who, what, from_state, to_state, outcome, celsius, unit, place, thermometer)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		c.Event, c.Version, at, c.Who, c.What, string(c.From), string(c.To), string(c.Outcome), celsius, reading.Unit, reading.Place, reading.Thermometer)
	return err
}

// celsius is nil where it is not kept.
func (r Reading) celsius() *float64 {
	if r.NotKept {
		return nil
	}
	return &r.Celsius
}

func (s *Store) conflict(ctx context.Context, now Alert) error {
	last, err := s.last(ctx, now.Event)
	if err != nil {
		return fmt.Errorf("alert %s: %w", now.Event, err)
	}
	return &ConflictError{Alert: now, Last: last}
}

func (s *Store) alerts(ctx context.Context, q querier, rest string, args ...any) ([]Alert, error) {
	return collect(ctx, q, func(rows *sql.Rows) (a Alert, err error) {
		var at, received, raised, taken, escalated, read, closed int64
		err = rows.Scan(&a.Event, &a.Latest, &a.Times, &a.Visit, &a.Gate.Site, &a.Gate.Name, &at, &received, &raised, &a.State, &a.Outcome, &a.Version,
			&a.TakenBy, &taken, &a.Expired, &escalated, &read, &a.ReadCelsius, &a.ClosedBy, &closed)
		a.Time, a.Received, a.TakenAt = time.UnixMilli(at).UTC(), fromMilliseconds(received), fromMilliseconds(taken)
		a.Raised = fromMilliseconds(raised)
		a.Escalated, a.ReadAt, a.ClosedAt = fromMilliseconds(escalated), fromMilliseconds(read), fromMilliseconds(closed)
		return a, err
	}, `SELECT event, latest, times, visit, site, gate, time, received, raised, state, outcome, version,
		taken_by, taken_at, expired, escalated, read_at, read_celsius, closed_by, closed_at FROM alerts `+rest, args...)
}

// OpenAlerts returns every alert that is not closed, the newest first.
func (s *Store) OpenAlerts(ctx context.Context) ([]Alert, error) {
	return s.alerts(ctx, s.read, "WHERE state <> 'closed' ORDER BY raised DESC, event DESC")
}

// CountOpenAlerts is how many alerts are not closed.
func (s *Store) CountOpenAlerts(ctx context.Context) (n int, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT count(*) FROM alerts WHERE state <> 'closed'").Scan(&n)
	return n, err
}

// NewestOpenAlerts returns the newest alerts within a scope that are not closed, so many.
func (s *Store) NewestOpenAlerts(ctx context.Context, scope mqtt.Gate, limit int) ([]Alert, error) {
	var where conditions
	where.add("state <> 'closed'")
	if scope.Site != "" {
		where.add("site = ?", scope.Site)
	}
	if scope.Name != "" {
		where.add("gate = ?", scope.Name)
	}
	where.args = append(where.args, limit)
	return s.alerts(ctx, s.read, where.String()+" ORDER BY raised DESC, event DESC LIMIT "+list(len(where.args), 1), where.args...)
}

// OpenAlertsOfSites returns the newest alerts of all sites that are not closed, so many, and so many of each site: behind one
// that has very many those of the others are seen, too.
func (s *Store) OpenAlertsOfSites(ctx context.Context, ofEach, limit int) ([]Alert, error) {
	return s.alerts(ctx, s.read, `WHERE event IN (SELECT event FROM (SELECT event, row_number() OVER (PARTITION BY site ORDER BY raised DESC, event DESC) AS place
		FROM alerts WHERE state <> 'closed') AS open WHERE place <= $1)
		ORDER BY raised DESC, event DESC LIMIT $2`, ofEach, limit)
}

// Alerts returns those that were raised from one time to before another, the newest first.
func (s *Store) Alerts(ctx context.Context, from, to time.Time) ([]Alert, error) {
	return s.alerts(ctx, s.read, "WHERE time >= $1 AND time < $2 ORDER BY time DESC, event DESC", from.UnixMilli(), to.UnixMilli())
}

// Alert returns one alert and all that was done with it, in order.
func (s *Store) Alert(ctx context.Context, id string) (Alert, []Change, error) {
	alerts, err := s.alerts(ctx, s.read, "WHERE event = $1", id)
	if err != nil {
		return Alert{}, nil, err
	}
	if len(alerts) == 0 {
		return Alert{}, nil, fmt.Errorf("alert %.40q: %w", id, ErrUnknown)
	}
	changes, err := s.changes(ctx, "WHERE event = $1 ORDER BY version", id)
	return alerts[0], changes, err
}

// AlertOf returns the last alert of an event's visit, nil where it has none.
func (s *Store) AlertOf(ctx context.Context, e Event) (*Alert, error) {
	alerts, err := s.alerts(ctx, s.read, "WHERE visit = $1 AND site = $2 AND gate = $3 ORDER BY event DESC LIMIT 1", e.Visit, e.Gate.Site, e.Gate.Name)
	if err != nil || len(alerts) == 0 {
		return nil, err
	}
	return &alerts[0], nil
}

// Changes returns what was done with any alerts from one time to before another, in order of time.
func (s *Store) Changes(ctx context.Context, from, to time.Time) ([]Change, error) {
	return s.changes(ctx, "WHERE at >= $1 AND at < $2 ORDER BY at, event, version", from.UnixMilli(), to.UnixMilli())
}

func (s *Store) last(ctx context.Context, id string) (Change, error) {
	changes, err := s.changes(ctx, "WHERE event = $1 AND what <> $2 ORDER BY version DESC LIMIT 1", id, alertedAgain)
	if err != nil || len(changes) == 0 {
		return Change{}, err
	}
	return changes[0], nil
}

func (s *Store) changes(ctx context.Context, rest string, args ...any) ([]Change, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (c Change, err error) {
		var at int64
		var celsius sql.NullFloat64
		var reading Reading
		err = rows.Scan(&c.Event, &c.Version, &at, &c.Who, &c.What, &c.From, &c.To, &c.Outcome, &celsius, &reading.Unit, &reading.Place, &reading.Thermometer)
		c.At = fromMilliseconds(at)
		if reading.Celsius, reading.NotKept = celsius.Float64, !celsius.Valid; c.What == "read" || c.What == spot {
			c.Reading = &reading
		}
		return c, err
	}, `SELECT event, version, at, who, what, from_state, to_state, outcome, celsius, unit, place, thermometer FROM alert_changes `+rest, args...)
}

// Word is what a gate is to be told of an alert: that it has come to the console, and then what becomes of it.
type Word struct {
	Gate    mqtt.Gate
	Events  []string // the alert's first and last, on whose topics it belongs
	State   AlertState
	Outcome mqtt.AlertOutcome
	By      string
	// Escalated says that nobody sees to it, and that the shift leader should.
	Escalated bool
	Over      bool // closed so long ago that the broker need not keep it any more

	alert   string
	version int64
}

// Untold returns the words on alerts that their gates have not been told yet.
func (s *Store) Untold(ctx context.Context, now time.Time) ([]Word, error) {
	return s.words(ctx, now, false)
}

// Words returns the words on all alerts that a broker is to keep, told or not: it may have lost them.
func (s *Store) Words(ctx context.Context, now time.Time) ([]Word, error) {
	return s.words(ctx, now, true)
}

func (s *Store) words(ctx context.Context, now time.Time, all bool) ([]Word, error) {
	var where conditions
	horizon := now.Add(-keptWord).UnixMilli()
	where.add("told >= 0 AND version > 0") // which few are
	untouched := "WHERE told >= 0 AND state <> 'closed' AND version = 0"
	if all {
		where.add("(state <> 'closed' OR closed_at > ?)", horizon)
	} else {
		where.add("(told <> version OR state = 'closed' AND closed_at <= ?)", horizon)
		untouched += " AND told <> version"
	}
	alerts, err := s.alerts(ctx, s.read, where.String(), where.args...)
	if err != nil {
		return nil, err
	}
	fresh, err := s.alerts(ctx, s.read, untouched)
	if err != nil {
		return nil, err
	}
	alerts = append(alerts, fresh...)
	var words []Word
	for _, a := range alerts {
		word := Word{
			Gate: a.Gate, Events: []string{a.Event}, State: a.State, Outcome: a.Outcome, By: a.TakenBy,
			Escalated: a.State == New && !a.Escalated.IsZero(), alert: a.Event, version: a.Version,
		}
		if a.State == Closed {
			word.By, word.Over = a.ClosedBy, a.ClosedAt.UnixMilli() <= horizon
		}
		if a.Latest != a.Event {
			word.Events = append(word.Events, a.Latest)
		}
		words = append(words, word)
	}
	return words, nil
}

// Told notes that the broker has a word.
func (s *Store) Told(ctx context.Context, word Word) error {
	version := word.version
	if word.Over {
		version = -1
	}
	_, err := s.write.ExecContext(ctx, "UPDATE alerts SET told = $1 WHERE event = $2", version, word.alert)
	return err
}

// Check is the list before a gate is used.
type Check struct {
	Gate             mqtt.Gate
	At               time.Time
	Who              string
	WarmedUp         bool
	ReferenceNominal *float64 // °C, and so below
	ReferenceRead    *float64
	CertificateUntil time.Time // of the reference source
	RoomCelsius      *float64
	HumidityPercent  *float64
	TestCelsius      *float64
	Thermometer      string // its serial number
	OK               bool
	Done             string // about what was not
}

// AddCheck keeps a list that was gone through.
func (s *Store) AddCheck(ctx context.Context, c Check) error {
	switch {
	case strings.TrimSpace(c.Who) == "":
		return errors.New("a check names who made it")
	case len(c.Done) > maxNote || utf8.RuneCountInString(c.Thermometer) > maxWord:
		return fmt.Errorf("what was done has at most %d bytes, a thermometer's number %d characters", maxNote, maxWord)
	case !c.OK && strings.TrimSpace(c.Done) == "":
		return errors.New("where something is not well, say what was done about it")
	}
	if s.OutcomeOnly(c.Gate.Site) {
		c.TestCelsius = nil // it may be of somebody
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO checks (site, gate, at, who, warmed_up, reference_nominal, reference_read, certificate_until,
			room_celsius, humidity_percent, test_celsius, thermometer, ok, done) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
			c.Gate.Site, c.Gate.Name, c.At.UnixMilli(), c.Who, c.WarmedUp, c.ReferenceNominal, c.ReferenceRead, milliseconds(c.CertificateUntil),
			c.RoomCelsius, c.HumidityPercent, c.TestCelsius, c.Thermometer, c.OK, c.Done)
		return err
	})
}

// Checks returns those that were made from one time to before another, the newest first.
func (s *Store) Checks(ctx context.Context, from, to time.Time) ([]Check, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (c Check, err error) {
		var at, certificate int64
		err = rows.Scan(&c.Gate.Site, &c.Gate.Name, &at, &c.Who, &c.WarmedUp, &c.ReferenceNominal, &c.ReferenceRead, &certificate,
			&c.RoomCelsius, &c.HumidityPercent, &c.TestCelsius, &c.Thermometer, &c.OK, &c.Done)
		c.At, c.CertificateUntil = fromMilliseconds(at), fromMilliseconds(certificate)
		return c, err
	}, `SELECT site, gate, at, who, warmed_up, reference_nominal, reference_read, certificate_until,
		room_celsius, humidity_percent, test_celsius, thermometer, ok, done FROM checks WHERE at >= $1 AND at < $2 ORDER BY at DESC, site, gate`,
		from.UnixMilli(), to.UnixMilli())
}
