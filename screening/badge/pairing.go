package badge

import (
	"cmp"
	"slices"
	"time"

	"thermogate/screening/event"
)

const (
	// window is how long before a person was first seen, and how long after the verdict, a read may be theirs.
	window = 5 * time.Second
	// moment is how long after a read its person is seen who is the next to come, whatever the order of those behind; and within two
	// of it somebody who comes may have read before somebody else who was about to leave.
	moment = time.Second
	// settled is how long after a verdict it is said who it is about, where that hangs on others: whoever has read before the end of
	// the window is in view by then, and most of them have shown theirs.
	settled = window + 3*moment
	// besideWidth is the part of the nearest face's width from which on another stands beside it, and the read may be either's.
	besideWidth = 0.65
	// inView is how long ago somebody may have been found who still stands there.
	inView = 700 * time.Millisecond
	// lostFor is how long somebody whose face was lost may be away before they are there, in the same place, under another number: a
	// little longer than faces are remembered (track.Config.Memory), and less than the next of a queue takes to come to stand there.
	lostFor = 1500 * time.Millisecond
	// maxDelay is how long after a read it may come.
	maxDelay = window
	// forgetAfter is when nothing about a visit or a read can change any more.
	forgetAfter = 3 * window
	// maxReads bounds the reads that are remembered at once, whoever floods a reader. Of more people than maxTogether, or where there
	// are more than maxReadsOf reads for each of them, nobody sorts out whose a read is: a frame has no time for it.
	maxReads    = 256
	maxTogether = 8
	maxReadsOf  = 4
)

// Pairing says whose the reads are. It is a pure function of what it is told: time comes in with frames and reads.
//
// A read while one person stands before the gate is that person's. Any other is that of the person in whose time it lies, from 5 s
// before they were first seen to 5 s after the verdict; where that may be several people, each has to have one, in their order. Where
// two reads are one person's, or two people stand side by side, nobody is named, nor by a read while the camera was away. A pairing
// that what comes later puts in doubt is taken back; somebody of whom it was said that nobody can be named stays so.
type Pairing struct {
	repeat time.Duration
	visits map[int]*visit
	reads  []*read // oldest first
	near   []int   // who stands before the gate by the newest frame, the nearest first, with those beside
	stood  []sight // who did, oldest first, up to now
	used   map[string]*use
	frame  time.Time // of the newest frame
	now    time.Time // of the newest frame, read or tick
}

// visit is what of a visit counts here.
type visit struct {
	firstSeen, lastSeen time.Time
	firstNear, lastNear time.Time // zero for somebody who has not stepped up
	firstFace, lastFace event.Box
	told                []*told // the verdicts, oldest first
}

// sight is who stood before the gate from one frame to another.
type sight struct {
	from, to time.Time
	near     []int
}

// told is what was said of who a verdict is about.
type told struct {
	event    event.Event // its envelope, and of its data what a later word repeats
	person   *event.Bearer
	unpaired event.Unpaired
	final    bool // that nobody can be named was said when all time was over
}

// read is a read that was checked.
type read struct {
	at      time.Time
	person  event.Bearer
	refused bool
	before  int    // the visit of who stood before the gate alone; 0 where nobody did
	owner   *visit // that visit, also once it is forgotten
	beside  []int  // or of those who stood side by side
	nobody  bool   // stood there at all
	// seen is when the last frame before it was, next the first one after it; zero where there is none.
	seen, next time.Time
}

// repeats says whether a read is of the same code as one a moment before.
func (r *read) repeats(before *read) bool {
	return !r.refused && !before.refused && before.person.ID == r.person.ID && r.at.Sub(before.at) <= window
}

// sameAs has a read be of whoever has made another one.
func (r *read) sameAs(other *read) {
	r.before, r.owner, r.beside = other.before, other.owner, other.beside
}

// use is who had a code last.
type use struct {
	visits []int
	events []string
	at     time.Time
}

// NewPairing pairs a code with another visit only when it has not been used for repeat.
func NewPairing(repeat time.Duration) *Pairing {
	return &Pairing{repeat: repeat, visits: map[int]*visit{}, used: map[string]*use{}}
}

// See takes a frame, and names whom it can in the verdicts that it led to. It returns what is to be said of earlier ones.
func (p *Pairing) See(scene *event.Scene, verdicts []event.Event) []Word {
	at := scene.Captured
	if at.Before(p.frame) { // a recording that starts over
		*p = *NewPairing(p.repeat)
	}
	p.frame, p.now, p.near = at, maxTime(p.now, at), p.near[:0]
	p.notePeople(scene)
	p.noteSight()
	for _, r := range p.reads {
		if r.next.IsZero() && r.at.Before(at) {
			r.next = at
		}
	}
	for i := range verdicts {
		p.judge(&verdicts[i])
	}
	return p.words()
}

func (p *Pairing) notePeople(scene *event.Scene) {
	at := scene.Captured
	people := slices.Clone(scene.People)
	slices.SortStableFunc(people, func(a, b event.Person) int { return cmp.Compare(b.Face.W, a.Face.W) })
	for _, person := range people {
		id := p.same(person)
		v := p.visitOf(id, at)
		if v.lastFace == (event.Box{}) {
			v.firstFace = person.Face
		}
		v.lastSeen, v.lastFace = at, person.Face
		if person.Face.W >= scene.Needs.FaceWidth {
			v.firstNear, v.lastNear = cmp.Or(v.firstNear, at), at
		}
		if nearest := people[0].Face.W; nearest >= scene.Needs.FaceWidth && person.Face.W >= besideWidth*nearest {
			p.near = append(p.near, id)
		}
	}
}

// noteSight keeps who stood there for as long as a read may be late.
func (p *Pairing) noteSight() {
	if n := len(p.stood); n > 0 && p.frame.Sub(p.stood[n-1].to) <= inView && slices.Equal(p.stood[n-1].near, p.near) {
		p.stood[n-1].to = p.frame
		return
	}
	p.stood = slices.DeleteFunc(p.stood, func(s sight) bool { return p.frame.Sub(s.to) > maxDelay+inView })
	p.stood = append(p.stood, sight{p.frame, p.frame, slices.Clone(p.near)})
}

// nearAt is who stood before the gate at a time.
func (p *Pairing) nearAt(at time.Time) []int {
	for _, s := range slices.Backward(p.stood) {
		if s.from.After(at) {
			continue
		}
		if at.Sub(s.to) > inView { // the camera had stopped
			return nil
		}
		return slices.DeleteFunc(slices.Clone(s.near), func(id int) bool { return p.visits[id] == nil })
	}
	return nil
}

// framesAround are the last frame before a time and the first one after it, zero where there is none.
func (p *Pairing) framesAround(at time.Time) (before, after time.Time) {
	for _, s := range slices.Backward(p.stood) {
		switch {
		case s.from.After(at):
			after = s.from
		case s.to.Before(at):
			return s.to, after
		default:
			return at, at
		}
	}
	return before, after
}

// blind says whether frames were missing around a read for so long that nobody knows who has made it.
func (p *Pairing) blind(r *read) bool { return cmp.Or(r.next, p.now).Sub(r.seen) > lostFor }

// same is the visit of somebody who is back under another number, with the verdict from before.
func (p *Pairing) same(person event.Person) int {
	if person.Event != nil {
		for id, v := range p.visits {
			if slices.ContainsFunc(v.told, func(t *told) bool { return t.event.ID == person.Event.ID }) {
				return id
			}
		}
	}
	return person.ID
}

func (p *Pairing) visitOf(id int, at time.Time) *visit {
	v := p.visits[id]
	if v == nil {
		v = &visit{firstSeen: at, lastSeen: at}
		p.visits[id] = v
	}
	return v
}

// judge names in a verdict who it is about, if that is known by now.
func (p *Pairing) judge(e *event.Event) {
	v := p.visitOf(e.Data.Visit, e.Data.FirstSeen)
	if e.Data.FirstSeen.Before(v.firstSeen) {
		v.firstSeen = e.Data.FirstSeen
	}
	t := &told{event: *e}
	v.told = append(v.told, t)
	person, unpaired := p.find(e.Data.Visit, v)
	if person != nil || unpaired != event.NoRead {
		t.person, t.unpaired = person, unpaired
		e.Data.Person, e.Data.Unpaired = person, unpaired
	}
}

// Take takes what was read at a time, which may be that of an earlier frame, and returns what it has to say of verdicts.
func (p *Pairing) Take(at time.Time, person event.Bearer, refused bool) []Word {
	if p.now.Sub(at) > maxDelay+inView { // it has waited in this gate: who stood there is forgotten
		return nil
	}
	near := p.nearAt(at)
	r := &read{at: at, person: person, refused: refused, nobody: len(near) == 0}
	r.seen, r.next = p.framesAround(at)
	own := slices.IndexFunc(near, func(id int) bool { return !refused && p.hasRead(id, person.ID) })
	switch again := p.latest(r); {
	case own >= 0: // once more
		r.before = near[own]
	case r.nobody && again != nil:
		r.sameAs(again)
	case len(near) == 1 && p.done(near[0]): // whose turn is over
	case len(near) == 1:
		r.before = near[0]
	default:
		waiting := slices.DeleteFunc(slices.Clone(near), p.done)
		if len(waiting) == 1 {
			r.before = waiting[0]
		} else {
			r.beside = waiting
		}
	}
	if v := p.visits[r.before]; v != nil {
		r.owner = v
	}
	if len(p.reads) == maxReads {
		p.reads = slices.Delete(p.reads, 0, 1)
	}
	later := slices.IndexFunc(p.reads, func(other *read) bool { return other.at.After(at) })
	if later < 0 {
		later = len(p.reads)
	}
	p.reads = slices.Insert(p.reads, later, r)
	if r.owner != nil || len(r.beside) > 0 {
		for _, again := range p.reads[later+1:] { // which came before this one
			if again.nobody && again.repeats(r) {
				again.sameAs(r)
			}
		}
	}
	p.now = maxTime(p.now, at)
	return p.words()
}

// latest is the read before of the same code, if it was a moment ago.
func (p *Pairing) latest(r *read) *read {
	for _, before := range slices.Backward(p.reads) {
		if r.repeats(before) {
			return before
		}
	}
	return nil
}

// Tick says what time alone decides, where no frames come.
func (p *Pairing) Tick(at time.Time) []Word {
	p.now = maxTime(p.now, at)
	return p.words()
}

// Waits is the visit of who stands before the gate alone and of whom nothing valid was read yet, 0 where there is none; and
// whether they have shown what is not valid.
func (p *Pairing) Waits() (id int, refused bool) {
	if len(p.near) != 1 {
		return 0, false
	}
	person, unpaired := p.find(p.near[0], p.visits[p.near[0]])
	if person != nil {
		return 0, false
	}
	return p.near[0], unpaired == event.Refused || unpaired == event.Repeated
}

// words says of every verdict what has not been said, and forgets what is over.
func (p *Pairing) words() (words []Word) {
	for _, id := range p.inOrder() {
		v := p.visits[id]
		if len(v.told) == 0 {
			continue
		}
		person, unpaired := p.find(id, v)
		for _, t := range v.told {
			if t.news(person, unpaired, p.hasOwn(id), p.now) {
				t.person, t.unpaired = person, unpaired
				words = append(words, Word{Of: t.event, Person: person, Unpaired: unpaired})
			}
			t.final = t.final || t.person == nil && p.now.Sub(t.event.Time) >= settled
		}
		if person != nil && v.named() {
			p.note(person.ID, id, v)
		}
	}
	p.forget()
	return words
}

// news says whether something else is to be said of a verdict than was. Own says that the read was made before its person: any other
// may be somebody's who is yet to come, and waits until all time is over.
func (t *told) news(person *event.Bearer, unpaired event.Unpaired, own bool, now time.Time) bool {
	switch {
	case person != nil && t.person != nil:
		return person.ID != t.person.ID
	case person != nil:
		return !t.final && (own || now.Sub(t.event.Time) >= settled)
	case t.person != nil:
		return own || now.Sub(t.event.Time) >= settled
	}
	return !t.final && now.Sub(t.event.Time) >= settled && unpaired != t.unpaired
}

// note keeps who has used a code.
func (p *Pairing) note(person string, id int, v *visit) {
	u := p.used[person]
	if u == nil || p.now.Sub(u.at) > p.repeat {
		u = new(use)
		p.used[person] = u
	}
	u.at = p.now
	if !slices.Contains(u.visits, id) {
		u.visits = append(u.visits, id)
	}
	for _, t := range v.told {
		if !slices.Contains(u.events, t.event.ID) {
			u.events = append(u.events, t.event.ID)
		}
	}
}

func (p *Pairing) inOrder() []int {
	ids := make([]int, 0, len(p.visits))
	for id := range p.visits {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// forget drops what can change nothing any more.
func (p *Pairing) forget() {
	visits, reads := p.undecided()
	for id := range p.visits {
		if !visits[id] {
			delete(p.visits, id)
		}
	}
	p.near = slices.DeleteFunc(p.near, func(id int) bool { return !visits[id] })
	p.reads = slices.DeleteFunc(p.reads, func(r *read) bool {
		return !reads[r] && !visits[r.before] && !slices.ContainsFunc(r.beside, func(id int) bool { return visits[id] })
	})
	for person, u := range p.used {
		if p.now.Sub(u.at) > p.repeat {
			delete(p.used, person)
		}
	}
}

// Word is what is to be said of a verdict afterwards: who it is about, or why nobody knows.
type Word struct {
	Of       event.Event
	Person   *event.Bearer
	Unpaired event.Unpaired
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
