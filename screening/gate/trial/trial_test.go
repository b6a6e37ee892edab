package trial

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"thermogate/camera/simulator"
	"thermogate/screening/event"
)

// someone is a true person who stands where they can be measured, 30 pixels wide.
func someone(id int, x float64, febrile bool) simulator.Person {
	p := simulator.Person{
		ID: id, Who: id, X: x, Y: 50, W: 30, H: 40, DistanceMetres: 0.8, CoreCelsius: 36.6,
		Standing: true, WholeInView: true, Facing: true,
	}
	if febrile {
		p.CoreCelsius = 39
	}
	return p
}

func at(x float64) event.Box { return event.Box{X: x, Y: 50, W: 30, H: 40} }

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// moment is one frame: who is there, whom the gate sees, and what it says.
type moment struct {
	people []simulator.Person
	seen   []event.Person
	events []event.Event
	lock   bool
}

// play gives a score ten moments a second and, at the end, some seconds of nobody.
func play(moments ...moment) Result {
	s := New("x.yaml", 1.5)
	show := func(i int, m moment) {
		now := time.Duration(i) * 100 * time.Millisecond
		s.Frame(simulator.Truth{Frame: i, Time: now, People: m.people},
			&event.Scene{Captured: epoch.Add(now), People: m.seen, LockDoor: m.lock}, m.events)
	}
	for i, m := range moments {
		show(i, m)
	}
	for i := range 30 {
		show(len(moments)+i, moment{})
	}
	return s.Result()
}

// verdict is an event on the face at x.
func verdict(id string, outcome event.Outcome, x float64) event.Event {
	box := at(x)
	return event.Event{ID: id, Data: event.Data{Outcome: outcome, Face: &box, FirstSeen: epoch}}
}

func TestOutcomes(t *testing.T) {
	well, febrile := someone(1, 20, false), someone(1, 20, true)
	away := well
	away.Facing = false
	far := well
	far.DistanceMetres = 1.7
	skin, cool := febrile, febrile
	skin.CoreCelsius, skin.SkinGiven, skin.SkinCelsius = 36, true, 36.7
	cool.SkinGiven, cool.SkinCelsius = true, 36.5
	pass, alert, unsure := verdict("p", event.Pass, 20), verdict("a", event.Alert, 20), verdict("i", event.Inconclusive, 20)
	revised := alert
	revised.Data.Revises = "p"
	doubted := unsure
	doubted.Data.Revises = "p"
	rescreened := pass
	rescreened.Data.RescreenOf = "a"
	left := unsure
	left.Data.Face = nil
	nobody := verdict("n", event.Inconclusive, 80)
	for _, test := range []struct {
		name   string
		person simulator.Person
		events []event.Event
		want   Counts
		extra  int
	}{
		{"well passes", well, []event.Event{pass}, Counts{People: 1, Well: Outcomes{People: 1, Pass: 1}}, 0},
		{"fever", febrile, []event.Event{alert}, Counts{People: 1, Febrile: Outcomes{People: 1, Alert: 1}}, 0},
		{"fever by skin", skin, []event.Event{pass}, Counts{People: 1, Febrile: Outcomes{People: 1, Pass: 1}}, 0},
		{"no fever by skin", cool, []event.Event{alert}, Counts{People: 1, Well: Outcomes{People: 1, Alert: 1}}, 0},
		{"nothing", well, nil, Counts{People: 1, Well: Outcomes{People: 1, None: 1}}, 0},
		{"left", well, []event.Event{left}, Counts{People: 1, Well: Outcomes{People: 1, Inconclusive: 1}}, 0},
		{"revised", febrile, []event.Event{pass, revised}, Counts{People: 1, Febrile: Outcomes{People: 1, Alert: 1}}, 0},
		{"rolled again", febrile, []event.Event{alert, rescreened}, Counts{People: 1, Febrile: Outcomes{People: 1, Pass: 1}}, 0},
		{"alert stands", febrile, []event.Event{alert, unsure}, Counts{People: 1, Febrile: Outcomes{People: 1, Alert: 1}}, 1},
		{"doubted", febrile, []event.Event{pass, doubted}, Counts{People: 1, Febrile: Outcomes{People: 1, Inconclusive: 1}}, 0},
		{"pass stands", febrile, []event.Event{pass, unsure}, Counts{People: 1, Febrile: Outcomes{People: 1, Pass: 1}}, 1},
		{"second thoughts", well, []event.Event{pass, alert}, Counts{People: 1, Well: Outcomes{People: 1, Alert: 1}}, 1},
		{"turned away", away, nil, Counts{Passers: Passers{People: 1, None: 1}}, 0},
		{"far", far, []event.Event{unsure}, Counts{Passers: Passers{People: 1, Event: 1}}, 0},
		{"event on nobody", well, []event.Event{pass, nobody}, Counts{People: 1, Well: Outcomes{People: 1, Pass: 1}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			people := []simulator.Person{test.person}
			seen := []event.Person{{ID: 7, Face: at(22)}}
			moments := []moment{{people: people, seen: seen}}
			for _, e := range test.events {
				m := moment{people: people, seen: seen, events: []event.Event{e}}
				if e.Data.Face == nil {
					m.people, m.seen = nil, nil
				}
				moments = append(moments, m)
			}
			r := play(moments...)
			if r.Counts != test.want || r.Extra != test.extra || r.By.Bare != test.want {
				t.Errorf("got %+v with %d extra, want %+v with %d", r.Counts, r.Extra, test.want, test.extra)
			}
		})
	}
}

// TestLateEvents closes a visit when somebody else stands in its place.
func TestLateEvents(t *testing.T) {
	a, b := someone(1, 20, false), someone(2, 22, true)
	late := verdict("l", event.Inconclusive, 20)
	r := play(
		moment{people: []simulator.Person{a}, seen: []event.Person{{ID: 1, Face: at(20)}}},
		moment{people: []simulator.Person{a}, seen: []event.Person{{ID: 1, Face: at(20)}}},
		moment{people: []simulator.Person{b}, seen: []event.Person{{ID: 2, Face: at(22)}}, events: []event.Event{late}},
	)
	if r.Well.Inconclusive != 1 || r.Febrile.None != 1 {
		t.Errorf("the event of who left is given to %+v and %+v", r.Well, r.Febrile)
	}
}

func TestWrongPerson(t *testing.T) {
	a, b := someone(1, 20, false), someone(2, 22, true)
	pass := verdict("p", event.Pass, 20)
	own := event.Person{ID: 1, Face: at(20), Event: &pass}
	r := play(
		moment{people: []simulator.Person{a}, seen: []event.Person{own}, events: []event.Event{pass}},
		moment{people: []simulator.Person{a}, seen: []event.Person{own}},
		moment{people: []simulator.Person{b}, seen: []event.Person{own}},
		moment{people: []simulator.Person{b}, seen: []event.Person{own}},
		moment{people: []simulator.Person{b}, seen: []event.Person{{ID: 1, Face: at(20)}}},
	)
	if r.WrongPersonFrames != 2 || r.Febrile.None != 1 || r.Well.Pass != 1 {
		t.Errorf("%d frames, want 2: %+v", r.WrongPersonFrames, r)
	}

	// The same person in two visits is nobody else.
	again := a
	again.ID = 5
	if r := play(
		moment{people: []simulator.Person{a}, seen: []event.Person{own}, events: []event.Event{pass}},
		moment{people: []simulator.Person{again}, seen: []event.Person{own}},
	); r.WrongPersonFrames != 0 || r.People != 1 {
		t.Errorf("somebody who comes back is taken for another: %+v", r)
	}
}

func TestSideBySide(t *testing.T) {
	a, b := someone(1, 20, false), someone(2, 70, true)
	r := play(moment{
		people: []simulator.Person{a, b},
		seen:   []event.Person{{ID: 2, Face: at(68)}, {ID: 1, Face: at(23)}},
		events: []event.Event{verdict("a", event.Alert, 68), verdict("p", event.Pass, 23)},
	})
	if r.Well.Pass != 1 || r.Febrile.Alert != 1 || r.Extra != 0 {
		t.Errorf("%+v", r)
	}
}

// TestHiddenBehind: a face in the place of two is of whoever stands in front.
func TestHiddenBehind(t *testing.T) {
	front, behind := someone(1, 20, false), someone(2, 23, true)
	behind.Hidden, behind.HiddenShare = true, 0.9
	pass := verdict("p", event.Pass, 20)
	own := event.Person{ID: 1, Face: at(23), Event: &pass}
	r := play(
		moment{people: []simulator.Person{front, behind}, seen: []event.Person{own}, events: []event.Event{pass}},
		moment{people: []simulator.Person{front, behind}, seen: []event.Person{own}},
	)
	if r.WrongPersonFrames != 0 || r.Well.Pass != 1 {
		t.Errorf("%d wrong frames: %+v", r.WrongPersonFrames, r)
	}
}

func TestDoor(t *testing.T) {
	passed, other := someone(1, 20, false), someone(2, 70, true)
	passed.DistanceMetres, other.DistanceMetres = 0.9, 0.7
	farther := other
	farther.DistanceMetres = 1.1
	walking := other
	walking.Standing = false
	pass := verdict("p", event.Pass, 20)
	admitted := event.Person{ID: 1, Face: at(20), Event: &pass, Admitted: true}
	refused := admitted
	refused.Admitted = false
	alone := []simulator.Person{passed}
	opens := moment{people: alone, seen: []event.Person{admitted}, events: []event.Event{pass}}
	with := func(others ...simulator.Person) moment {
		return moment{people: others, seen: []event.Person{admitted}}
	}
	locked := with(other, passed)
	locked.lock = true
	unsure := with(other, passed)
	unsure.events = []event.Event{verdict("i", event.Inconclusive, 70)}
	alerted := with(other, passed)
	alerted.events = []event.Event{verdict("a", event.Alert, 70)}
	later := make([]moment, 30)
	for i := range later {
		later[i] = moment{people: alone, seen: []event.Person{admitted}}
	}
	for _, test := range []struct {
		name    string
		moments []moment
		want    int
	}{
		{"another nearer", []moment{opens, with(other, passed), with(other, passed)}, 1},
		{"with an alert", []moment{opens, alerted}, 1},
		{"another farther", []moment{opens, with(passed, farther)}, 0},
		{"another walking", []moment{opens, with(walking, passed)}, 0},
		{"locked in time", []moment{opens, locked, with(other, passed)}, 0},
		{"another inconclusive", []moment{opens, unsure}, 0},
		{"who passed has gone", []moment{opens, with(other)}, 0},
		{"not admitted", []moment{{people: alone, seen: []event.Person{refused}, events: []event.Event{pass}}, with(other, passed)}, 0},
		{"after the pulse", append(append([]moment{opens}, later...), with(other, passed)), 0},
	} {
		if r := play(test.moments...); r.DoorOpenedForOther != test.want {
			t.Errorf("%s: %d passes held the door open, want %d", test.name, r.DoorOpenedForOther, test.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	hidden := someone(1, 20, false)
	hidden.Hidden, hidden.HiddenShare = true, 0.6
	there := []simulator.Person{someone(1, 20, false)}
	seen := []event.Person{{ID: 1, Face: at(20)}}
	r := play(
		moment{people: []simulator.Person{hidden}},
		moment{people: there},
		moment{people: there, seen: seen, events: []event.Event{verdict("i", event.Inconclusive, 20)}},
		moment{people: there, seen: seen},
		moment{people: there, seen: seen},
		moment{people: there, seen: seen, events: []event.Event{verdict("p", event.Pass, 20)}},
	)
	if want := (&Seconds{0.4, 0.4, 0.4, 0.4}); !reflect.DeepEqual(r.Seconds, want) {
		t.Errorf("waited %+v, want %+v", r.Seconds, want)
	}
	if newSeconds(nil) != nil {
		t.Error("nobody waited, and it was measured")
	}
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(200-i)*10*time.Millisecond)
	}
	if got, want := newSeconds(times), (&Seconds{1, 1.8, 1.98, 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("ranks %+v, want %+v", got, want)
	}
}

// TestCutOff leaves out whom the scenario's end gives no time.
func TestCutOff(t *testing.T) {
	s := New("x.yaml", 1.5)
	s.Frame(simulator.Truth{People: []simulator.Person{someone(1, 20, false)}}, &event.Scene{}, nil)
	if r := s.Result(); r.People != 0 {
		t.Errorf("counted: %+v", r)
	}
}

func TestJSON(t *testing.T) {
	p := someone(1, 20, true)
	p.Glasses, p.Hat = true, true
	r := play(moment{people: []simulator.Person{p}, seen: []event.Person{{ID: 1, Face: at(20)}}, events: []event.Event{verdict("a", event.Alert, 20)}})
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const one = `"people":1,"febrile":{"people":1,"alert":1,"inconclusive":0,"pass":0,"none":0},"well":{"people":0,"alert":0,"inconclusive":0,"pass":0,"none":0},"passers":{"people":0,"event":0,"none":0}`
	none := strings.NewReplacer(`1`, `0`).Replace(one)
	want := `{"scenario":"x.yaml",` + one + `,"extra":0,"wrong_person_frames":0,"door_opened_for_other":0,` +
		`"seconds":{"median":0,"p90":0,"p99":0,"max":0},"by":{"glasses":{` + one + `},"mask":{` + none + `},"hat":{` + one + `},"bare":{` + none + `}}}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var table bytes.Buffer
	if err := WriteTable(&table, r); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(table.String()), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[2], "  glasses") {
		t.Errorf("table\n%s", table.String())
	}
}
