package badge

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
)

var start = time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC)

// step is what happens at a time, in seconds.
type step struct {
	at      float64
	scene   []face  // who is in view from then on
	verdict int     // the visit that gets one
	of      string  // the event that it repeats
	read    string  // who a code names
	late    float64 // how long ago it was read
	refused bool
}

type face struct {
	visit int
	width float64
}

// fromTheSide is where faces of visits from 100 on are.
const fromTheSide = 90

// play plays steps at ten frames a second, and returns by the numbers of visits what was said of each verdict, the last of it last,
// and how many times something was said after one.
func play(steps []step, until float64) (said map[int][]string, words int) {
	p := NewPairing(10 * time.Minute)
	said = map[int][]string{}
	var in []face
	first := map[int]time.Time{}
	say := func(all []Word) {
		for _, w := range all {
			words++
			said[w.Of.Data.Visit] = append(said[w.Of.Data.Visit], nameOf(w.Person, w.Unpaired))
		}
	}
	frame := func(at time.Time, verdicts []event.Event) {
		scene := &event.Scene{Captured: at, Needs: event.Needs{FaceWidth: 30}}
		for _, f := range in {
			if first[f.visit].IsZero() {
				first[f.visit] = at
			}
			box := event.Box{W: f.width}
			if f.visit >= 100 {
				box.X = fromTheSide
			}
			scene.People = append(scene.People, event.Person{ID: f.visit, Face: box})
		}
		say(p.See(scene, verdicts))
		for _, e := range verdicts {
			said[e.Data.Visit] = append(said[e.Data.Visit], nameOf(e.Data.Person, e.Data.Unpaired))
		}
	}
	for tick := 0; float64(tick) <= until*10; tick++ {
		at := start.Add(time.Duration(tick) * 100 * time.Millisecond)
		var verdicts []event.Event
		for len(steps) > 0 && steps[0].at*10 <= float64(tick)+0.001 {
			s := steps[0]
			steps = steps[1:]
			switch {
			case s.read != "":
				say(p.Take(at.Add(-time.Duration(s.late*float64(time.Second))), event.Bearer{ID: s.read, By: "input"}, s.refused))
			case s.verdict != 0:
				verdicts = append(verdicts, event.Event{ID: fmt.Sprint("event-", s.verdict), Time: at,
					Data: event.Data{Outcome: event.Pass, Visit: s.verdict, FirstSeen: cmp.Or(first[s.verdict], at), RescreenOf: s.of}})
			default:
				in = s.scene
			}
		}
		frame(at, verdicts)
	}
	return said, words
}

func nameOf(person *event.Bearer, unpaired event.Unpaired) string {
	if person != nil {
		return person.ID
	}
	return string(unpaired)
}

func TestPairing(t *testing.T) {
	alone, nobody := []face{{1, 40}}, []face{}
	for name, test := range map[string]struct {
		steps []step
		want  map[int]string
		words int // after the verdicts
	}{
		"read before the verdict": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 3, scene: nobody}}, map[int]string{1: "A"}, 0},
		"read after it":           {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, read: "A"}, {at: 4, scene: nobody}}, map[int]string{1: "A"}, 1},
		"read before they came":   {[]step{{at: 0.5, read: "A"}, {at: 4, scene: alone}, {at: 5, verdict: 1}, {at: 6, scene: nobody}}, map[int]string{1: "A"}, 0},
		"read after they had gone": {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, scene: nobody}, {at: 5, read: "A"}}, map[int]string{1: "A"},
			1},
		"read too early":       {[]step{{at: 0.5, read: "A"}, {at: 6, scene: alone}, {at: 7, verdict: 1}, {at: 8, scene: nobody}}, map[int]string{1: "no-read"}, 1},
		"read too late":        {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, scene: nobody}, {at: 7.5, read: "A"}}, map[int]string{1: "no-read"}, 1},
		"no read":              {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, scene: nobody}}, map[int]string{1: "no-read"}, 1},
		"two reads":            {[]step{{at: 1, scene: alone}, {at: 1.3, read: "A"}, {at: 1.6, read: "B"}, {at: 2, verdict: 1}}, map[int]string{1: "two-reads"}, 0},
		"two before they came": {[]step{{at: 1, read: "A"}, {at: 2, read: "B"}, {at: 3, scene: alone}, {at: 4, verdict: 1}}, map[int]string{1: "two-reads"}, 0},
		"the same twice":       {[]step{{at: 1, scene: alone}, {at: 1.3, read: "A"}, {at: 1.6, read: "A"}, {at: 2, verdict: 1}}, map[int]string{1: "A"}, 0},
		"not valid":            {[]step{{at: 1, scene: alone}, {at: 1.3, read: "A", refused: true}, {at: 2, verdict: 1}}, map[int]string{1: "refused"}, 0},
		"not valid, then valid": {[]step{{at: 1, scene: alone}, {at: 1.3, read: "A", refused: true}, {at: 1.6, read: "A"}, {at: 2, verdict: 1}},
			map[int]string{1: "A"}, 0},
		"not valid, and valid after the verdict": {[]step{{at: 1, scene: alone}, {at: 1.3, read: "A", refused: true}, {at: 2, verdict: 1}, {at: 3, read: "A"}},
			map[int]string{1: "A"}, 1},
		"two side by side": {[]step{{at: 1, scene: []face{{1, 40}, {2, 38}}}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 2.1, verdict: 2}},
			map[int]string{1: "two-faces", 2: "two-faces"}, 0},
		"one behind the other": {[]step{{at: 1, scene: []face{{1, 60}, {2, 32}}}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 3, scene: []face{{2, 60}}}, {at: 3.5, read: "B"}, {at: 4, verdict: 2}},
			map[int]string{1: "A", 2: "B"}, 0},
		"one who is done stays beside": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 3, scene: []face{{1, 40}, {2, 40}}}, {at: 3.5, read: "B"}, {at: 4, verdict: 2}},
			map[int]string{1: "A", 2: "B"}, 0},
		"a read that may be either's": {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, scene: nobody}, {at: 4, read: "A"}, {at: 5, scene: []face{{2, 40}}}, {at: 6, verdict: 2}, {at: 7, scene: nobody}},
			map[int]string{1: "two-faces", 2: "two-faces"}, 1},
		"one who reads for himself leaves the other his": {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, scene: nobody}, {at: 4, read: "A"}, {at: 5, scene: []face{{2, 40}}}, {at: 5.5, read: "B"}, {at: 6, verdict: 2}},
			map[int]string{1: "A", 2: "B"}, 1},
		"taken back when somebody comes who has none": {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, scene: nobody}, {at: 6.5, read: "A"}, {at: 11, scene: []face{{2, 40}}}, {at: 12, verdict: 2}, {at: 13, scene: nobody}},
			map[int]string{1: "two-faces", 2: "two-faces"}, 2},
		"of one who comes long after, whoever is forgotten by then": {[]step{{at: 1, scene: []face{{1, 40}, {2, 40}}}, {at: 2, verdict: 1}, {at: 2.1, verdict: 2}, {at: 3, scene: nobody}, {at: 4, read: "A"}, {at: 8.5, scene: []face{{3, 40}}}, {at: 16, verdict: 3}, {at: 17, scene: nobody}},
			map[int]string{1: "two-faces", 2: "two-faces", 3: "two-faces"}, 2},
		"on the way of one who is yet to come, after two of whom one has a code": {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 2.8, scene: nobody}, {at: 4.8, scene: []face{{2, 40}}}, {at: 5.6, verdict: 2}, {at: 6.7, scene: nobody}, {at: 7, read: "B"}, {at: 9.8, read: "C"}, {at: 10.5, scene: []face{{3, 40}}}, {at: 11.7, verdict: 3}, {at: 12.7, scene: nobody}},
			map[int]string{1: "two-faces", 2: "two-faces", 3: "two-faces"}, 2},
		"lent to the next": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 3, scene: nobody}, {at: 9, scene: []face{{2, 40}}}, {at: 9.5, read: "A"}, {at: 10, verdict: 2}},
			map[int]string{1: "A", 2: "repeated"}, 0},
		"measured again": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 3, scene: nobody}, {at: 9, scene: []face{{2, 40}}}, {at: 9.5, read: "A"}, {at: 10, verdict: 2, of: "event-1"}},
			map[int]string{1: "A", 2: "A"}, 0},
		"face lost while reading": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2, scene: nobody}, {at: 3, scene: []face{{2, 40}}}, {at: 4, verdict: 2}},
			map[int]string{2: "A"}, 0},
		"left without a verdict just before one who comes from the side": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2.5, scene: nobody}, {at: 3.2, scene: []face{{100, 40}}}, {at: 4.2, verdict: 100}, {at: 5, scene: nobody}},
			map[int]string{100: "no-read"}, 1},
		"left without a verdict before one who waits behind": {[]step{{at: 0.1, scene: []face{{9, 35}}}, {at: 1, scene: []face{{9, 35}, {1, 60}}}, {at: 1.5, read: "A"}, {at: 2.5, scene: []face{{9, 35}}}, {at: 6, verdict: 9}},
			map[int]string{9: "no-read"}, 1},
		"left without a verdict before one who waits behind for long": {[]step{{at: 0.1, scene: []face{{9, 35}}}, {at: 1, scene: []face{{9, 35}, {1, 60}}}, {at: 1.5, read: "A"}, {at: 2.5, scene: []face{{9, 35}}}, {at: 19, verdict: 9}},
			map[int]string{9: "no-read"}, 1},
		"left without a verdict before the next one came": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2.5, scene: nobody}, {at: 4.5, scene: []face{{2, 40}}}, {at: 5.5, verdict: 2}, {at: 6, scene: nobody}},
			map[int]string{2: "no-read"}, 1},
		"was named long before one who waits behind": {[]step{{at: 0.1, scene: []face{{9, 35}}}, {at: 1, scene: []face{{9, 35}, {1, 60}}}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 2.5, scene: []face{{9, 35}}}, {at: 22, verdict: 9}},
			map[int]string{1: "A", 9: "no-read"}, 1},
		"left over it, and known again": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2, scene: nobody}, {at: 2.5, verdict: 1}, {at: 3, scene: []face{{2, 40}}}, {at: 4, verdict: 2, of: "event-1"}},
			map[int]string{1: "A", 2: "A"}, 0},
		"late": {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 3, scene: []face{{2, 40}}}, {at: 3.5, read: "B"}, {at: 4, verdict: 2}, {at: 4.5, read: "A", late: 2}, {at: 5, scene: nobody}},
			map[int]string{1: "A", 2: "B"}, 1},
		"late, of a pair, and once more when they had gone": {[]step{{at: 1, scene: []face{{1, 40}, {2, 40}}}, {at: 2, verdict: 1}, {at: 2.1, verdict: 2}, {at: 2.5, read: "A"}, {at: 3, scene: nobody}, {at: 3.1, read: "B"}, {at: 4, read: "B", late: 1.2}, {at: 7, scene: []face{{3, 40}}}, {at: 8, verdict: 3}, {at: 9, scene: nobody}},
			map[int]string{1: "two-faces", 2: "two-faces", 3: "no-read"}, 3},
		"on the way, before one who has left shows theirs": {[]step{{at: 1, scene: alone}, {at: 2, verdict: 1}, {at: 2.9, scene: nobody}, {at: 3.2, read: "B"}, {at: 3.4, read: "A"}, {at: 3.9, scene: []face{{2, 40}}}, {at: 4.7, verdict: 2}, {at: 5.7, scene: nobody}},
			map[int]string{1: "two-faces", 2: "two-faces"}, 1},
		"known again, but another one had the time to come": {[]step{{at: 1, scene: alone}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 2.5, scene: nobody}, {at: 4.5, scene: []face{{2, 40}}}, {at: 5.5, verdict: 2, of: "event-1"}, {at: 7, scene: nobody}},
			map[int]string{1: "A", 2: "no-read"}, 1},
		"one half a step behind, whose face is half hidden": {[]step{{at: 1, scene: []face{{1, 40}, {2, 27}}}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}, {at: 4, scene: nobody}},
			map[int]string{1: "two-faces"}, 0},
		"a guard far behind": {[]step{{at: 0.1, scene: []face{{9, 20}}}, {at: 1, scene: []face{{9, 20}, {1, 40}}}, {at: 1.5, read: "A"}, {at: 2, verdict: 1}},
			map[int]string{1: "A"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			said, words := play(test.steps, 30)
			for visit, want := range test.want {
				if all := said[visit]; len(all) == 0 || all[len(all)-1] != want {
					t.Errorf("of %d it says %q, want %q", visit, all, want)
				}
			}
			if words != test.words {
				t.Errorf("%d words after the verdicts, want %d", words, test.words)
			}
		})
	}
}

// TestWhoIsWaitedFor tells the page whom to ask.
func TestWhoIsWaitedFor(t *testing.T) {
	p := NewPairing(time.Minute)
	see := func(people ...event.Person) {
		p.See(&event.Scene{Captured: start, Needs: event.Needs{FaceWidth: 30}, People: people}, nil)
	}
	want := func(visit int, refused bool) {
		t.Helper()
		if got, is := p.Waits(); got != visit || is != refused {
			t.Errorf("%d, %t is waited for, want %d, %t", got, is, visit, refused)
		}
	}
	want(0, false)
	near := event.Person{ID: 7, Face: event.Box{W: 40}}
	see(near)
	want(7, false)
	see(near, event.Person{ID: 8, Face: event.Box{W: 39}})
	want(0, false)
	see(near)
	p.Take(start, event.Bearer{ID: "A"}, true)
	want(7, true)
	p.Take(start, event.Bearer{ID: "A"}, false)
	want(0, false)
}

// TestFramesComeLate has frames that were captured before a read or a tick, and are seen after it.
func TestFramesComeLate(t *testing.T) {
	p := NewPairing(time.Minute)
	see := func(after time.Duration, verdicts ...event.Event) {
		p.See(&event.Scene{Captured: start.Add(after), Needs: event.Needs{FaceWidth: 30}, People: []event.Person{{ID: 1, Face: event.Box{W: 40}}}}, verdicts)
	}
	see(0)
	p.Take(start.Add(200*time.Millisecond), event.Bearer{ID: "A"}, false)
	p.Tick(start.Add(250 * time.Millisecond))
	verdicts := []event.Event{{ID: "01", Time: start.Add(100 * time.Millisecond), Data: event.Data{Visit: 1, FirstSeen: start}}}
	see(100*time.Millisecond, verdicts...)
	if person := verdicts[0].Data.Person; person == nil || person.ID != "A" {
		t.Errorf("it is about %+v", person)
	}
}

// TestReadsAreForgotten has a guard in view while a shift comes by.
func TestReadsAreForgotten(t *testing.T) {
	p := NewPairing(time.Minute)
	for i := range 1000 {
		at, id := start.Add(time.Duration(i)*time.Second), 10+i/4
		people := []event.Person{{ID: 1, Face: event.Box{W: 32}}, {ID: id, Face: event.Box{W: 60}}}
		var verdicts []event.Event
		if i%4 == 3 {
			verdicts = []event.Event{{ID: fmt.Sprint(id), Time: at, Data: event.Data{Visit: id, FirstSeen: at.Add(-3 * time.Second)}}}
		}
		p.See(&event.Scene{Captured: at, Needs: event.Needs{FaceWidth: 30}, People: people}, verdicts)
		if i%4 == 1 {
			p.Take(at, event.Bearer{ID: fmt.Sprint(id)}, false)
		}
		if len(p.reads) > 10 || len(p.visits) > 10 || len(p.stood) > 10 {
			t.Fatalf("after %d people %d reads, %d visits and %d sights are remembered", i/4, len(p.reads), len(p.visits), len(p.stood))
		}
	}
}

// TestReadThatWaitedLong comes after the tick that has forgotten who stood there.
func TestReadThatWaitedLong(t *testing.T) {
	p := NewPairing(time.Minute)
	p.See(&event.Scene{Captured: start, Needs: event.Needs{FaceWidth: 30}, People: []event.Person{{ID: 1, Face: event.Box{W: 40}}}}, nil)
	p.Tick(start.Add(time.Minute))
	if words := p.Take(start.Add(100*time.Millisecond), event.Bearer{ID: "A"}, false); len(words) > 0 {
		t.Errorf("%+v", words)
	}
	if visit, _ := p.Waits(); visit != 0 {
		t.Errorf("%d is waited for", visit)
	}
}

// TestShift has 900 people come to a gate: 5 in 100 have no code, 2 in 100 one that is not valid, some come in pairs, and some show
// a code that they were lent. A tenth of the reads come late.
func TestShift(t *testing.T) {
	named, alone := 0, 0
	for seed := range uint64(3) {
		n, of := testShift(t, rand.New(rand.NewPCG(seed, 19)))
		named, alone = named+n, alone+of
	}
	if float64(named) < 0.97*float64(alone) {
		t.Errorf("%d of %d who came alone are named", named, alone)
	}
}

func testShift(t *testing.T, r *rand.Rand) (named, alone int) {
	type person struct {
		shows             string // what they hold before the reader; empty is nothing
		lent, bad, paired bool
	}
	const people = 900
	var steps []step
	all := map[int]person{}
	at := 1.0
	uniform := func(from, to float64) float64 { return from + (to-from)*r.Float64() }
	for visit := 1; visit <= people; {
		group := 1
		if r.Float64() < 0.06 {
			group = 2
		}
		began, verdict := at, at+uniform(0.6, 1.8)
		if r.Float64() < 0.1 { // some take long
			verdict = at + uniform(1.8, 15)
		}
		left := verdict + uniform(0.5, 2.5)
		var faces []face
		for i := range group {
			id := visit + i
			p := person{shows: fmt.Sprint("code-", id), paired: group == 2}
			switch chance := r.Float64(); {
			case chance < 0.05:
				p.shows = ""
			case chance < 0.07:
				p.bad = true
			case chance < 0.08 && id > 3:
				p.lent, p.shows = true, cmp.Or(all[id-2].shows, "code-0")
			}
			all[id] = p
			faces = append(faces, face{id, uniform(38, 42)})
			if p.shows != "" {
				read := uniform(began+0.2, verdict) // most show it while they are measured,
				switch chance := r.Float64(); {
				case chance < 0.10:
					read = began - uniform(0.1, 0.9) // some on the way,
				case chance < 0.30:
					read = uniform(verdict, left) // some after it,
				case chance < 0.33:
					read = left + uniform(0.1, 0.4) // and some when they are out of the picture
				}
				late := 0.0
				if r.Float64() < 0.1 { // by a slow network
					late = uniform(0.1, 4.9)
				}
				steps = append(steps, step{at: read + late, read: p.shows, refused: p.bad, late: late})
				if r.Float64() < 0.1 { // the reader beeps twice
					steps = append(steps, step{at: read + 0.2, read: p.shows, refused: p.bad})
				}
			}
			steps = append(steps, step{at: verdict + 0.1*float64(i), verdict: id})
		}
		steps = append(steps, step{at: began, scene: faces}, step{at: left, scene: []face{}})
		at = left + 1 + uniform(0, 1)*uniform(0, 12)
		visit += group
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	said, _ := play(steps, at+20)
	wrong, flagged, lent := 0, 0, 0
	reasons := map[string]int{}
	for id, p := range all {
		isName := false
		got := ""
		for _, got = range said[id] { // also what is taken back may have opened a door
			isName = strings.HasPrefix(got, "code-")
			if isName && (got != p.shows || p.bad) {
				wrong++
				t.Errorf("%d, who shows %q (bad %t), is taken for %q", id, p.shows, p.bad, got)
			}
		}
		if p.lent {
			lent++
			if got == string(event.Repeated) {
				flagged++
			}
		}
		if p.paired || p.shows == "" || p.bad || p.lent {
			continue
		}
		alone++
		if isName {
			named++
		} else {
			reasons[got]++
		}
	}
	t.Logf("%d people: %d of %d who came alone with a good code of their own are named (%.1f %%, others %v), %d wrongly, %d of %d lent codes flagged",
		len(all), named, alone, 100*float64(named)/float64(alone), reasons, wrong, flagged, lent)
	return named, alone
}
