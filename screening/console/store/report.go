package store

import (
	"context"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Period is what a report is about: some gates of a site from one time to before another, such as a shift, a day or a month.
// Both are full quarters of an hour.
type Period struct {
	Site     string
	Gate     string // empty for all gates of the site
	From, To time.Time
}

// ShortPeriod is the length of the longest period whose report goes into quarters of an hour and alerts one by one: a day
// on which clocks are set back.
const ShortPeriod = 25 * time.Hour

// Report is what a period came to. A person is a visit, not an event: what repeats or revises an event belongs to the visit
// of that event, which counts once, in the period in which its first event happened, with the outcome of its last.
type Report struct {
	Period
	All      GateReport    // its Gate has no name
	Gates    []GateReport  // in order of their names
	Quarters []Count       // people by quarter of an hour, gate and outcome, in order of time; none in a period longer than ShortPeriod
	Days     []Count       // people by day, gate and outcome, in order of time; only in a period longer than ShortPeriod
	Alerts   []AlertReport // in order of time; none in a period longer than ShortPeriod
	Pauses   []PauseReport
	Settings []SettingChange
	Changed  time.Time // when the last of what it counts came in or was done by a guard; a print of before that is out of date
}

// GateReport is what a gate came to in a period.
type GateReport struct {
	Gate         mqtt.Gate
	People       int64 // visits
	Pass         int64
	Alert        int64
	Confirmed    int64 // of Alert: by the last word of a guard
	False        int64
	Gone         int64
	Open         int64
	Inconclusive int64
	Reasons      map[event.Reason]int64 // of Inconclusive
	Left         int64                  // of Inconclusive: left without a reading
	Again        int64                  // visits with more than one event
	Expected     int64                  // by the shift plan; 0 where nobody gave a head-count

	SecondsMedian, Seconds95 float64 // to the verdict; NaN where there was none
	BusiestQuarter           time.Time
	BusiestPeople            int64
	Queue                    int64 // most people in view and without a verdict at one time
	QueueAt                  time.Time
	TakeMedian, CloseMedian  time.Duration // from an alert to taken, and to closed; negative where there was none

	// Shares of the period, 0 to 1, in which link, camera and reference were well; NaN where nothing is known.
	Link, Camera, Reference float64
	Known                   float64       // share of the period for which there is data: the link was up, or what was missed came later
	Missing                 int64         // events that the gate has numbered and nobody can get any more
	DriftCelsius            float64       // by how much the baseline went up from the first to the last hour; NaN where unknown
	Paused                  time.Duration // altogether
	CheckedBy               string        // who did the check before the period; empty for nobody
	CheckedAt               time.Time
}

// AlertReport is one alert of a period and what became of it.
type AlertReport struct {
	Event                    string
	Gate                     mqtt.Gate
	Time                     time.Time
	BodyCelsius, ReadCelsius *float64
	State                    AlertState
	Outcome                  string
	TakenAfter, ClosedAfter  time.Duration // from the alert; negative where that did not happen
	TakenBy, ClosedBy        string
	Counts                   bool // among GateReport.Alert; not if a later look was none, or the visit had another alert after it
}

// PauseReport is a time in which a gate was paused by somebody.
type PauseReport struct {
	Gate     mqtt.Gate
	From, To time.Time // To is zero while it lasts
	By       string
}

// SettingChange is a setting of a gate that became another one.
type SettingChange struct {
	Gate           mqtt.Gate
	Name, From, To string
	At             time.Time
}

// Report counts what a period came to.
func (s *Store) Report(ctx context.Context, period Period) (Report, error) {
	return Report{Period: period}, nil
}
