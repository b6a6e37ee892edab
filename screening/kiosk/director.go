package kiosk

import (
	"cmp"
	"slices"
	"time"

	"thermogate/screening/event"
)

// cue is what the people in front of the gate should see now.
type cue struct {
	message message
	verdict *event.Event // the verdict it speaks of, nil for everything else
	person  int          // the visit it speaks to, 0 where it speaks to nobody in particular
	opens   bool         // it says "go in" to somebody
	named   bool         // it says to whom it speaks
	asked   int          // the visit that it asks for a code, 0 where it asks nobody
	shared  bool         // somebody else in view reads it as well, and its number is not theirs
}

// director decides what the worker's page says: of whoever stands nearest, by the newest frame. Its clock is the capture
// time of the frames.
type director struct {
	hold time.Duration
	door bool // the gate opens a door; "go in" is then for as long as it is open
	// alertWait is how long after an alert the next person waits for staff to see to it, where a console has it.
	alertWait time.Duration

	now       time.Time
	scene     event.Scene // the newest, without its picture
	open      bool        // the door stands open
	slow      bool        // verdicts come too late to be shown
	asking    asking
	known     []*announced
	addressed int // visit of the person that the page speaks to
	shown     cue
	change    time.Time // when shown was first shown
	// When somebody was last in view, when somebody else beside a person with an alert, and when the reference source was
	// last usable.
	peopled, accompanied, sound time.Time
}

// asking is who is to show a code.
type asking struct {
	visit   int       // 0 is nobody
	since   time.Time // when they were first in view
	refused bool      // what they have shown is not valid
	opens   bool      // the door needs it
}

// announced is a verdict that may be shown, and what became of its person.
type announced struct {
	event    *event.Event
	late     bool // it came too late to open anything
	since    time.Time
	seen     time.Time // when its person was last in view; zero is not since
	admitted bool      // then
	repeated bool      // then: the door has opened for them before
	barred   time.Time // when the person was last not admitted
	opened   bool      // the door has opened since
	// What the console says of an alert, and since when staff have seen to it: it then holds nobody up any more.
	word     Word
	attended time.Time
	// recalled is when this run began, of an alert of an earlier one: nobody is shown it, and nobody knows its person again.
	recalled time.Time
}

// Word is what the console says of an alert.
type Word int

// The words.
const (
	Unheard Word = iota // nothing: no console is known to have it
	Untaken             // nobody sees to it yet
	Taken               // staff are on the way
	Closed              // they are done with it
)

const (
	// Somebody who has just stepped up may be about to show a code unasked.
	askTime = 1500 * time.Millisecond
	// Guidance stays this long before other guidance replaces it: words that flicker are not read. As long nobody is
	// asked in after somebody else was in the way.
	guideTime = 500 * time.Millisecond
	// It stays this long when nobody is found any more: a face in profile comes and goes.
	goneTime = 1200 * time.Millisecond
	// An alert stays at least this long when its person has gone, and as long the next one waits.
	alertTime = 6 * time.Second
	// That staff are coming can be read this long when its person has gone.
	comingTime = 3 * time.Second
	// A verdict stays this long when its person turns away, and speaks alone this long before somebody beside is helped.
	readTime = time.Second
	// A door that has not opened after this time is not going to.
	answerTime = time.Second
	// Somebody who walks past the reference source is no reason to call for staff.
	passingTime = 3 * time.Second
	// Whoever is spoken to stays so until somebody else's face is this much larger.
	clearlyNearer = 1.2
	// More verdicts than people can have who are still in view.
	knownLength = 256
)

// announce shows a verdict from now on, to its person only. One that is late opens nothing.
func (d *director) announce(e *event.Event, late bool) cue {
	if len(d.known) == knownLength {
		d.known = slices.Delete(d.known, 0, 1)
	}
	v := &announced{event: e, late: late, since: d.now}
	d.follow(v)
	d.known = append(d.known, v)
	d.observe()
	return d.steady(d.decide())
}

// recall is told of a verdict of an earlier run. An alert goes on holding people up.
func (d *director) recall(e *event.Event) {
	v := &announced{event: e, since: e.Time, recalled: e.Time}
	d.follow(v)
	if e.Data.Outcome == event.Alert {
		d.known = append(d.known, v)
	}
}

// resume is the first frame after an earlier run.
func (d *director) resume(at time.Time) {
	for _, v := range d.known {
		if v.recalled.IsZero() {
			continue
		}
		v.recalled = at
		if v.since.After(at) { // the clock was set back
			v.since = at
		}
	}
}

// follow has a verdict take the place of the same person's alert: a pass (visit.fresh_look_clears) ends the wait for it, and
// staff who are on the way are so for the next alert as well.
func (d *director) follow(v *announced) {
	data := &v.event.Data
	i := slices.IndexFunc(d.known, func(o *announced) bool {
		return o.event.Data.Outcome == event.Alert && (o.event.ID == data.Revises || o.event.ID == data.RescreenOf)
	})
	switch {
	case i < 0:
	case data.Outcome == event.Pass:
		d.known = slices.Delete(d.known, i, i+1)
	case data.Outcome == event.Alert && d.known[i].word == Taken:
		v.word, v.attended = Taken, d.known[i].attended
	}
}

// next returns what to show for a new frame.
func (d *director) next(scene *event.Scene) cue {
	if d.now.IsZero() {
		d.resume(scene.Captured)
	}
	if scene.Captured.Before(d.now) { // a recording that starts over
		d.known = nil
		d.change, d.peopled, d.accompanied, d.sound = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	}
	d.now = scene.Captured
	d.remember(scene)
	if d.sound.IsZero() || scene.Reference.Problem == event.NoProblem {
		d.sound = d.now
	}
	d.observe()
	return d.steady(d.decide())
}

// setOpen is told that the door stands open, or does not any more.
func (d *director) setOpen(open bool) cue {
	d.open = open
	d.observe()
	return d.steady(d.decide())
}

// setSlow is told that verdicts come too late to be shown, or do not any more.
func (d *director) setSlow(slow bool) cue {
	d.slow = slow
	return d.steady(d.decide())
}

// setWord is told what the console says of an alert.
func (d *director) setWord(id string, word Word) cue {
	for _, v := range d.known {
		if v.event.ID == id {
			v.word = word
			if word >= Taken && v.attended.IsZero() {
				v.attended = cmp.Or(d.now, v.recalled)
			}
		}
	}
	return d.steady(d.decide())
}

// remember copies of a scene what is asked for again before the next one comes.
func (d *director) remember(scene *event.Scene) {
	people := d.scene.People[:0]
	for _, person := range scene.People {
		person.Worn = slices.Clone(person.Worn)
		people = append(people, person)
	}
	d.scene = *scene
	d.scene.Image, d.scene.People = nil, people
	if len(people) > 0 {
		d.peopled = d.now
	}
}

// observe notes of every verdict how its person stands.
func (d *director) observe() {
	alert := slices.ContainsFunc(d.scene.People, hasAlert)
	for i := range d.scene.People {
		person := &d.scene.People[i]
		v := d.announcedOf(person)
		if v == nil {
			continue
		}
		v.seen, v.admitted, v.repeated = d.now, person.Admitted && !alert, person.Repeated
		if !v.admitted {
			v.barred = d.now
		}
		v.opened = v.opened || v.admitted && d.open
	}
}

func hasAlert(p event.Person) bool { return p.Event != nil && p.Event.Data.Outcome == event.Alert }

// decide returns what is true at this moment.
func (d *director) decide() cue {
	if len(d.scene.People) == 0 {
		return d.nobody()
	}
	if person := d.alert(); person != nil {
		return d.sendAside(person)
	}
	person := d.address()
	v := d.standing(person)
	if d.unattended() != nil && (v == nil || v.event.Data.Outcome == event.Pass) {
		return cue{message: turnMessage, person: person.ID}
	}
	if v == nil && d.scene.OneAtATime {
		return cue{message: oneMessage}
	}
	c := cue{message: d.help(person), person: person.ID}
	if v != nil {
		c = cue{message: d.verdict(v), verdict: v.event, person: person.ID, opens: d.goesIn(v)}
	}
	return d.beside(d.ask(c, person, v), person, v)
}

// setAsked is told who is to show a code.
func (d *director) setAsked(visit int, refused, opens bool) {
	if visit != d.asking.visit {
		d.asking.since = d.now
	}
	d.asking.visit, d.asking.refused, d.asking.opens = visit, refused, opens
}

// ask adds to what the page says to a person that they are to show a code. What they have to do to be measured, and an alert, come
// first.
func (d *director) ask(c cue, person *event.Person, v *announced) cue {
	a := &d.asking
	if a.visit == 0 || a.visit != person.ID || d.now.Sub(a.since) < askTime || v != nil && v.event.Data.Outcome != event.Pass {
		return c
	}
	key, sub := showCode, "normal"
	if a.refused {
		key, sub = codeRefused, "ask-staff"
	}
	c.asked = a.visit
	switch {
	case v != nil && a.opens:
		c.message = message{tone: toneWait, icon: "card", head: key, sub: sub}
	case c.message.more == "":
		c.message = c.message.with(key)
	}
	return c
}

// nobody is what an empty gate says: the last verdict to whoever has just turned away, else an invitation.
func (d *director) nobody() cue {
	if v := d.held(); v != nil {
		if d.shown.named && d.shown.verdict == v.event { // whoever stood beside may still do so
			c := d.shown
			if m := d.verdict(v); m.tone == toneAlert { // the console's word may be new
				c.message = m.said(c.message.to)
			}
			return c
		}
		return cue{message: d.verdict(v), verdict: v.event, opens: d.goesIn(v)}
	}
	if d.unattended() != nil {
		return cue{message: turnMessage}
	}
	if d.shown.person != 0 && d.shown.verdict == nil && d.now.Sub(d.peopled) < goneTime {
		return d.shown // somebody who was not found in some pictures
	}
	return cue{message: d.emptyGate(d.scene.Reference.Problem)}
}

// held is the verdict of the person who was in view last, an alert before others, as long as it is held. A pass is held
// only as long as it lets the person in, the advice to try again only while they may read it.
func (d *director) held() *announced {
	var held *announced
	for _, v := range slices.Backward(d.known) {
		away := !v.seen.IsZero() && d.now.Sub(v.seen) >= readTime
		over := away && (d.now.Sub(v.since) >= d.hold || verdictOf(&v.event.Data).icon == againIcon) && !d.waits(v) &&
			(v.attended.IsZero() || d.now.Sub(v.attended) >= comingTime)
		if over || d.replaced(v) || v.seen.IsZero() || v.seen.Before(d.peopled) || v.event.Data.Outcome == event.Pass && !d.goesIn(v) {
			continue
		}
		if held == nil || held.event.Data.Outcome != event.Alert && v.event.Data.Outcome == event.Alert {
			held = v
		}
	}
	return held
}

// replaced says whether the page has gone on from the advice to try again to how.
func (d *director) replaced(v *announced) bool {
	return verdictOf(&v.event.Data).icon == againIcon && d.now.Sub(v.since) >= d.hold && d.shown.verdict != v.event
}

// unattended is the latest alert for which the next person waits, nil where there is none.
func (d *director) unattended() *announced {
	for _, v := range slices.Backward(d.known) {
		if d.waits(v) {
			return v
		}
	}
	return nil
}

// waits says whether somebody with this verdict has been sent aside and nobody has come to them yet. Where no console has
// the alert, so that nobody can take it, and where nobody does, that is so for a while only: a gate must not stay shut
// because of it. One of an earlier run may be taken already: the console has to have its time to say so.
func (d *director) waits(v *announced) bool {
	age := d.now.Sub(v.since)
	unsure := !v.recalled.IsZero() && d.now.Sub(v.recalled) < alertTime
	return v.event.Data.Outcome == event.Alert &&
		(age < alertTime || (v.word == Untaken || unsure) && v.attended.IsZero() && age < d.alertWait)
}

// alert is the nearest person with an alert, nil where there is none. It keeps to one while two are about as near.
func (d *director) alert() *event.Person {
	person := nearest(d.scene.People, func(p *event.Person) bool { return hasAlert(*p) && d.standing(p) != nil })
	before := nearest(d.scene.People, func(p *event.Person) bool {
		v := d.standing(p)
		return v != nil && v.event == d.shown.verdict && hasAlert(*p)
	})
	if before != nil && area(person.Face) < clearlyNearer*area(before.Face) {
		return before
	}
	return person
}

// sendAside tells the person with an alert where to go, by their place in the picture where others could take it for
// themselves.
func (d *director) sendAside(person *event.Person) cue {
	v := d.standing(person)
	c := cue{message: d.verdict(v), verdict: v.event, person: person.ID}
	c.shared = nearest(d.scene.People, func(p *event.Person) bool { return p.ID != person.ID && hasAlert(*p) }) != nil
	others := func(p *event.Person) bool { return mistakable(p, person) && !hasAlert(*p) }
	switch {
	case nearest(d.scene.People, others) != nil:
		d.accompanied = d.now
		c.message, c.named = c.message.said(d.placeOf(person)), true
	case d.shown.verdict == c.verdict && d.now.Sub(d.accompanied) < readTime:
		return d.shown // the other one is not found in one picture
	}
	return c
}

// address chooses the nearest person, and keeps to one while two are about as near. It never keeps to a verdict before
// somebody nearer who has none and would take it for theirs.
func (d *director) address() *event.Person {
	person := nearest(d.scene.People, func(*event.Person) bool { return true })
	i := slices.IndexFunc(d.scene.People, func(p event.Person) bool { return p.ID == d.addressed })
	if i >= 0 && area(person.Face) < clearlyNearer*area(d.scene.People[i].Face) {
		if before := &d.scene.People[i]; d.standing(before) == nil || d.standing(person) != nil {
			person = before
		}
	}
	d.addressed = person.ID
	return person
}

// beside adds to what the page says to one person what concerns another one beside.
func (d *director) beside(c cue, person *event.Person, v *announced) cue {
	other := nearest(d.scene.People, func(p *event.Person) bool { return mistakable(p, person) })
	if other == nil {
		return c
	}
	o := d.standing(other)
	switch {
	case o != nil:
		m := d.verdict(o)
		if m.tone == toneIdle || m.head == c.message.head {
			return c
		}
		if v != nil {
			c.message, c.named = c.message.said(d.placeOf(person)), true
		}
		c.message = c.message.beside(d.placeOf(other), m)
		c.opens = c.opens || d.goesIn(o)
	case v != nil && d.now.Sub(v.since) >= readTime:
		if m := d.help(other); m.tone == toneGuide {
			c.message = c.message.beside(d.placeOf(other), m)
		}
	}
	return c
}

// placeOf is where a person is in the picture among those who read the page.
func (d *director) placeOf(person *event.Person) place {
	var left, right bool // of somebody else in the camera's picture, which people see mirrored
	for i := range d.scene.People {
		p := &d.scene.People[i]
		if !mistakable(p, person) {
			continue
		}
		if centre(person.Face) < centre(p.Face) {
			left = true
		} else {
			right = true
		}
	}
	switch {
	case left && right:
		return middlePlace
	case right:
		return leftPlace
	}
	return rightPlace
}

// verdict is what a person reads whose verdict holds.
func (d *director) verdict(v *announced) message {
	data := &v.event.Data
	switch {
	case data.Outcome == event.Alert && v.word == Taken:
		return alertTakenMessage
	case data.Outcome == event.Alert && v.word == Closed:
		return alertClosedMessage
	case data.Outcome != event.Pass:
		return verdictOf(data)
	}
	age := d.now.Sub(v.since)
	switch {
	case v.late:
		return lateMessage
	case d.goesIn(v) && !d.door && age >= d.hold:
		return passedMessage
	case d.goesIn(v):
		return passMessage
	case !v.admitted && (data.RescreenOf == "" && !v.repeated || d.blocked(v)):
		return queueMessage
	case v.admitted && d.now.Sub(v.barred) < guideTime:
		return queueMessage
	case v.admitted && !v.opened && age < answerTime: // the door has not said yet whether it opens
		return queueMessage
	case d.door:
		return measuredMessage.with(askAtDoor)
	}
	return measuredMessage
}

// goesIn says whether somebody with a verdict may be told to go in: they passed, nobody is in the way, and the door, if
// there is one, stands open.
func (d *director) goesIn(v *announced) bool {
	return v.event.Data.Outcome == event.Pass && v.admitted && !v.late &&
		(v.barred.IsZero() || d.now.Sub(v.barred) >= guideTime) && (d.open || !d.door)
}

// blocked says whether somebody with an alert is in view, or somebody without a verdict nearer than the person of v.
func (d *director) blocked(v *announced) bool {
	var own float64
	for i := range d.scene.People {
		if d.announcedOf(&d.scene.People[i]) == v {
			own = area(d.scene.People[i].Face)
		}
	}
	return slices.ContainsFunc(d.scene.People, func(p event.Person) bool {
		return hasAlert(p) || p.Event == nil && area(p.Face) > own
	})
}

// help tells a person what is in the way.
func (d *director) help(person *event.Person) message {
	m := guideOf(person.Hint, person.Worn)
	if m.tone == toneFault && d.now.Sub(d.sound) < passingTime {
		return momentMessage
	}
	return m
}

// emptyGate invites people, unless nobody can be measured or told.
func (d *director) emptyGate(problem event.Reason) message {
	if d.slow {
		return slowMessage
	}
	if problem == event.NoProblem || d.now.Sub(d.sound) < passingTime {
		return idleMessage
	}
	return guideOf(problem, nil)
}

// steady keeps words that are still true up until they can be read.
func (d *director) steady(next cue) cue {
	if next != d.shown && !d.stays(next) {
		d.shown, d.change = next, d.now
	}
	return d.shown
}

// stays says whether what is shown may stay a moment longer although something else is true by now. A verdict comes and
// goes at once, and so do "go in", whom a verdict is for, and whatever is said to somebody who is not there any more.
func (d *director) stays(next cue) bool {
	shown := d.shown
	return next.verdict == shown.verdict && next.asked == shown.asked && next.opens == shown.opens && (shown.named || !next.named) && (shown.shared || !next.shared) &&
		(shown.person == 0 || d.inView(shown.person)) && d.now.Sub(d.change) < guideTime
}

func (d *director) inView(visit int) bool {
	return slices.ContainsFunc(d.scene.People, func(p event.Person) bool { return p.ID == visit })
}

// announcedOf returns the verdict of a person, nil before it is announced.
func (d *director) announcedOf(person *event.Person) *announced {
	if person.Event == nil {
		return nil
	}
	i := slices.IndexFunc(d.known, func(v *announced) bool { return v.event.ID == person.Event.ID })
	if i < 0 {
		return nil
	}
	return d.known[i]
}

// standing returns the verdict that holds for a person, nil for one who waits for it: the event is not announced yet, or
// the look failed for a reason the person can mend and the gate looks again.
func (d *director) standing(person *event.Person) *announced {
	v := d.announcedOf(person)
	if v != nil && d.now.Sub(v.since) >= d.hold && verdictOf(&v.event.Data).icon == againIcon {
		return nil
	}
	return v
}

// marked is the verdict that a person's face bears in the picture.
func (d *director) marked(person *event.Person) *event.Event {
	if v := d.standing(person); v != nil {
		return v.event
	}
	return nil
}

// nearest returns the person with the largest face of those who fit, nil where there is none.
func nearest(people []event.Person, fits func(*event.Person) bool) *event.Person {
	var found *event.Person
	for i := range people {
		if fits(&people[i]) && (found == nil || cmp.Less(area(found.Face), area(people[i].Face))) {
			found = &people[i]
		}
	}
	return found
}

// mistakable says whether somebody else could take for theirs what is said to a person: whoever has stepped up, too, and
// whoever is nearer.
func mistakable(p, person *event.Person) bool {
	steppedUp := p.Event != nil || p.Hint != event.TooFar
	return p.ID != person.ID && (steppedUp || area(p.Face) > area(person.Face))
}

func area(b event.Box) float64   { return b.W * b.H }
func centre(b event.Box) float64 { return b.X + b.W/2 }
