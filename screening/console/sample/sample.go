// Package sample makes up a past of a plant, for a console that is to be looked at before there is one.
package sample

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
	"thermogate/screening/settings"
)

// Camera is what made-up events name instead of a camera.
const Camera = "none, made up"

// A plant with three shifts a day, before each of which most people come within half an hour.
const (
	shiftsADay     = 3
	firstShift     = 6 * time.Hour
	sundays        = 0.35 // of the people of other days
	oneFeverIn     = 300
	oneCoveredIn   = 40 // people who keep on what covers their face, of whom
	uncovered      = 0.7
	oneLeavesIn    = 120 // who don't wait
	oneMovesIn     = 90
	oneGoneIn      = 12 // alerts whose person does not wait for the guard
	oneSpotIn      = 40 // people who passed and whom a guard reads all the same
	feverOral      = 38.2
	feverSpread    = 0.45
	wellOral       = 36.7
	oralSpread     = 0.15 // °C, of oral temperature among well people
	skinSpread     = 0.27 // °C, standard deviation of skin about what oral temperature says
	faceAbove      = 0.2  // °C, that the warmest spot of a face is above the canthi
	thermometer    = 0.12 // °C, standard uncertainty of a guard's reading
	noise          = 0.05 // °C, standard uncertainty of a screening that more frames make smaller, and
	systematic     = 0.12 // °C, the one that they don't
	nominal        = 35.0 // °C, of the reference source
	confirmed      = 37.3 // °C, second reading from which on an alert is real
	framesASecond  = 9
	daysUnchecked  = 11 // every so many days somebody forgets the check before the first shift
	checkedBefore  = 40 * time.Minute
	usualTake      = 40 * time.Second
	usualReading   = 70 * time.Second
	usualDecision  = 15 * time.Second
	usualSpot      = 50 * time.Second
	arrivalsSpread = 9 * time.Minute
	arrivalsBefore = 18 * time.Minute
	seenTo         = 15 * time.Minute // before the end nobody comes any more, so that guards have seen to every alert
)

// character is what a gate has of its own.
type character struct {
	name           string
	people         [shiftsADay]int
	ambientCelsius float64
	coldIn         int     // one in so many comes in from the cold; 0 is nobody
	driftCelsius   float64 // by which all read lower at the end, its reference source getting old
	troubles       []trouble
	change         func(*policy.Config) // of its settings from changedOn on; nil for a gate as it comes
	changedOn      int                  // day
	guards         [shiftsADay]string
}

// trouble is something that keeps a gate from its work, on some day.
type trouble struct {
	day      int
	at, last time.Duration // from midnight on
	status   mqtt.Status   // while it lasts
	offline  bool          // what happens is heard of only after it
}

func missing(day int, at, last time.Duration) trouble {
	return trouble{day: day, at: at, last: last, status: mqtt.Status{Camera: string(event.CameraOK), Reference: string(event.ReferenceUnstable)}}
}

func paused(day int, at, last time.Duration, by string) trouble {
	return trouble{day: day, at: at, last: last, status: mqtt.Status{Camera: string(event.CameraOK), Paused: true, PausedBy: by}}
}

// others are the gates of the plant beside the one that runs. The first is busy, the second has a weak reference source, the third is out
// of doors and was cut off for an afternoon, and the fourth has settings of its own and is often paused.
var others = []character{
	{name: "main", people: [3]int{190, 150, 60}, ambientCelsius: 22.5, guards: [3]string{"Zhao Min", "Sun Li", "Zhou Tao"}},
	{
		name: "workshop", people: [3]int{80, 70, 40}, ambientCelsius: 25, driftCelsius: 0.25, guards: [3]string{"Wu Gang", "Zheng Hua", "Zhou Tao"},
		troubles: []trouble{
			missing(4, 13*time.Hour+20*time.Minute, 50*time.Minute), missing(9, 5*time.Hour+30*time.Minute, 35*time.Minute), missing(16, 21*time.Hour+30*time.Minute, 40*time.Minute),
			missing(21, 13*time.Hour+30*time.Minute, 25*time.Minute), missing(27, 5*time.Hour+20*time.Minute, 55*time.Minute),
		},
	},
	{
		name: "dock", people: [3]int{60, 50, 20}, ambientCelsius: 17, coldIn: 25, guards: [3]string{"Xu Jing", "Ma Chao", "Hu Bin"},
		troubles: []trouble{
			{day: 18, at: 12 * time.Hour, last: 5 * time.Hour, offline: true},
			{day: 24, at: 5*time.Hour + 25*time.Minute, last: 20 * time.Minute, status: mqtt.Status{Camera: string(event.CameraLost)}},
		},
	},
	{
		name: "office", people: [3]int{110, 15, 5}, ambientCelsius: 23.5, guards: [3]string{"Chen Yu", "Ma Chao", "Hu Bin"}, changedOn: 12,
		change: func(c *policy.Config) { c.Kind, c.ThresholdCelsius = policy.Offset, 37.3 },
		troubles: []trouble{
			paused(6, 12*time.Hour, 50*time.Minute, "Chen Yu"), paused(13, 12*time.Hour, 45*time.Minute, "Chen Yu"), paused(20, 5*time.Hour+40*time.Minute, 15*time.Minute, "Ma Chao"),
		},
	},
}

// past is a gate whose days are being made up.
type past struct {
	character
	store   *store.Store
	gate    mqtt.Gate
	version string
	until   time.Time
	begin   time.Time // midnight of the first day
	days    int
	dice    *rand.Rand
	ids     event.IDs
	config  policy.Config
	policy  *policy.Policy
	journal string
	last    int // sequence number in it
}

// Fill puts so many days until a time into a store, at a gate that runs from then on and at four more of its site that end
// with it: people with verdicts by the rules of policy.DefaultConfig, alerts with what guards did about them, readings of
// some who passed, checks before the first shift of a day, and what went wrong. The same seed gives the same people.
func Fill(ctx context.Context, s *store.Store, running mqtt.Gate, version string, until time.Time, days int, seed uint64) error {
	if held, err := s.Holdings(ctx); err != nil || len(held) > 0 {
		return errors.Join(err, errors.New("people are not made up where there are others"))
	}
	return s.Unsynced(ctx, func() error {
		own := character{name: running.Name, people: [3]int{60, 60, 40}, ambientCelsius: 22, guards: [3]string{"Li Na", "Wang Wei", "Zhao Min"}}
		for n, character := range append([]character{own}, others...) {
			if n > 0 && character.name == running.Name {
				continue
			}
			today := until.In(s.Zone(running.Site))
			p := &past{
				character: character, store: s, gate: mqtt.Gate{Site: running.Site, Name: character.name}, version: version, until: until.Add(-seenTo), days: days,
				begin: time.Date(today.Year(), today.Month(), today.Day()-days, 0, 0, 0, 0, today.Location()), dice: rand.New(rand.NewPCG(seed, uint64(n))),
			}
			p.ids = event.NewIDs(diceReader{p.dice})
			err := p.live(ctx)
			if err == nil && n > 0 {
				err = s.PutOutOfUse(ctx, p.gate, until)
			}
			if err != nil {
				return fmt.Errorf("making up the past of %s: %w", character.name, err)
			}
		}
		return nil
	})
}

// live goes through the days of a gate.
func (p *past) live(ctx context.Context) error {
	p.journal = p.ids.At(p.begin)
	for day := range p.days + 1 {
		if day == 0 || p.change != nil && day == p.changedOn {
			if err := p.set(ctx, day); err != nil {
				return err
			}
		}
		if (day+1)%daysUnchecked != 0 {
			if err := p.check(ctx, p.at(day, firstShift-checkedBefore), p.guards[0]); err != nil {
				return err
			}
		}
		if err := p.suffer(ctx, day); err != nil {
			return err
		}
		if err := p.work(ctx, day); err != nil {
			return err
		}
	}
	return nil
}

// at is a time of a day by the site's clock.
func (p *past) at(day int, since time.Duration) time.Time {
	return p.begin.AddDate(0, 0, day).Add(since)
}

// diceReader has ids come from the seed, too.
type diceReader struct{ *rand.Rand }

func (r diceReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return len(b), nil
}

// set starts the gate with its settings.
func (p *past) set(ctx context.Context, day int) (err error) {
	p.config = policy.DefaultConfig()
	if day > 0 {
		p.change(&p.config)
	}
	if p.policy, err = policy.New(p.config); err != nil {
		return err
	}
	at, written := p.at(day, 4*time.Hour+15*time.Minute), p.at(day, 4*time.Hour+3*time.Minute)
	values := map[string]string{"measure.reference_celsius": strconv.FormatFloat(nominal, 'g', -1, 64), "camera.uri": Camera, "door.output": ""}
	for key, value := range settings.Values(p.config) {
		values["policy."+key] = value
	}
	if err := p.store.SetSettings(ctx, p.gate, mqtt.Settings{Hash: fmt.Sprintf("%016x", p.dice.Uint64()), Written: written, Values: values}, at); err != nil {
		return err
	}
	return p.tell(ctx, mqtt.Status{Camera: string(event.CameraOK)}, at)
}

func (p *past) tell(ctx context.Context, status mqtt.Status, at time.Time) error {
	if at.After(p.until) {
		return nil
	}
	status.Version = p.version
	return p.store.SetStatus(ctx, p.gate, mqtt.StatusMessage{State: store.Online, Status: status}, at)
}

// suffer is what went wrong on a day, as the gate told of it.
func (p *past) suffer(ctx context.Context, day int) (err error) {
	for _, t := range p.troubles {
		begin, end := p.at(t.day, t.at), p.at(t.day, t.at+t.last)
		if t.day != day || end.After(p.until) {
			continue
		}
		if t.status.Paused {
			t.status.PausedUntil = end
		}
		if t.offline {
			err = p.store.SetStatus(ctx, p.gate, mqtt.StatusMessage{State: store.Offline}, begin)
		} else {
			err = p.tell(ctx, t.status, begin)
		}
		if err == nil {
			err = p.tell(ctx, mqtt.Status{Camera: string(event.CameraOK)}, end)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// troubleAt is what keeps the gate from its work at a time.
func (p *past) troubleAt(at time.Time) *trouble {
	for i, t := range p.troubles {
		if !at.Before(p.at(t.day, t.at)) && at.Before(p.at(t.day, t.at+t.last)) {
			return &p.troubles[i]
		}
	}
	return nil
}

func (p *past) about(usual time.Duration) time.Duration {
	return time.Duration(float64(usual) * math.Exp(0.5*p.dice.NormFloat64()))
}

func (p *past) one(in int) bool { return in > 0 && p.dice.IntN(in) == 0 }

func (p *past) check(ctx context.Context, at time.Time, who string) error {
	if at.After(p.until) {
		return nil
	}
	read := event.Hundredths(nominal + 0.08*p.dice.NormFloat64())
	room := math.Round(10*(p.ambientCelsius+p.dice.NormFloat64())) / 10
	humidity, test := math.Round(45+5*p.dice.NormFloat64()), math.Round(10*(36.7+0.1*p.dice.NormFloat64()))/10
	return p.store.AddCheck(ctx, store.Check{
		Gate: p.gate, At: at, Who: who, WarmedUp: true, ReferenceNominal: new(nominal), ReferenceRead: &read,
		CertificateUntil: p.until.AddDate(0, 7, 0), RoomCelsius: &room, HumidityPercent: &humidity, TestCelsius: &test,
		Thermometer: "T-1042", OK: true,
	})
}

// person is one who comes, with what a thermometer in the mouth would say.
type person struct {
	at    time.Time
	oral  float64
	shift int
}

// arrivals are the people of a day in order.
func (p *past) arrivals(day int) []person {
	var people []person
	for shift, usual := range p.people {
		begin := p.at(day, firstShift+time.Duration(shift)*24*time.Hour/shiftsADay)
		many := float64(usual) * (1 + 0.05*p.dice.NormFloat64())
		if begin.Weekday() == time.Sunday {
			many *= sundays
		}
		for range int(many) {
			come := begin.Add(-arrivalsBefore + time.Duration(p.dice.NormFloat64()*float64(arrivalsSpread))).Truncate(time.Millisecond)
			who := person{come, wellOral + oralSpread*p.dice.NormFloat64(), shift}
			if p.one(oneFeverIn) {
				who.oral = feverOral + feverSpread*p.dice.NormFloat64()
			}
			if come.Before(p.until) {
				people = append(people, who)
			}
		}
	}
	slices.SortFunc(people, func(a, b person) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	return people
}

// work lets the people of a day come, and the guards see to the alerts.
func (p *past) work(ctx context.Context, day int) error {
	var events []store.Event
	var alerts, spots []seen
	for _, who := range p.arrivals(day) {
		trouble := p.troubleAt(who.at)
		if trouble != nil && (trouble.status.Paused || trouble.status.Camera == string(event.CameraLost)) {
			continue
		}
		for _, e := range p.screen(who, trouble) {
			received := e.Time.Add(time.Second)
			if trouble != nil && trouble.offline {
				e.Data.Historical = true
				received = p.at(trouble.day, trouble.at+trouble.last).Add(time.Minute)
			}
			body, err := json.Marshal(e)
			if err != nil {
				return err
			}
			kept, err := store.NewEvent(p.gate, body, received)
			if err != nil {
				return err
			}
			events = append(events, kept)
			switch {
			case e.Data.Outcome == event.Alert:
				alerts = append(alerts, seen{e.ID, who, kept.Received})
			case e.Data.Outcome == event.Pass && trouble == nil && p.one(oneSpotIn):
				spots = append(spots, seen{e.ID, who, kept.Received})
			}
		}
	}
	if _, err := p.store.Append(ctx, events); err != nil {
		return err
	}
	for _, alert := range alerts {
		if err := p.attend(ctx, alert); err != nil {
			return err
		}
	}
	for _, one := range spots {
		if err := p.store.AddSpotReading(ctx, one.id, p.guards[one.who.shift], p.reading(one.who), one.at.Add(p.about(usualSpot))); err != nil {
			return err
		}
	}
	return nil
}

// seen is somebody whom a guard sees to.
type seen struct {
	id  string
	who person
	at  time.Time
}

// screen is what the gate says of somebody: a second event is about the same person, who came back without glasses.
func (p *past) screen(who person, trouble *trouble) []event.Event {
	unmeasured := func(why event.Reason, seconds float64, worn ...event.Garment) event.Event {
		return p.event(who, p.policy.Unmeasured(why), seconds, worn...)
	}
	switch {
	case trouble != nil && trouble.status.Reference != "":
		return []event.Event{unmeasured(event.Reason(trouble.status.Reference), 4)}
	case p.one(oneLeavesIn):
		return []event.Event{unmeasured(event.Left, 1.5)}
	case p.one(oneMovesIn):
		return []event.Event{unmeasured(event.Moving, 4)}
	case p.one(p.coldIn):
		return []event.Event{unmeasured(event.ColdArrival, 4)}
	case p.one(oneCoveredIn):
		covered := unmeasured(event.Covered, 4, event.Glasses)
		if p.dice.Float64() >= uncovered {
			return []event.Event{covered}
		}
		who.at = who.at.Add(p.about(20 * time.Second)).Truncate(time.Millisecond)
		verdict, seconds := p.judge(who)
		again := p.event(who, verdict, seconds)
		again.Data.RescreenOf = covered.ID
		return []event.Event{covered, again}
	}
	verdict, seconds := p.judge(who)
	return []event.Event{p.event(who, verdict, seconds)}
}

// event is what the gate publishes of a verdict.
func (p *past) event(who person, verdict policy.Verdict, seconds float64, worn ...event.Garment) event.Event {
	data := event.Data{
		Outcome: verdict.Outcome, Reason: verdict.Reason, Policy: string(verdict.Policy),
		SkinCelsius: verdict.SkinCelsius, SkinUncertaintyCelsius: verdict.UncertaintyCelsius, FaceCelsius: verdict.FaceCelsius, AmbientCelsius: verdict.AmbientCelsius,
		BodyCelsius: verdict.BodyCelsius, BodyUncertaintyCelsius: verdict.BodyUncertaintyCelsius, OffsetCelsius: verdict.OffsetCelsius,
		ThresholdCelsius: verdict.ThresholdCelsius, BaselineCelsius: verdict.BaselineCelsius,
		Reference: event.Reference{
			Found: true, NominalCelsius: new(nominal), MeasuredCelsius: new(event.Hundredths(nominal + 0.2)), CorrectionCelsius: new(-0.2),
		},
		Face: &event.Box{X: 44, Y: 31, W: 31, H: 42}, Worn: worn, FirstSeen: who.at.Add(-400 * time.Millisecond).UTC(), Camera: Camera, Version: p.version,
		MeasurableSince: new(who.at.UTC()), SecondsToVerdict: &seconds,
	}
	if verdict.SkinCelsius != nil {
		data.SkinSite, data.FramesUsed = event.InnerCanthus, int(seconds*framesASecond)+1
	}
	at := who.at.Add(time.Duration(seconds * float64(time.Second))).UTC()
	p.policy.Learn(verdict, at)
	p.last++
	return event.Event{
		SpecVersion: "1.0", ID: p.ids.At(at), Source: event.Source(p.gate.Site, p.gate.Name),
		Type: verdict.Outcome.EventType(), Time: at, DataContentType: "application/json",
		Journal: p.journal, Sequence: strconv.Itoa(p.last), Data: data,
	}
}

// judge looks at somebody until the policy has a verdict, and says how many seconds that took.
func (p *past) judge(who person) (policy.Verdict, float64) {
	worn := p.driftCelsius * who.at.Sub(p.begin).Hours() / 24 / float64(p.days+1)
	skin := who.oral - policy.DefaultConfig().OffsetCelsius + skinSpread*p.dice.NormFloat64() - worn
	face, ambient := skin+math.Abs(faceAbove*p.dice.NormFloat64()), p.ambientCelsius+math.Sin(float64(who.at.Hour())/24*2*math.Pi)
	for frames := 3; ; frames++ {
		span := time.Duration(frames-1) * time.Second / framesASecond
		verdict, done := p.policy.Decide(policy.Estimate{
			SkinCelsius: skin, NoiseCelsius: noise / math.Sqrt(float64(frames)), SystematicCelsius: systematic, Site: event.InnerCanthus,
			FaceCelsius: face, AmbientCelsius: math.Round(10*ambient) / 10,
			ChillCelsius: 0, ChillUncertainty: 0.1, Bare: true, Frames: frames, Span: span, Elapsed: span, At: who.at.Add(span), ReferenceOK: true,
		})
		if done {
			return verdict, event.Hundredths(span.Seconds())
		}
	}
}

// reading is what a guard's thermometer says of somebody.
func (p *past) reading(who person) store.Reading {
	return store.Reading{Celsius: math.Round(10*(who.oral+thermometer*p.dice.NormFloat64())) / 10, Unit: "°C", Place: store.Ear, Thermometer: "T-1042"}
}

// attend is what a guard does about an alert.
func (p *past) attend(ctx context.Context, alert seen) error {
	guard, at := p.guards[alert.who.shift], alert.at.Add(p.about(usualTake))
	now, err := p.store.Take(ctx, alert.id, 0, guard, at)
	if err != nil {
		return err
	}
	outcome := mqtt.Gone
	if !p.one(oneGoneIn) && alert.at.Sub(alert.who.at) < store.SpotLimit {
		at = at.Add(p.about(usualReading))
		reading := p.reading(alert.who)
		outcome = mqtt.FalseAlert
		if reading.Celsius >= confirmed {
			outcome = mqtt.Confirmed
		}
		if now, err = p.store.AddReading(ctx, alert.id, now.Version, guard, reading, at); err != nil {
			return err
		}
	}
	_, err = p.store.CloseAlert(ctx, alert.id, now.Version, guard, outcome, at.Add(p.about(usualDecision)))
	return err
}
