package badge

import (
	"cmp"
	"math"
	"slices"

	"thermogate/screening/event"
)

// done says whether somebody has shown a valid code and has a verdict.
func (p *Pairing) done(id int) bool {
	return len(p.visits[id].told) > 0 && slices.ContainsFunc(p.reads, func(r *read) bool { return r.before == id && !r.refused })
}

func (p *Pairing) hasRead(id int, person string) bool {
	return slices.ContainsFunc(p.reads, func(r *read) bool { return r.before == id && !r.refused && r.person.ID == person })
}

// hasOwn says whether something was read while this visit's person stood before the gate alone.
func (p *Pairing) hasOwn(id int) bool {
	return slices.ContainsFunc(p.reads, func(r *read) bool { return r.before == id })
}

// stoodBeside says whether something was read while this visit's person stood there with another.
func (p *Pairing) stoodBeside(id int) bool {
	return slices.ContainsFunc(p.reads, func(r *read) bool { return slices.Contains(r.beside, id) })
}

// hasShown says whether a visit's person has certainly shown something: alone, or with others of whom each has.
func (p *Pairing) hasShown(id int) bool {
	shown, people := map[string]bool{}, 1
	for _, r := range p.reads {
		if r.before == id {
			return true
		}
		if slices.Contains(r.beside, id) {
			shown[r.person.ID] = true
			people = max(people, len(r.beside))
		}
	}
	return len(shown) >= people
}

// find says who a visit is, or why nobody knows.
func (p *Pairing) find(id int, v *visit) (*event.Bearer, event.Unpaired) {
	var reads []*read
	why := event.NoRead
	switch {
	case p.hasOwn(id):
		for _, r := range p.reads {
			switch {
			case r.before != id:
			case p.inDoubt(r, id, v):
				why = event.TwoFaces
			default:
				reads = append(reads, r)
			}
		}
	case p.stoodBeside(id):
		return nil, event.TwoFaces
	default:
		reads, why = p.nearest(id, v)
		if earlier := p.earlier(v); len(reads) == 0 && why == event.NoRead && earlier != 0 {
			return p.find(earlier, p.visits[earlier])
		}
	}
	var person *event.Bearer
	for _, r := range reads {
		switch {
		case r.refused:
			why = event.Refused
		case p.repeated(r.person.ID, id, v):
			why = event.Repeated
		case person != nil && person.ID != r.person.ID:
			return nil, event.TwoReads
		default:
			person = &r.person
		}
	}
	if person != nil {
		return person, ""
	}
	return nil, why
}

// earlier is the visit of somebody whom the gate knows again, who has shown a code in this one's time and was lost from sight over
// that for no longer than it takes another one to come; 0 where there is none. The gate takes some for others whom they look like.
func (p *Pairing) earlier(v *visit) int {
	for id, before := range p.visits {
		again := before != v && slices.ContainsFunc(v.told, func(t *told) bool {
			return slices.ContainsFunc(before.told, func(b *told) bool { return b.event.ID == t.event.Data.RescreenOf })
		})
		if again && v.mayBe(before) && slices.ContainsFunc(p.reads, func(r *read) bool { return r.before == id && !r.at.Before(v.firstSeen.Add(-window)) }) {
			return id
		}
	}
	return 0
}

// undecided are the visits and the reads that may still change something: new ones, and with each read all who may have made it, and
// what else these may have read. Without one of them it would be another's by mistake.
func (p *Pairing) undecided() (visits map[int]bool, reads map[*read]bool) {
	visits, reads = map[int]bool{}, map[*read]bool{}
	var ids []int
	add := func(id int) {
		if !visits[id] {
			visits[id], ids = true, append(ids, id)
		}
	}
	for id, v := range p.visits {
		last := v.lastSeen
		if n := len(v.told); n > 0 {
			last = maxTime(last, v.told[n-1].event.Time)
		}
		if p.now.Sub(last) <= forgetAfter || p.names(id) {
			add(id)
		}
	}
	mayBe := func(r *read) {
		reads[r] = true
		for id, v := range p.visits {
			if !visits[id] && p.fits(r, v) && !p.hasShown(id) {
				add(id)
			}
		}
	}
	for _, r := range p.reads {
		if p.now.Sub(r.at) <= forgetAfter {
			mayBe(r)
		}
	}
	for next := 0; next < len(ids); next++ {
		if p.hasShown(ids[next]) {
			continue
		}
		for _, r := range p.reads {
			if !reads[r] && p.fits(r, p.visits[ids[next]]) {
				mayBe(r)
			}
		}
	}
	return visits, reads
}

// names says whether somebody is known by what they showed in this earlier visit.
func (p *Pairing) names(id int) bool {
	for _, v := range p.visits {
		if p.earlier(v) == id {
			return true
		}
	}
	return false
}

// inDoubt says whether a read before somebody who had a verdict may be that of one who came a moment later and has none.
func (p *Pairing) inDoubt(r *read, id int, v *visit) bool {
	if len(v.told) == 0 || !r.at.After(v.told[0].event.Time) {
		return false
	}
	for other, o := range p.visits {
		came := o.firstSeen.After(r.at) && !o.firstSeen.After(r.at.Add(2*moment)) && !o.lastNear.IsZero() && p.over(o)
		if !came || other == id || p.hasShown(other) {
			continue
		}
		if later, _ := p.nearest(other, o); len(later) != 1 || later[0].at.Before(r.at) {
			return true
		}
	}
	return false
}

// nearest are the reads of a visit before which nothing was read, of those that are nobody's by where they stood. A name is not taken
// back for those who may have a read yet.
func (p *Pairing) nearest(id int, v *visit) ([]*read, event.Unpaired) {
	reads, why := p.shared(id, func(*visit) bool { return true })
	if len(reads) != 1 && v.named() {
		return p.shared(id, p.over)
	}
	return reads, why
}

// shared are the reads of a visit of those that are nobody's by where they stood. Others that count may be as near to them.
func (p *Pairing) shared(id int, counts func(*visit) bool) ([]*read, event.Unpaired) {
	ids, reads, taken := []int{id}, []*read{}, make([]bool, len(p.reads))
	for next := 0; next < len(ids); next++ { // those who are found lead to others
		for i, r := range p.reads {
			if taken[i] || !p.fits(r, p.visits[ids[next]]) {
				continue
			}
			taken[i], reads = true, append(reads, r)
			for other, o := range p.visits {
				if !slices.Contains(ids, other) && counts(o) && p.fits(r, o) && !p.hasShown(other) {
					ids = append(ids, other)
				}
			}
			switch {
			case len(ids) > maxTogether:
				return nil, event.TwoFaces
			case len(reads) > maxReadsOf*maxTogether:
				return nil, event.TwoReads
			}
		}
	}
	if len(ids) == 1 {
		return reads, event.NoRead
	}
	if r := p.inTurn(id, ids, reads); r != nil {
		return []*read{r}, event.NoRead
	}
	return nil, event.TwoFaces
}

// inTurn is the read of one of several visits where each has one, in the order in which they came; nil where that is not certain.
func (p *Pairing) inTurn(id int, ids []int, reads []*read) *read {
	slices.SortFunc(ids, func(a, b int) int {
		return cmp.Or(p.visits[a].firstSeen.Compare(p.visits[b].firstSeen), cmp.Compare(a, b))
	})
	slices.SortStableFunc(reads, func(a, b *read) int { return a.at.Compare(b.at) })
	reads = slices.CompactFunc(reads, func(a, b *read) bool { return a.refused == b.refused && a.person.ID == b.person.ID })
	yetToCome := func(r *read) bool { return p.now.Sub(r.at) < moment }
	if len(reads) != len(ids) || slices.ContainsFunc(reads, yetToCome) {
		return nil
	}
	for i := range reads {
		v := p.visits[ids[i]]
		if !p.fits(reads[i], v) {
			return nil
		}
		if i == 0 {
			continue
		}
		before := p.visits[ids[i-1]]
		cameTogether := v.firstNear.Before(before.lastNear)
		maybeSwapped := reads[i].at.Sub(reads[i-1].at) <= moment && p.fits(reads[i], before) && p.fits(reads[i-1], v)
		if cameTogether || maybeSwapped {
			return nil
		}
	}
	return reads[slices.Index(ids, id)]
}

// fits says whether a read that is nobody's by where they stood lies in a visit's time.
func (p *Pairing) fits(r *read, v *visit) bool {
	until := v.lastNear
	if n := len(v.told); n > 0 {
		until = v.told[n-1].event.Time
	}
	if r.at.Before(v.firstSeen.Add(-window)) || r.at.After(until.Add(window)) {
		return false
	}
	if v.passes() || p.vanished(v) || !p.isFree(r) || p.blind(r) || r.owner != nil && !v.mayBe(r.owner) {
		return false
	}
	for _, o := range p.visits {
		if ahead := o.firstSeen.Sub(r.at); ahead >= 0 && ahead <= moment && o.firstSeen.Before(v.firstSeen) && !o.lastNear.IsZero() {
			return false // came first
		}
	}
	return true
}

// vanished says whether a visit has ended without a verdict: its face was lost, and its person may be there under another number.
func (p *Pairing) vanished(v *visit) bool { return len(v.told) == 0 && p.now.Sub(v.lastSeen) > inView }

// isFree says whether a read is nobody's by where they stood, or of somebody who has vanished.
func (p *Pairing) isFree(r *read) bool {
	return len(r.beside) == 0 && (r.owner == nil || p.vanished(r.owner))
}

// named says whether it was said who a visit is, and not taken back.
func (v *visit) named() bool {
	return slices.ContainsFunc(v.told, func(t *told) bool { return t.person != nil })
}

// passes says whether a visit's person has not stepped up to the gate so far.
func (v *visit) passes() bool { return v.lastNear.IsZero() && len(v.told) == 0 }

// mayBe says whether a visit may be of somebody whose face was lost, under another number.
func (v *visit) mayBe(lost *visit) bool {
	away := v.firstSeen.Sub(lost.lastSeen)
	return away > 0 && away <= lostFor && inPlaceOf(v.firstFace, lost.lastFace)
}

// inPlaceOf says whether a face is where another one was, and as large: whoever comes next is seen on the way first.
func inPlaceOf(face, before event.Box) bool {
	aside := face.X + face.W/2 - before.X - before.W/2
	return math.Abs(aside) <= before.W/2 && face.W >= besideWidth*before.W && before.W >= besideWidth*face.W
}

// over says whether the time for reads of a visit is over.
func (p *Pairing) over(v *visit) bool {
	n := len(v.told)
	return n > 0 && p.now.Sub(v.told[n-1].event.Time) >= window
}

// repeated says whether a code was somebody else's a short time ago. Whoever the gate knows again is nobody else.
func (p *Pairing) repeated(person string, id int, v *visit) bool {
	u := p.used[person]
	if u == nil || slices.Contains(u.visits, id) || p.now.Sub(u.at) > p.repeat {
		return false
	}
	return !slices.ContainsFunc(v.told, func(t *told) bool { return slices.Contains(u.events, t.event.Data.RescreenOf) })
}
