package kiosk

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
)

// step is one thing that happens at the gate and what the people before it should read after it.
type step struct {
	at      float64 // seconds
	people  []event.Person
	crowded bool         // two are too near to each other
	verdict *event.Event // is announced after the frame
	late    bool
	door    string // "opens" or "locks" after that
	want    message
}

// play takes a director through the steps of a scene.
func play(t *testing.T, d *director, steps []step) {
	t.Helper()
	for _, s := range steps {
		scene := sceneAt(s.at, s.people...)
		scene.OneAtATime = s.crowded
		got := d.next(scene)
		if s.verdict != nil {
			announced := *s.verdict // the gate's own stays with its scenes
			got = d.announce(&announced, s.late)
		}
		if s.door != "" {
			got = d.setOpen(s.door == "opens")
		}
		if got.message != s.want {
			t.Errorf("after %.1f s the page says %q, want %q", s.at, inEnglish(got.message), inEnglish(s.want))
		}
		if says := strings.Contains(inEnglish(got.message), "go in"); says != got.opens {
			t.Errorf("after %.1f s the cue that says %q is said to open: %t", s.at, inEnglish(got.message), got.opens)
		}
	}
}

var english = readDictionary()["en"]

func inEnglish(m message) string { return english.head(m) + " (" + english.sub(m) + ")" }

func people(p ...event.Person) []event.Person { return p }

// newDirector is that of a gate with or without a door.
func newDirector(door bool) *director {
	return &director{hold: 2500 * time.Millisecond, door: door, alertWait: 30 * time.Second}
}

func TestWhatThePersonReads(t *testing.T) {
	alice, bob := passed("A"), alerted("B")
	missed, turned := verdict("C", event.Inconclusive, event.Moving), verdict("T", event.Inconclusive, event.TurnedAway)
	cold := verdict("D", event.Inconclusive, event.ColdArrival)
	second := verdict("E", event.Inconclusive, event.SecondReading)
	again := passed("F")
	again.Data.RescreenOf = "A"
	revised := alerted("G")
	revised.Data.Revises = "A"
	wearing := near(event.Covered)
	wearing.Worn = []event.Garment{event.Glasses, event.Mask}
	guide := func(problem event.Reason) message { return guideOf(problem, nil) }
	tests := []struct {
		name  string
		steps []step
	}{
		{"one person walks through", []step{
			{at: 0, want: idleMessage},
			{at: 1, people: people(near(event.TooFar)), want: guide(event.TooFar)},
			{at: 2, people: people(near("")), want: measuringMessage},
			{at: 2.5, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
			{at: 3, people: people(admitted(near(""), alice)), want: passMessage},
			{at: 4.9, want: passMessage},
			{at: 5.2, want: idleMessage},
		}},
		{"the next person never reads the verdict of the one before", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
			{at: .1, people: people(far("")), want: measuringMessage},
			{at: .2, want: measuringMessage},
			{at: 1.4, want: idleMessage},
		}},
		{"a man in profile, not found in some pictures, walks off", []step{
			{at: 0, people: people(near(event.TurnedAway)), want: guideOf(event.TurnedAway, nil)},
			{at: .3, want: guideOf(event.TurnedAway, nil)},
			{at: .4, people: people(near(event.TurnedAway)), want: guideOf(event.TurnedAway, nil)},
			{at: 4.2, people: people(done(near(event.TurnedAway), turned)), verdict: turned, want: inconclusiveOf(event.TurnedAway, nil)},
			{at: 4.3, want: inconclusiveOf(event.TurnedAway, nil)},
			{at: 6.7, people: people(done(near(event.TurnedAway), turned)), want: guideOf(event.TurnedAway, nil)},
			{at: 11.6, people: people(done(near(event.TooFar), turned)), want: guideOf(event.TooFar, nil)},
			{at: 12.4, people: people(done(near(event.TooFar), turned)), want: guideOf(event.TooFar, nil)},
			{at: 12.6, want: guideOf(event.TooFar, nil)},
			{at: 12.7, people: people(done(near(event.TooFar), turned)), want: guideOf(event.TooFar, nil)},
			{at: 13.8, want: guideOf(event.TooFar, nil)},
			{at: 14, want: idleMessage},
		}},
		{"a verdict whose person has gone is not shown to the next one", []step{
			{at: 0, people: people(near("")), want: measuringMessage},
			{at: .1, people: people(far("")), verdict: alice, want: measuringMessage},
			{at: .2, verdict: bob, want: turnMessage},
			{at: 6.3, want: idleMessage},
		}},
		{"a verdict that came too late lets nobody in", []step{
			{at: 0, people: people(admitted(near(""), alice)), want: measuringMessage},
			{at: 1.2, people: people(admitted(near(""), alice)), verdict: alice, late: true, want: lateMessage},
			{at: 1.3, people: people(admitted(near(""), alice)), want: lateMessage},
		}},
		{"an alert that came too late still sends aside", []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, late: true, want: alertMessage},
		}},
		{"a person who can't be recognised for a moment reads no verdict", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
			{at: .1, people: people(near("")), want: measuringMessage},
			{at: .2, people: people(admitted(near(""), alice)), want: passMessage},
		}},
		{"who turns away with an alert still reads where to go", []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 4, people: people(done(near(""), bob)), want: alertMessage},
			{at: 5.9, want: alertMessage},
			{at: 6.1, want: idleMessage},
		}},
		{"nobody goes in while an alert is in view", []step{
			{at: 0, people: people(done(far(""), bob)), verdict: bob, want: alertMessage},
			{at: .1, people: people(near(""), done(far(""), bob)), want: alertMessage.said(leftPlace)},
			{at: .6, people: people(near(""), done(far(""), bob)), want: alertMessage.said(leftPlace)},
			{at: .7, people: people(admitted(near(""), alice), done(far(""), bob)), verdict: alice, want: alertMessage.said(leftPlace)},
			{at: .8, people: people(done(near(""), alice)), want: turnMessage},
			{at: 5.9, people: people(done(near(""), alice)), want: turnMessage},
			{at: 6.1, people: people(admitted(near(""), alice)), want: queueMessage},
			{at: 6.7, people: people(admitted(near(""), alice)), want: passedMessage},
		}},
		{"an alert on its way to the disk takes a pass back", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
			{at: .1, people: people(done(near(""), revised)), want: measuringMessage},
			{at: .1, people: people(done(near(""), revised)), verdict: revised, want: alertMessage},
		}},
		{"passers far behind don't change what an alert says", []step{
			{at: 0, people: people(done(near(""), bob), far(event.TooFar)), verdict: bob, want: alertMessage},
			{at: 2, people: people(done(near(""), bob)), want: alertMessage},
		}},
		{"two verdicts side by side are told by name", []step{
			{at: 0, people: people(left(""), right("")), want: measuringMessage},
			{at: .3, people: people(done(left(""), missed), right("")), verdict: missed, want: inconclusiveOf(event.Moving, nil)},
			{at: .5, people: people(done(left(""), missed), admitted(right(""), alice)), verdict: alice,
				want: inconclusiveOf(event.Moving, nil).said(rightPlace).beside(leftPlace, passMessage)},
		}},
		{"two who passed read one text", []step{
			{at: 0, people: people(admitted(left(""), alice), right("")), verdict: alice, want: passMessage},
			{at: .3, people: people(admitted(left(""), alice), admitted(right(""), again)), verdict: again, want: passMessage},
		}},
		{"who passed waits for whoever stands nearer", []step{
			{at: 0, people: people(near(event.TurnedAway), done(far(""), alice)), verdict: alice, want: guide(event.TurnedAway)},
			{at: .5, people: people(near(event.TurnedAway), done(far(""), alice)),
				want: guide(event.TurnedAway).beside(leftPlace, queueMessage)},
			{at: .6, people: people(done(far(""), alice)), want: queueMessage},
			{at: .8, people: people(admitted(far(""), alice)), want: queueMessage},
			{at: 1.2, people: people(admitted(far(""), alice)), want: passMessage},
		}},
		{"the page keeps to one of two who are about as near", []step{
			{at: 0, people: people(left(event.Moving), right(event.TurnedAway)), want: guide(event.Moving)},
			{at: 1, people: people(larger(right(event.TurnedAway)), left(event.Moving)), want: guide(event.Moving)},
			{at: 2, people: people(larger(larger(right(event.TurnedAway))), left(event.Moving)), want: guide(event.TurnedAway)},
		}},
		{"somebody a little nearer does not read the verdict of another", []step{
			{at: 0, people: people(admitted(right(""), alice)), verdict: alice, want: passMessage},
			{at: .1, people: people(done(right(""), alice), left("")), want: measuringMessage.beside(leftPlace, queueMessage)},
			{at: .2, people: people(admitted(larger(right("")), alice), left("")), want: measuringMessage.beside(leftPlace, queueMessage)},
			{at: .8, people: people(admitted(larger(right("")), alice), left("")), want: measuringMessage.beside(leftPlace, passMessage)},
		}},
		{"two too near to each other", []step{
			{at: 0, people: people(left(""), right("")), crowded: true, want: oneMessage},
			{at: 1, people: people(done(left(""), bob), right("")), crowded: true, verdict: bob, want: alertMessage.said(rightPlace)},
		}},
		{"who waits beside is guided although the first one lingers", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
			{at: .9, people: people(admitted(near(""), alice), far(event.Moving)), want: passMessage},
			{at: 1.1, people: people(admitted(near(""), alice), far(event.TooFar)), want: passMessage},
			{at: 1.2, people: people(admitted(near(""), alice), far(event.Moving)),
				want: passMessage.beside(leftPlace, guideOf(event.Moving, nil))},
		}},
		{"who stays after a pass reads no second pass", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
			{at: 3, people: people(admitted(near(""), alice)), want: passedMessage},
		}},
		{"who looks again after a pass is not asked in again", []step{
			{at: 0, people: people(done(near(""), again)), verdict: again, want: measuredMessage},
			{at: 9, people: people(done(near(""), again)), want: measuredMessage},
		}},
		{"who stays after an alert still reads where to go", []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 9, people: people(done(near(""), bob)), want: alertMessage},
			{at: 12, people: people(done(near(""), second)), verdict: second, want: inconclusiveOf(event.SecondReading, nil)},
			{at: 18, people: people(done(near(""), second)), want: inconclusiveOf(event.SecondReading, nil)},
		}},
		{"who stays after a failed look is helped with the next one", []step{
			{at: 0, people: people(done(near(""), missed)), verdict: missed, want: inconclusiveOf(event.Moving, nil)},
			{at: 2, people: people(done(near(event.Covered), missed)), want: inconclusiveOf(event.Moving, nil)},
			{at: 3, people: people(done(near(event.Covered), missed)), want: guide(event.Covered)},
		}},
		{"who came in from the cold reads so for as long as they stay", []step{
			{at: 0, people: people(done(near(""), cold)), verdict: cold, want: inconclusiveOf(event.ColdArrival, nil)},
			{at: 9, people: people(done(near(""), cold)), want: inconclusiveOf(event.ColdArrival, nil)},
		}},
		{"who is covered reads what has to come off", []step{
			{at: 0, people: people(wearing), want: guideOf(event.Covered, []event.Garment{event.Glasses})},
		}},
		{"a verdict is not shown before it is announced", []step{
			{at: 0, people: people(near("")), want: measuringMessage},
			{at: .6, people: people(admitted(near(""), alice)), want: measuringMessage},
			{at: .7, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
		}},
		{"staff are not called for a shadow on the reference", []step{
			{at: 0, want: idleMessage},
			{at: 2, people: people(near(event.ReferenceMissing)), want: momentMessage},
		}},
		{"nobody can do anything about a still picture", []step{
			{at: 0, people: people(near(event.Lifeless)), want: momentMessage},
		}},
		{"guidance does not flicker", []step{
			{at: 0, people: people(near(event.Moving)), want: guide(event.Moving)},
			{at: .1, people: people(near(event.TurnedAway)), want: guide(event.Moving)},
			{at: .2, people: people(near(event.Moving)), want: guide(event.Moving)},
			{at: .6, people: people(near(event.TurnedAway)), want: guide(event.TurnedAway)},
			{at: 1.2, people: people(near(event.TurnedAway)), want: guide(event.TurnedAway)},
			{at: 1.3, want: guide(event.TurnedAway)}, // not found in one picture
			{at: 1.4, people: people(near(event.TurnedAway)), want: guide(event.TurnedAway)},
		}},
		{"a recording that starts over forgets the verdict", []step{
			{at: 60, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage},
			{at: 0, want: idleMessage},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { play(t, newDirector(false), test.steps) })
	}
}

// TestAlertHolds at a gate with a console, where the next one waits until staff see to it.
func TestAlertHolds(t *testing.T) {
	bob, alice := alerted("B"), passed("A")
	second := verdict("E", event.Inconclusive, event.SecondReading)
	missed := verdict("C", event.Inconclusive, event.Moving)
	again, cleared := alerted("F"), passed("G")
	again.Data.RescreenOf, cleared.Data.RescreenOf = "B", "B"
	type console struct {
		at   float64
		word Word
	}
	for _, test := range []struct {
		name    string
		console bool
		said    console
		steps   []step
	}{
		{"until it is taken", true, console{20, Taken}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 19, want: alertMessage},
			{at: 20, want: alertTakenMessage},
			{at: 20.5, want: alertTakenMessage},
			{at: 23.1, want: idleMessage},
		}},
		{"six seconds, however soon it is taken", true, console{1, Taken}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 2, people: people(done(near(""), bob)), want: alertTakenMessage},
			{at: 5.9, want: alertTakenMessage},
			{at: 6.1, want: idleMessage},
		}},
		{"six seconds where no console has it", false, console{}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 5.9, want: alertMessage},
			{at: 6.1, want: idleMessage},
		}},
		{"not for ever where nobody takes it", true, console{}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 29.9, want: alertMessage},
			{at: 30.1, want: idleMessage},
		}},
		{"the next one waits and reads nobody's verdict, nor does who comes after them", true, console{20, Taken}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 2, people: people(far("")), want: turnMessage},
			{at: 3, people: people(done(far(""), alice)), verdict: alice, want: turnMessage},
			{at: 4, want: turnMessage},
			{at: 19.9, people: people(done(far(""), alice)), want: turnMessage},
			{at: 20, people: people(done(far(""), alice)), want: queueMessage},
			{at: 20.1, people: people(admitted(far(""), alice)), want: queueMessage},
			{at: 20.7, people: people(admitted(far(""), alice)), want: passedMessage},
		}},
		{"who needs to do something is told meanwhile", true, console{}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 3, people: people(done(far(""), missed)), verdict: missed, want: inconclusiveOf(event.Moving, nil)},
		}},
		{"who looks again waits for staff", true, console{}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 12, people: people(done(near(""), second)), verdict: second, want: inconclusiveOf(event.SecondReading, nil)},
		}},
		{"what staff do is told as long as the person is there", true, console{8, Closed}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 8, people: people(done(near(""), bob)), want: alertClosedMessage},
			{at: 60, people: people(done(near(""), bob)), want: alertClosedMessage},
		}},
		{"one beside is not shown the alert when nobody is found in a picture", true, console{}, []step{
			{at: 0, people: people(done(left(""), bob), right("")), verdict: bob, want: alertMessage.said(rightPlace)},
			{at: .2, want: alertMessage.said(rightPlace)},
			{at: .3, people: people(right("")), want: turnMessage},
			{at: .4, want: turnMessage},
		}},
		{"what staff do is told to whoever is named", true, console{3, Taken}, []step{
			{at: 0, people: people(done(left(""), bob), right("")), verdict: bob, want: alertMessage.said(rightPlace)},
			{at: 2, want: alertMessage.said(rightPlace)},
			{at: 3, want: alertTakenMessage.said(rightPlace)},
		}},
		{"no longer when the same person has it again", true, console{3, Taken}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 3, people: people(done(near(""), bob)), want: alertTakenMessage},
			{at: 20, people: people(done(near(""), again)), verdict: again, want: alertTakenMessage},
			{at: 20.1, want: alertTakenMessage},
			{at: 26.1, want: idleMessage},
		}},
		{"not the one whom a fresh look clears", true, console{}, []step{
			{at: 0, people: people(done(near(""), bob)), verdict: bob, want: alertMessage},
			{at: 3, people: people(admitted(near(""), cleared)), verdict: cleared, want: passMessage},
			{at: 3.1, people: people(far("")), want: measuringMessage},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDirector(false)
			i := slices.IndexFunc(test.steps, func(s step) bool { return test.said.at > 0 && s.at >= test.said.at })
			if i < 0 {
				i = len(test.steps)
			}
			play(t, d, test.steps[:1])
			if test.console {
				d.setWord("B", Untaken)
			}
			play(t, d, test.steps[1:i])
			d.setWord("B", test.said.word)
			play(t, d, test.steps[i:])
		})
	}
}

// TestAlertOfWhoLeft has a person with an alert leave before it is on disk.
func TestAlertOfWhoLeft(t *testing.T) {
	bob, alice := alerted("B"), passed("A")
	d := newDirector(false)
	play(t, d, []step{
		{at: 0, people: people(near("")), want: measuringMessage},
		{at: 1, verdict: bob, late: true, want: turnMessage},
		{at: 2, people: people(far("")), want: turnMessage},
		{at: 3, people: people(done(far(""), alice)), verdict: alice, want: turnMessage},
	})
	d.setWord("B", Untaken)
	play(t, d, []step{{at: 12, want: turnMessage}})
	d.setWord("B", Taken)
	play(t, d, []step{{at: 13, want: idleMessage}})
}

// TestAlertOfAnEarlierRun goes on after a restart of the gate, at a time after start.
func TestAlertOfAnEarlierRun(t *testing.T) {
	alice, cleared := passed("A"), passed("C")
	cleared.Data.RescreenOf = "B"
	type word struct {
		at   float64 // before the first frame where it is 0
		word Word
	}
	for _, test := range []struct {
		name  string
		age   time.Duration // of the alert at the first frame
		after *event.Event  // of the earlier run
		words []word
		steps []step
	}{
		{"a console has it", 10 * time.Second, nil, []word{{0, Untaken}}, []step{
			{at: 0, want: turnMessage},
			{at: 1, people: people(admitted(near(""), alice)), verdict: alice, want: turnMessage},
			{at: 19.9, want: turnMessage},
			{at: 20.5, want: idleMessage},
		}},
		{"a console has it, as it says late", 10 * time.Second, nil, []word{{3, Untaken}}, []step{
			{at: 0, want: turnMessage},
			{at: 19.9, want: turnMessage},
		}},
		{"it was taken", 10 * time.Second, nil, []word{{2, Taken}}, []step{
			{at: 0, want: turnMessage},
			{at: 1.9, want: turnMessage},
			{at: 2.5, want: idleMessage},
		}},
		{"it was taken, and the console says so before there is a picture", 10 * time.Second, nil, []word{{0, Taken}}, []step{
			{at: 0, want: idleMessage},
		}},
		{"no console has it", 10 * time.Second, nil, nil, []step{
			{at: 5.9, want: turnMessage},
			{at: 6.1, want: turnMessage},
			{at: 12, want: idleMessage},
		}},
		{"long ago", time.Minute, nil, []word{{0, Untaken}}, []step{{at: 0, want: idleMessage}}},
		{"the same person was cleared", 10 * time.Second, cleared, nil, []step{{at: 0, want: idleMessage}}},
		{"the clock was set back", -time.Hour, nil, []word{{0, Untaken}}, []step{
			{at: 0, want: turnMessage},
			{at: 29.9, want: turnMessage},
			{at: 30.1, want: idleMessage},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDirector(false)
			bob := alerted("B")
			bob.Time = start.Add(-test.age)
			d.recall(bob)
			if test.after != nil {
				d.recall(test.after)
			}
			for _, s := range test.steps {
				for len(test.words) > 0 && test.words[0].at <= s.at {
					d.setWord("B", test.words[0].word)
					test.words = test.words[1:]
				}
				play(t, d, []step{s})
			}
		})
	}
}

// TestTwoWithAlerts read the same words, and nobody the other's temperature.
func TestTwoWithAlerts(t *testing.T) {
	k := New(DefaultConfig())
	defer k.Close()
	bob, carol := alerted("B"), alerted("C")
	k.SetCamera(event.CameraOK)
	k.Show(sceneAt(0, done(left(""), bob)))
	k.Verdict(*bob)
	if s := k.screenOf(k.cue); s.ID != "B" || s.Number == nil {
		t.Errorf("alone they read %+v", s)
	}
	k.Show(sceneAt(.1, done(left(""), bob), done(right(""), carol)))
	k.Verdict(*carol)
	for i := range 6 {
		second := done(right(""), carol)
		if i%2 == 0 {
			second = larger(second)
		}
		k.Show(sceneAt(.2+float64(i)/10, done(left(""), bob), second))
		if s := k.screenOf(k.cue); s.ID != "B" || s.Number != nil || s.Head["en"] != "Please step aside" {
			t.Errorf("both read %+v", s)
		}
	}
}

// TestEndOfNoPauseTakesNoAlertAway has somebody command a gate to go on that is not paused.
func TestEndOfNoPauseTakesNoAlertAway(t *testing.T) {
	k := New(DefaultConfig())
	defer k.Close()
	bob := alerted("B")
	k.SetCamera(event.CameraOK)
	k.Show(sceneAt(0, done(near(""), bob)))
	k.Verdict(*bob)
	k.SetPaused(time.Time{})
	k.Show(sceneAt(.1))
	if k.cue.message != alertMessage || !k.HoldsUp() {
		t.Errorf("the page says %q", inEnglish(k.cue.message))
	}
}

// larger is a face that has come a tenth nearer.
func larger(p event.Person) event.Person {
	p.Face.W, p.Face.H = 1.1*p.Face.W, 1.1*p.Face.H
	return p
}

func TestWhereThePageSaysGoInTheDoorIsOpen(t *testing.T) {
	alice, bob, carol := passed("A"), alerted("B"), passed("C")
	again := passed("F")
	again.Data.RescreenOf = "A"
	shut := measuredMessage.with(askAtDoor)
	tests := []struct {
		name  string
		steps []step
	}{
		{"a pulse", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, want: queueMessage},
			{at: 0, people: people(admitted(near(""), alice)), door: "opens", want: passMessage},
			{at: 2.9, people: people(admitted(near(""), alice)), want: passMessage},
			{at: 3, people: people(admitted(near(""), alice)), door: "locks", want: shut},
			{at: 9, people: people(admitted(near(""), alice)), want: shut},
		}},
		{"a door that does not open", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, want: queueMessage},
			{at: .9, people: people(admitted(near(""), alice)), want: queueMessage},
			{at: 1.1, people: people(admitted(near(""), alice)), want: shut},
		}},
		{"who turns to the door reads on only while it is open", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, door: "opens", want: passMessage},
			{at: .5, want: passMessage},
			{at: .6, door: "locks", want: idleMessage},
		}},
		{"the door is still open for the one before", []step{
			{at: 0, people: people(admitted(near(""), alice)), verdict: alice, door: "opens", want: passMessage},
			{at: .1, people: people(far("")), want: measuringMessage},
			{at: .8, people: people(admitted(far(""), carol)), verdict: carol, want: passMessage},
			{at: 1, people: people(admitted(far(""), carol)), door: "locks", want: shut},
		}},
		{"somebody steps before who passed", []step{
			{at: 0, people: people(admitted(far(""), alice)), verdict: alice, door: "opens", want: passMessage},
			{at: .1, people: people(done(far(""), alice), near(event.Moving)),
				want: guideOf(event.Moving, nil).beside(leftPlace, queueMessage)},
			{at: .2, people: people(done(far(""), alice), near(event.Moving)), door: "locks",
				want: guideOf(event.Moving, nil).beside(leftPlace, queueMessage)},
			{at: .6, people: people(admitted(far(""), alice)), want: queueMessage},
			{at: 3, people: people(admitted(far(""), alice)), want: shut},
		}},
		{"an alert behind who passed", []step{
			{at: 0, people: people(admitted(near(""), alice), far("")), verdict: alice, door: "opens", want: passMessage},
			{at: .1, people: people(admitted(near(""), alice), done(far(""), bob)), want: queueMessage},
			{at: .1, people: people(admitted(near(""), alice), done(far(""), bob)), verdict: bob, door: "locks", want: alertMessage.said(leftPlace)},
			{at: .4, people: people(done(near(""), alice)), want: turnMessage},
			{at: 7, people: people(admitted(near(""), alice)), want: shut},
		}},
		{"who looks again", []step{
			{at: 0, people: people(done(near(""), again)), verdict: again, want: shut},
			{at: 1, people: people(done(near(""), again)), door: "opens", want: shut},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { play(t, newDirector(true), test.steps) })
	}
}

// TestTwoSideBySideDoNotFlicker has a well and a febrile person before the gate, whose faces are found now larger and
// now smaller, and now and then not at all.
func TestTwoSideBySideDoNotFlicker(t *testing.T) {
	alice, bob := passed("A"), alerted("B")
	d := newDirector(false)
	d.next(sceneAt(0, left(""), right("")))
	var before message
	changes := 0
	for i := range 40 {
		well, febrile := done(left(""), alice), done(right(""), bob)
		if i%3 == 0 {
			febrile = larger(febrile)
		}
		crowd := people(well, febrile)
		if i%7 == 3 {
			crowd = people(febrile)
		}
		c := d.next(sceneAt(.2+float64(i)*.1, crowd...))
		switch i {
		case 0:
			c = d.announce(alice, false)
		case 4:
			c = d.announce(bob, false)
		}
		if c.opens {
			t.Errorf("frame %d: the page says %q", i, inEnglish(c.message))
		}
		if c.message != before {
			changes++
		}
		before = c.message
	}
	if want := alertMessage.said(leftPlace); changes > 5 || before != want {
		t.Errorf("%d changes, at last %q", changes, inEnglish(before))
	}
}

// TestPageAgreesWithTheScene lets people come, go, pass and fail at random, and holds what the page says against the
// newest scene.
func TestPageAgreesWithTheScene(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for _, door := range []bool{false, true} {
		d := newDirector(door)
		var crowd []event.Person
		var waiting []*event.Event
		open, visits := false, 0
		for i := range 20_000 {
			crowd = slices.Clone(crowd)
			for j := range crowd {
				p := &crowd[j]
				switch chance.IntN(20) {
				case 0:
					p.Event = []*event.Event{passed("P"), alerted("A"), verdict("I", event.Inconclusive, event.Moving)}[chance.IntN(3)]
					p.Event.ID += strconv.Itoa(visits) // one of its own
					visits++
					waiting = append(waiting, p.Event)
				case 1:
					p.Event = nil
				}
				p.Admitted = p.Event != nil && p.Event.Data.Outcome == event.Pass && chance.IntN(4) > 0
				p.Face.W = 20 + 20*chance.Float64()
			}
			if len(crowd) > 0 && chance.IntN(15) == 0 {
				crowd = slices.Delete(crowd, 0, 1)
			}
			if len(crowd) < 3 && chance.IntN(15) == 0 {
				visits++
				crowd = append(crowd, event.Person{ID: visits, Face: event.Box{X: 60 * chance.Float64(), W: 30, H: 40},
					Hint: []event.Reason{"", event.TooFar, event.Moving, event.Covered}[chance.IntN(4)]})
			}
			c := d.next(&event.Scene{Captured: start.Add(time.Duration(i) * 100 * time.Millisecond), People: crowd})
			if len(waiting) > 0 && chance.IntN(2) == 0 {
				c = d.announce(waiting[0], chance.IntN(9) == 0)
				waiting = waiting[1:]
			}
			if chance.IntN(5) == 0 {
				open = !open
				c = d.setOpen(open)
			}
			check(t, i, door, open, crowd, c)
		}
	}
}

// check says what is wrong with a cue.
func check(t *testing.T, frame int, door, open bool, crowd []event.Person, c cue) {
	t.Helper()
	alert := slices.ContainsFunc(crowd, hasAlert)
	admitted := slices.ContainsFunc(crowd, func(p event.Person) bool { return p.Admitted })
	about := slices.ContainsFunc(crowd, func(p event.Person) bool { return c.verdict != nil && p.Event == c.verdict })
	says := strings.Contains(inEnglish(c.message), "go in")
	first := nearest(crowd, func(*event.Person) bool { return true })
	switch {
	case c.verdict != nil && first != nil && first.Event == nil && c.message.to == "":
		t.Errorf("frame %d: somebody without a verdict stands nearest and reads %q", frame, inEnglish(c.message))
	case says && (alert || door && !open || len(crowd) > 0 && !admitted):
		t.Errorf("frame %d: %q although door %t, open %t, alert %t, admitted %t", frame, inEnglish(c.message), door, open, alert, admitted)
	case c.verdict != nil && len(crowd) > 0 && !about:
		t.Errorf("frame %d: a verdict on somebody who is not there: %q", frame, inEnglish(c.message))
	case c.person != 0 && len(crowd) > 0 && !slices.ContainsFunc(crowd, func(p event.Person) bool { return p.ID == c.person }):
		t.Errorf("frame %d: %q is said to somebody who is not there", frame, inEnglish(c.message))
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

func TestNobodyIsInvitedWhileVerdictsComeTooLate(t *testing.T) {
	d := newDirector(false)
	d.next(sceneAt(0))
	for i, want := range []message{slowMessage, idleMessage} {
		slow := i == 0
		d.setSlow(slow)
		if got := d.next(sceneAt(float64(i + 1))); got.message != want {
			t.Errorf("slow %t: the page says %q", slow, inEnglish(got.message))
		}
	}
}
