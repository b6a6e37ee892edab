package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// snapshot is how all gates are at a time.
type snapshot struct {
	at     time.Time
	alerts []openAlert // the newest first
	gates  []store.Gate
	faults []store.Fault
	sites  []siteTile     // of a district, in place of gates and faults
	open   map[string]int // how many alerts are open at its sites

	mu    sync.Mutex
	pages map[mqtt.Gate]nowPage // by scope: many look at the same
}

// openAlert is an alert with what it rests on.
type openAlert struct {
	store.Alert
	evidence
}

// evidence is what an alert rests on.
type evidence struct {
	Screening store.Event
	Side      phrase // which of several people, as the gate's picture shows them

	read time.Time // when that was looked up
}

// Overdue tells whether an alert has waited too long, for somebody or for whoever took it.
func (a openAlert) Overdue(now time.Time) bool {
	return a.State == store.New && (!a.Escalated.IsZero() || now.Sub(a.Received) >= store.TakeLimit)
}

// look takes a snapshot.
func (p *Pages) look(ctx context.Context) (*snapshot, error) {
	if p.cfg.District {
		return p.lookAtSites(ctx)
	}
	now := &snapshot{at: time.Now(), pages: map[mqtt.Gate]nowPage{}}
	alerts, err := p.store.OpenAlerts(ctx)
	if err != nil {
		return nil, err
	}
	if now.alerts, err = p.withEvidence(ctx, alerts, now.at); err != nil {
		return nil, err
	}
	if now.gates, err = p.store.Gates(ctx, now.at); err != nil {
		return nil, err
	}
	now.faults, err = p.store.Faults(ctx, now.at)
	return now, err
}

const (
	// sideTime is for how long after an alert events of those who stood beside may still come in.
	sideTime = 15 * time.Second
	// sideInterval is how often these are looked for.
	sideInterval = time.Second
)

// withEvidence reads what alerts rest on, and keeps it while they are open.
func (p *Pages) withEvidence(ctx context.Context, alerts []store.Alert, now time.Time) ([]openAlert, error) {
	p.mu.Lock()
	known := p.evidences
	p.mu.Unlock()
	kept := make(map[string]evidence, len(alerts))
	open := make([]openAlert, len(alerts))
	for i, a := range alerts {
		rests, ok := known[a.Latest]
		if !ok || rests.read.Sub(a.Received) <= sideTime && now.Sub(rests.read) >= sideInterval {
			var err error
			if rests, err = p.evidenceOf(ctx, a.Latest); err != nil {
				return nil, err
			}
			rests.read = now
		}
		kept[a.Latest] = rests
		open[i] = openAlert{a, rests}
	}
	p.mu.Lock()
	p.evidences = kept
	p.mu.Unlock()
	return open, nil
}

func (p *Pages) evidenceOf(ctx context.Context, id string) (evidence, error) {
	e, err := p.store.Event(ctx, id)
	if errors.Is(err, store.ErrNoEvent) {
		return evidence{}, nil // older than events are kept
	}
	if err != nil {
		return evidence{}, err
	}
	e.Body = nil // a kilobyte that no page of alerts shows
	beside, err := p.store.Events(ctx, store.Filter{Site: e.Gate.Site, Gate: e.Gate.Name, From: e.Time.Add(-sideTime), To: e.Time.Add(sideTime)}, 30)
	return evidence{Screening: e, Side: sideOf(e, beside)}, err
}

// sideOf says where in the picture somebody was among those who were before the gate at the same time, as far as events
// tell. The picture is no mirror.
func sideOf(e store.Event, beside []store.Event) phrase {
	if e.Data.Face == nil {
		return phrase{}
	}
	left, right := 0, 0
	seen := map[string]bool{e.Visit: true}
	for _, other := range beside {
		if other.Data.Face == nil || seen[other.Visit] || other.Data.FirstSeen.After(e.Time) || other.Time.Before(e.Data.FirstSeen) {
			continue
		}
		seen[other.Visit] = true
		if middle(*other.Data.Face) < middle(*e.Data.Face) {
			left++
		} else {
			right++
		}
	}
	n := strconv.Itoa(left + right + 1)
	switch {
	case left+right == 0:
		return phrase{}
	case left == 0:
		return phrase{"画面左边的人（共 " + n + " 人）", "on the left of the picture, of " + n}
	case right == 0:
		return phrase{"画面右边的人（共 " + n + " 人）", "on the right of the picture, of " + n}
	}
	return phrase{fmt.Sprintf("画面左起第 %d 人（共 %s 人）", left+1, n), fmt.Sprintf("no. %d from the left, of %s", left+1, n)}
}

func middle(face event.Box) float64 { return face.X + face.W/2 }

// nowPage is what a visitor sees of a snapshot.
type nowPage struct {
	Alerts   []openAlert
	Gates    []tile
	Faults   []store.Fault // that nobody has put aside
	Shelved  int
	Deaf     []mqtt.Gate // whose alerts no page sounds
	Unheard  time.Time   // since when the console does not hear the gates; zero while it does
	Versions map[string]string
	Fresh    int // alerts that nobody has

	Sites []siteTile // of a district
	Open  int        // its open alerts, of which Alerts are the newest
	Bad   int        // its gates that are not well

	Escalated []openAlert // that nobody sees to: the newest of each gate
	message   message     // what an open page is told
}

// message is named by what it says.
type message struct {
	id           string
	body         []byte
	open, faults int
}

// maxEscalated is how many gates the bar above every page names.
const maxEscalated = 6

func overdueOf(alerts []openAlert, now time.Time) (overdue []openAlert) {
	named := map[mqtt.Gate]bool{}
	for _, a := range alerts {
		if len(overdue) < maxEscalated && !named[a.Gate] && a.Overdue(now) {
			named[a.Gate] = true
			overdue = append(overdue, a)
		}
	}
	return overdue
}

// maxListed is how many alerts the page of all shows.
const maxListed = 200

// Listed are the newest open alerts, and Unlisted is how many there are beside them.
func (n nowPage) Listed() []openAlert { return n.Alerts[:min(len(n.Alerts), maxListed)] }
func (n nowPage) Unlisted() int       { return max(n.Open, len(n.Alerts)) - len(n.Listed()) }

type tile struct {
	store.Gate
	State  string // well, degraded, down, paused, unknown, unused or revoked
	Faults []store.Fault
	Silent bool // nothing comes from its plant, and so it is unknown
}

func (p *Pages) pageOf(now *snapshot, account store.Account) nowPage {
	now.mu.Lock()
	defer now.mu.Unlock()
	page, made := now.pages[account.Scope]
	if !made {
		if p.cfg.District {
			page = p.makeSitesPage(now, account)
		} else {
			page = p.makePage(now, account)
		}
		now.pages[account.Scope] = page
	}
	return page
}

func (p *Pages) makePage(now *snapshot, account store.Account) nowPage {
	var page nowPage
	for _, a := range now.alerts {
		if account.Sees(a.Gate) {
			page.Alerts = append(page.Alerts, a)
			if a.State == store.New {
				page.Fresh++
			}
		}
	}
	for _, f := range now.faults {
		switch {
		case !account.Sees(f.Gate):
		case f.Shelf != nil:
			page.Shelved++
		default:
			page.Faults = append(page.Faults, f)
		}
	}
	for _, g := range now.gates {
		if account.Sees(g.Gate) {
			page.Gates = append(page.Gates, tileOf(g, now.faults))
			if !g.OutOfUse() && !p.sounds(g.Gate, now.at) {
				page.Deaf = append(page.Deaf, g.Gate)
			}
		}
	}
	slices.SortStableFunc(page.Gates, func(a, b tile) int { return rankOf[b.State] - rankOf[a.State] })
	if hears, since := p.hears(); !hears {
		page.Unheard = since
		if since.IsZero() { // it never has
			page.Unheard = p.started
		}
	}
	page.Versions = page.versions(now.at)
	page.Escalated = overdueOf(page.Alerts, now.at)
	page.message = page.messageAt(now.at, p.build)
	return page
}

// rankOf puts first what needs somebody.
var rankOf = map[string]int{"down": 3, "degraded": 2, "unknown": 1, "unused": -1, "revoked": -2}

func tileOf(g store.Gate, faults []store.Fault) tile {
	t := tile{Gate: g, State: "well"}
	for _, f := range faults {
		if f.Gate == g.Gate {
			t.Faults = append(t.Faults, f)
		}
	}
	link, known := g.Parts[store.Link]
	switch {
	case !known:
		t.State = "unknown"
	case g.OutOfUse():
		t.State = link.Value
	case link.Value != store.Online:
		t.State = "down"
	case g.Parts[store.Pause].Value == "on":
		t.State = "paused"
	case len(t.Faults) > 0:
		t.State = "degraded"
	}
	return t
}

// versions change when the parts of the page do.
func (n nowPage) versions(now time.Time) map[string]string {
	alerts, gates := fnv.New64a(), fnv.New64a()
	for _, a := range n.Alerts {
		fmt.Fprintln(alerts, a.Event, a.Version, a.Times, a.Overdue(now), a.Side.EN)
	}
	for _, t := range n.Gates {
		fmt.Fprintln(gates, t.Gate.Gate, t.State, t.LastMinute, t.Open, t.PausedUntil, t.Unconfirmed, len(t.Faults), t.Parts[store.Camera].Value, t.Parts[store.Reference].Value)
	}
	fmt.Fprintln(alerts, n.Unheard.IsZero())
	fmt.Fprintln(gates, n.Deaf, n.Unheard, n.Shelved)
	for _, f := range n.Faults {
		fmt.Fprintln(gates, f.State)
	}
	return map[string]string{"alerts": strconv.FormatUint(alerts.Sum64(), 36), "gates": strconv.FormatUint(gates.Sum64(), 36)}
}

func (n nowPage) messageAt(now time.Time, build string) message {
	waiting, unseen := []fresh{}, []escalated{}
	for _, a := range n.Escalated {
		unseen = append(unseen, escalated{a.Event, tongue("").GateName(a.Gate)})
	}
	for _, overdue := range []bool{true, false} {
		for _, a := range n.Alerts {
			if a.State == store.New && a.Overdue(now) == overdue && len(waiting) < 50 {
				waiting = append(waiting, fresh{a.Event, overdue})
			}
		}
	}
	return messageOf(liveMessage{build, len(n.Alerts), n.Fresh, waiting, unseen, len(n.Faults), n.Versions})
}

// quietMessage has nothing to sound: a district's alerts are heard in their plants.
func (n nowPage) quietMessage(build string) message {
	return messageOf(liveMessage{build, n.Open, 0, []fresh{}, []escalated{}, n.Bad, n.Versions})
}

// liveMessage is what an open page is told.
type liveMessage struct {
	Build     string            `json:"build"`
	Open      int               `json:"open"`
	Fresh     int               `json:"fresh"`
	New       []fresh           `json:"new"`
	Escalated []escalated       `json:"escalated"`
	Faults    int               `json:"faults"`
	Parts     map[string]string `json:"parts"`
}

type fresh struct {
	ID      string `json:"id"`
	Overdue bool   `json:"overdue"`
}

type escalated struct {
	ID   string `json:"id"`
	Gate string `json:"gate"`
}

func messageOf(what liveMessage) message {
	body, err := json.Marshal(what)
	if err != nil {
		panic(err) // nothing in it can fail
	}
	sum := fnv.New64a()
	sum.Write(body)
	return message{strconv.FormatUint(sum.Sum64(), 36), body, what.Open, what.Faults}
}

// snapshot is how all is now; for a part of a page it is what the stream has told of.
func (v *visit) snapshot() (*snapshot, error) {
	if now, _ := v.newest(); now != nil && v.r.URL.Query().Get("part") != "" {
		return now, nil
	}
	return v.look(v.ctx())
}

func showNow(v *visit) {
	now, err := v.snapshot()
	if err != nil {
		v.fail(err)
		return
	}
	switch page := v.pageOf(now, v.account); {
	case !v.cfg.District:
		v.show("now", page)
	case v.account.Scope.Site != "":
		v.showOwnSite(page)
	default:
		v.showSites(page)
	}
}
