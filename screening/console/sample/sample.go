// Package sample makes up a past of a gate, for a console that is to be looked at before there is one.
package sample

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
)

// Camera is what made-up events name instead of a camera.
const Camera = "none, made up"

// A plant with three shifts a day, before each of which most people come within half an hour.
const (
	peopleAShift   = 60
	shiftsADay     = 3
	firstShift     = 6 * time.Hour
	oneFeverIn     = 300
	oneCoveredIn   = 40 // people who keep on what covers their face
	oneGoneIn      = 12 // alerts whose person does not wait for the guard
	feverOral      = 38.6
	wellOral       = 36.85
	skinSpread     = 0.28 // °C, standard deviation of skin temperature among well people
	oralSpread     = 0.2  // °C, of oral temperature about what the skin says
	noise          = 0.05 // °C, standard uncertainty of a reading that more frames make smaller, and
	systematic     = 0.12 // °C, the one that they don't
	nominal        = 35.0 // °C, of the reference source
	confirmed      = 37.5 // °C, second reading from which on an alert is real
	framesASecond  = 9
	daysUnchecked  = 11 // every so many days somebody forgets the check before the first shift
	checkedBefore  = 40 * time.Minute
	usualTake      = 40 * time.Second
	usualReading   = 70 * time.Second
	usualDecision  = 15 * time.Second
	arrivalsSpread = 9 * time.Minute
	arrivalsBefore = 18 * time.Minute
	seenTo         = 15 * time.Minute // before the end nobody comes any more, so that guards have seen to every alert
)

// past is a gate whose days are being made up.
type past struct {
	store   *store.Store
	gate    mqtt.Gate
	version string
	until   time.Time
	dice    *rand.Rand
	policy  *policy.Policy
	journal string
	last    int // sequence number in it
}

// Fill puts so many days until a time into a store: people with verdicts by the rules of policy.DefaultConfig, alerts with
// what guards did about them, and the checks before the first shift of a day. The same seed gives the same people.
func Fill(ctx context.Context, s *store.Store, gate mqtt.Gate, version string, until time.Time, days int, seed uint64) error {
	config := policy.DefaultConfig()
	config.Referenced = true
	rules, err := policy.New(config)
	if err != nil {
		return err
	}
	p := &past{store: s, gate: gate, version: version, until: until.Add(-seenTo), dice: rand.New(rand.NewPCG(seed, 0)), policy: rules}
	today := until.In(s.Zone(gate.Site))
	begin := time.Date(today.Year(), today.Month(), today.Day()-days, 0, 0, 0, 0, today.Location()).Add(firstShift)
	p.journal = ulid.MustNew(ulid.Timestamp(begin), ulid.DefaultEntropy()).String()
	for n := range (days + 1) * shiftsADay {
		day, shift := n/shiftsADay, n%shiftsADay
		at := begin.AddDate(0, 0, day).Add(time.Duration(shift) * 24 * time.Hour / shiftsADay)
		if shift == 0 && (day+1)%daysUnchecked != 0 {
			err = p.check(ctx, at.Add(-checkedBefore), day)
		}
		if err == nil {
			err = p.shift(ctx, at, n)
		}
		if err != nil {
			return fmt.Errorf("making up the shift of %s: %w", at.Format(time.DateTime), err)
		}
	}
	return nil
}

// guard is who has which shift.
func guard(n int) string { return []string{"Li Na", "Wang Wei", "Zhao Min"}[n%3] }

func (p *past) about(usual time.Duration) time.Duration {
	return time.Duration(float64(usual) * math.Exp(0.5*p.dice.NormFloat64()))
}

func (p *past) check(ctx context.Context, at time.Time, day int) error {
	if at.After(p.until) {
		return nil
	}
	read := event.Hundredths(nominal + 0.08*p.dice.NormFloat64())
	room := math.Round(10*(22+p.dice.NormFloat64())) / 10
	humidity, test := math.Round(45+5*p.dice.NormFloat64()), math.Round(10*(36.7+0.1*p.dice.NormFloat64()))/10
	return p.store.AddCheck(ctx, store.Check{
		Gate: p.gate, At: at, Who: guard(day), WarmedUp: true, ReferenceNominal: new(nominal), ReferenceRead: &read,
		CertificateUntil: p.until.AddDate(0, 7, 0), RoomCelsius: &room, HumidityPercent: &humidity, TestCelsius: &test,
		Thermometer: "T-1042", OK: true,
	})
}

// person is one who comes, with what a thermometer in the mouth would say.
type person struct {
	at      time.Time
	oral    float64
	covered bool
}

// shift lets people come before its beginning, and the guards of the shift see to the alerts.
func (p *past) shift(ctx context.Context, begin time.Time, n int) error {
	var people []person
	for range peopleAShift {
		come := begin.Add(-arrivalsBefore + time.Duration(p.dice.NormFloat64()*float64(arrivalsSpread)))
		who := person{at: come.Truncate(time.Millisecond), oral: wellOral + oralSpread*p.dice.NormFloat64(), covered: p.dice.IntN(oneCoveredIn) == 0}
		if p.dice.IntN(oneFeverIn) == 0 {
			who.oral = feverOral + oralSpread*p.dice.NormFloat64()
		}
		people = append(people, who)
	}
	slices.SortFunc(people, func(a, b person) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	var events []store.Event
	alerts := map[string]person{}
	for _, who := range people {
		if who.at.After(p.until) {
			break
		}
		e := p.screen(who)
		body, err := json.Marshal(e)
		if err != nil {
			return err
		}
		kept, err := store.NewEvent(p.gate, body, e.Time.Add(time.Second))
		if err != nil {
			return err
		}
		events = append(events, kept)
		if e.Data.Outcome == event.Alert {
			alerts[e.ID] = who
		}
	}
	if _, err := p.store.Append(ctx, events); err != nil {
		return err
	}
	for _, e := range events {
		if who, alert := alerts[e.ID]; alert {
			if err := p.attend(ctx, e.ID, who, guard(n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// screen is the event of somebody at the gate.
func (p *past) screen(who person) event.Event {
	data := event.Data{
		Reference: event.Reference{
			Found: true, NominalCelsius: new(nominal), MeasuredCelsius: new(event.Hundredths(nominal + 0.2)), CorrectionCelsius: new(-0.2),
		},
		Face: &event.Box{X: 44, Y: 31, W: 31, H: 42}, FirstSeen: who.at.Add(-400 * time.Millisecond).UTC(), Camera: Camera, Version: p.version,
	}
	verdict := p.policy.Unmeasured(event.Covered)
	seconds := 4.0
	if who.covered {
		data.Worn = []event.Garment{event.Glasses}
	} else {
		verdict, seconds = p.judge(who)
		data.SkinSite, data.FramesUsed = event.InnerCanthus, int(seconds*framesASecond)+1
	}
	data.Outcome, data.Reason, data.Policy = verdict.Outcome, verdict.Reason, string(verdict.Policy)
	data.SkinCelsius, data.SkinUncertaintyCelsius = verdict.SkinCelsius, verdict.UncertaintyCelsius
	data.BodyCelsius, data.BodyUncertaintyCelsius, data.OffsetCelsius = verdict.BodyCelsius, verdict.BodyUncertaintyCelsius, verdict.OffsetCelsius
	data.ThresholdCelsius, data.BaselineCelsius = verdict.ThresholdCelsius, verdict.BaselineCelsius
	at := who.at.Add(time.Duration(seconds * float64(time.Second))).UTC()
	data.MeasurableSince, data.SecondsToVerdict = new(who.at.UTC()), new(seconds)
	p.policy.Learn(verdict, at)
	p.last++
	return event.Event{
		SpecVersion: "1.0", ID: ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), Source: event.Source(p.gate.Site, p.gate.Name),
		Type: fmt.Sprintf("thermogate.screening.%s.v1", verdict.Outcome), Time: at, DataContentType: "application/json",
		Journal: p.journal, Sequence: strconv.Itoa(p.last), Data: data,
	}
}

// judge looks at somebody until the policy has a verdict, and says how many seconds that took.
func (p *past) judge(who person) (policy.Verdict, float64) {
	skin := who.oral - policy.DefaultConfig().OffsetCelsius + skinSpread*p.dice.NormFloat64()
	for frames := 3; ; frames++ {
		span := time.Duration(frames-1) * time.Second / framesASecond
		verdict, done := p.policy.Decide(policy.Estimate{
			SkinCelsius: skin, NoiseCelsius: noise / math.Sqrt(float64(frames)), SystematicCelsius: systematic, Site: event.InnerCanthus,
			ChillCelsius: 0, ChillUncertainty: 0.1, Bare: true, Frames: frames, Span: span, Elapsed: span, At: who.at.Add(span), ReferenceOK: true,
		})
		if done {
			return verdict, event.Hundredths(span.Seconds())
		}
	}
}

// attend is what a guard does about an alert.
func (p *past) attend(ctx context.Context, id string, who person, guard string) error {
	at := who.at.Add(p.about(usualTake))
	alert, err := p.store.Take(ctx, id, 0, guard, at)
	if err != nil {
		return err
	}
	outcome := mqtt.Gone
	if p.dice.IntN(oneGoneIn) > 0 {
		at = at.Add(p.about(usualReading))
		celsius := math.Round(10*who.oral) / 10
		outcome = mqtt.FalseAlert
		if celsius >= confirmed {
			outcome = mqtt.Confirmed
		}
		reading := store.Reading{Celsius: celsius, Unit: "°C", Place: store.Ear, Thermometer: "T-1042"}
		if alert, err = p.store.AddReading(ctx, id, alert.Version, guard, reading, at); err != nil {
			return err
		}
	}
	_, err = p.store.CloseAlert(ctx, id, alert.Version, guard, outcome, at.Add(p.about(usualDecision)))
	return err
}
