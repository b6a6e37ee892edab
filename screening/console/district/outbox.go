package district

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// shiftPause is how often at most tallies of shifts are told, however many events come late to them.
const shiftPause = time.Minute

// plantOutbox is the outbox of a plant's store. What a message tells is read when it is sent.
type plantOutbox struct {
	store   *store.Store
	version string
	console string // as Site.Console
	waiting func() map[string]int64
	news    <-chan struct{}

	allQueued bool // of the events from before there was a district
	shiftsAt  time.Time
}

func (o *plantOutbox) News() <-chan struct{} { return o.news }

// Remove is told what the stream has.
func (o *plantOutbox) Remove(ctx context.Context, numbers []int64) error {
	return o.store.RemoveOutgoing(ctx, numbers)
}

// Next has the events from before there was a district queued when all else is on its way.
func (o *plantOutbox) Next(ctx context.Context, most int, except Except) ([]Message, error) {
	now := time.Now()
	shifts := now.Sub(o.shiftsAt) >= shiftPause
	all, err := o.store.Outgoing(ctx, most, except.Numbers, except.Sites, shifts, now)
	if err != nil {
		return nil, err
	}
	if len(all) < most && !o.allQueued {
		queued, err := o.store.QueueHistory(ctx)
		if err != nil {
			return nil, err
		}
		if o.allQueued = !queued; queued {
			if all, err = o.store.Outgoing(ctx, most, except.Numbers, except.Sites, shifts, now); err != nil {
				return nil, err
			}
		}
	}
	if slices.ContainsFunc(all, func(one store.Outgoing) bool { return one.Kind == store.OutgoingShift }) {
		o.shiftsAt = now
	}
	return o.messages(ctx, all)
}

func (o *plantOutbox) messages(ctx context.Context, all []store.Outgoing) ([]Message, error) {
	var ids []string
	for _, one := range all {
		if one.Kind == store.OutgoingEvent {
			ids = append(ids, one.Key)
		}
	}
	events, err := o.store.EventsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	messages := make([]Message, 0, len(all))
	for _, one := range all {
		m, err := o.message(ctx, one, events)
		if err != nil {
			return nil, fmt.Errorf("the %s %s of %s: %w", one.Kind, one.Key, one.Site, err)
		}
		m.Number, m.Site, m.Kind = one.Number, one.Site, Kind(one.Kind)
		if e := events[one.Key]; one.Kind == store.OutgoingEvent && e.Data.Outcome == event.Alert {
			m.Kind = AlertEventKind
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// message is empty where there is nothing to tell any more.
func (o *plantOutbox) message(ctx context.Context, one store.Outgoing, events map[string]store.Event) (Message, error) {
	switch one.Kind {
	case store.OutgoingEvent:
		e, is := events[one.Key]
		if !is {
			return Message{}, nil
		}
		e.Data = e.Data.WithoutPerson()
		return encode(e.ID, eventToTell(e.Event), nil) // what is not a field of it stays here, too
	case store.OutgoingAlert:
		return o.alert(ctx, one.Key)
	case store.OutgoingStatus:
		status, err := o.status(ctx, mqtt.Gate{Site: one.Site, Name: one.Key}, one.QueuedAt())
		if status.Link == "" {
			return Message{}, err
		}
		return encode(status.MessageID(one.Site), status, err)
	case store.OutgoingSite:
		site, err := o.site(ctx, one.Site)
		return encode("", site, err)
	case store.OutgoingShift:
		return o.shift(ctx, one)
	case store.OutgoingDeletion:
		d, err := o.store.Deletion(ctx, one.Key)
		if errors.Is(err, store.ErrNoEvent) {
			return Message{}, nil
		}
		told := Deletion{Event: d.Event, At: d.At}
		return encode(told.MessageID(), told, err)
	}
	return Message{}, fmt.Errorf("%.40q is nothing that a district is told", one.Kind)
}

func encode(id string, told any, err error) (Message, error) {
	if err != nil {
		return Message{}, err
	}
	body, err := json.Marshal(told)
	return Message{ID: id, Body: body}, err
}

func (o *plantOutbox) alert(ctx context.Context, id string) (Message, error) {
	a, _, err := o.store.Alert(ctx, id)
	if errors.Is(err, store.ErrUnknown) {
		return Message{}, nil
	}
	told := Alert{Event: a.Event, Gate: a.Gate.Name, Version: a.Version, State: a.State, Outcome: a.Outcome,
		Taken: some(a.TakenAt), Escalated: some(a.Escalated), Read: some(a.ReadAt), Closed: some(a.ClosedAt)}
	return encode(told.MessageID(), told, err)
}

func some(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

func (o *plantOutbox) status(ctx context.Context, gate mqtt.Gate, at time.Time) (GateStatus, error) {
	said, link, err := o.store.GateStatus(ctx, gate)
	said = statusToTell(said)
	told := GateStatus{Gate: gate.Name, At: at, Link: link}
	switch link {
	case store.Online:
		told.Said = &said
	case store.Offline:
		said.Status = mqtt.Status{Version: said.Version}
		told.Said = &said
	}
	return told, err
}

func (o *plantOutbox) site(ctx context.Context, name string) (Site, error) {
	told := Site{At: time.Now().UTC(), TimeZone: o.store.Zone(name).String(), Version: o.version, Console: o.console, Waiting: o.waiting()[name]}
	all, err := o.store.Keepings(ctx)
	for _, keeping := range all {
		if keeping.Site == name {
			told.OutcomeOnly, told.KeepMonths = keeping.OutcomeOnly, keeping.Months
		}
	}
	if err == nil {
		told.Plans, err = o.store.ShiftPlans(ctx, name)
	}
	told.Plans = fitting(told.Plans)
	return told, err
}

// fitting are the latest plans, as many as a message takes: the district knows the others from before.
func fitting(plans []store.ShiftPlan) []store.ShiftPlan {
	size := 0
	for i, plan := range plans {
		body, err := json.Marshal(plan)
		if size += len(body) + 1; err != nil || size > maxBytes/2 {
			return plans[:i]
		}
	}
	return plans
}

func (o *plantOutbox) shift(ctx context.Context, one store.Outgoing) (Message, error) {
	begin, err := strconv.ParseInt(one.Key, 10, 64)
	if err != nil {
		return Message{}, err
	}
	day := store.DayOf(time.UnixMilli(begin).In(o.store.Zone(one.Site)))
	shifts, err := o.store.Shifts(ctx, one.Site, day-1, day)
	if err != nil {
		return Message{}, err
	}
	for _, shift := range shifts {
		if shift.From.UnixMilli() != begin {
			continue
		}
		made := time.Now().UTC()
		report, err := o.store.Report(ctx, shift.Period())
		all := report.All
		told := ShiftTally{Name: shift.Name, From: shift.From.UTC(), To: shift.To.UTC(), Made: made, People: all.People, Pass: all.Pass,
			Alert: all.Alert, Confirmed: all.Confirmed, Inconclusive: all.Inconclusive, Expected: all.Expected}
		return encode(told.MessageID(one.Site), told, err)
	}
	return Message{}, nil // the plan is another one by now
}
