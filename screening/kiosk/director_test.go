package kiosk

import (
	"testing"
	"time"

	"thermogate/screening/event"
)

// step is one thing that happens at the gate and what the person should read after it.
type step struct {
	at      float64 // seconds
	people  []event.Person
	verdict *event.Event
	want    message
}

func TestWhatThePersonReads(t *testing.T) {
	alice, bob := passed("A"), alerted("B")
	missed := verdict("C", event.Inconclusive, event.Covered)
	cold := verdict("D", event.Inconclusive, event.ColdArrival)
	people := func(p ...event.Person) []event.Person { return p }
	tests := []struct {
		name  string
		steps []step
	}{
		{"one person walks through", []step{
			{at: 0, want: idleMessage},
			{at: 1, people: people(near(event.TooFar)), want: guideOf(event.TooFar)},
			{at: 2, people: people(near("")), want: measuringMessage},
			{at: 2.5, people: people(near("")), verdict: alice, want: passMessage},
			{at: 3, people: people(done(near(""), alice)), want: passMessage},
			{at: 4.9, want: passMessage},
			{at: 5.2, want: idleMessage},
		}},
		{"the next person does not wait for the hold", []step{
			{at: 0, people: people(near("")), verdict: alice, want: passMessage},
			{at: .5, people: people(near(event.Moving)), want: passMessage},
			{at: 1.1, people: people(near(event.Moving)), want: guideOf(event.Moving)},
		}},
		{"a bystander's pass does not hide an alert", []step{
			{at: 0, people: people(near(""), far("")), verdict: bob, want: alertMessage},
			{at: .3, people: people(done(near(""), bob), far("")), verdict: alice, want: alertMessage},
			{at: 2.4, people: people(done(near(""), bob), done(far(""), alice)), want: alertMessage},
		}},
		{"who waits beside is guided although the first one lingers", []step{
			{at: 0, people: people(near("")), verdict: alice, want: passMessage},
			{at: 2.4, people: people(done(near(""), alice), far(event.TooFar)), want: passMessage},
			{at: 2.6, people: people(done(near(""), alice), far(event.TooFar)), want: guideOf(event.TooFar)},
		}},
		{"who stays after a pass reads no second pass", []step{
			{at: 0, people: people(near("")), verdict: alice, want: passMessage},
			{at: 3, people: people(done(near(""), alice)), want: passedMessage},
		}},
		{"who stays after an alert still reads where to go", []step{
			{at: 0, people: people(near("")), verdict: bob, want: alertMessage},
			{at: 9, people: people(done(near(""), bob)), want: alertMessage},
		}},
		{"who stays after a failed look is helped with the next one", []step{
			{at: 0, people: people(near("")), verdict: missed, want: inconclusiveOf(event.Covered)},
			{at: 2, people: people(done(near(event.Covered), missed)), want: inconclusiveOf(event.Covered)},
			{at: 3, people: people(done(near(event.Covered), missed)), want: guideOf(event.Covered)},
		}},
		{"who came in from the cold reads so for as long as they stay", []step{
			{at: 0, people: people(near("")), verdict: cold, want: inconclusiveOf(event.ColdArrival)},
			{at: 9, people: people(done(near(""), cold)), want: inconclusiveOf(event.ColdArrival)},
		}},
		{"a verdict is not shown before it is announced", []step{
			{at: 0, people: people(near("")), want: measuringMessage},
			{at: .6, people: people(done(near(""), alice)), want: measuringMessage},
			{at: .7, people: people(done(near(""), alice)), verdict: alice, want: passMessage},
		}},
		{"staff are not called for a shadow on the reference", []step{
			{at: 0, want: idleMessage},
			{at: 2, people: people(near(event.ReferenceMissing)), want: momentMessage},
		}},
		{"guidance does not flicker", []step{
			{at: 0, people: people(near(event.Moving)), want: guideOf(event.Moving)},
			{at: .1, people: people(near(event.TurnedAway)), want: guideOf(event.Moving)},
			{at: .2, people: people(near(event.Moving)), want: guideOf(event.Moving)},
			{at: .6, people: people(near(event.TurnedAway)), want: guideOf(event.TurnedAway)},
		}},
		{"a recording that starts over forgets the verdict", []step{
			{at: 60, people: people(near("")), verdict: alice, want: passMessage},
			{at: 0, want: idleMessage},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := director{hold: 2500 * time.Millisecond}
			for _, s := range test.steps {
				got := d.next(sceneAt(s.at, s.people...))
				if s.verdict != nil {
					got = d.announce(s.verdict)
				}
				if got.message != s.want {
					t.Errorf("after %.1f s the page says %q, want %q", s.at, got.message.head.EN, s.want.head.EN)
				}
			}
		})
	}
}

func TestNobodyIsInvitedWhileNobodyCanBeMeasured(t *testing.T) {
	for problem, want := range map[event.Reason]tone{
		event.NoProblem:         toneIdle,
		event.WarmingUp:         toneWait,
		event.ReferenceUnstable: toneWait,
		event.ReferenceMissing:  toneFault,
		event.NotRadiometric:    toneFault,
	} {
		d := director{}
		show := func(seconds float64) tone {
			scene := sceneAt(seconds)
			scene.Reference.Problem = problem
			return d.next(scene).message.tone
		}
		d.next(sceneAt(0))
		if got := show(2); got != toneIdle {
			t.Errorf("two seconds of %q at an empty gate: tone %s", problem, got)
		}
		if got := show(4); got != want {
			t.Errorf("four seconds of %q at an empty gate: tone %s, want %s", problem, got, want)
		}
	}
}
