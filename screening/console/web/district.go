package web

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// The pages of a district have the site as one level more: all sites, a site, a gate. What guards do with alerts, and what a
// plant sets, stays with the plant: it is not offered here, and refused to whoever asks for it all the same.

const (
	// sitesEvery is how old what is known of all sites may get, and peopleEvery how many people come.
	sitesEvery  = 5 * time.Second
	peopleEvery = 10 * time.Second
	// gatesEvery is how often the gates on an open page are looked at again.
	gatesEvery = 5 * time.Second
	sitesShown = 60 // on a page
	// mostOpen is how many open alerts of all sites are looked through, and mostOfSite how many of each, the newest.
	mostOpen   = 1000
	mostOfSite = 50
	// faultsShown is how many faults the page of them lists; refusedShown how many messages that were refused.
	faultsShown  = 200
	refusedShown = 50
	// choices is how many sites are a row of buttons; more are found by their name.
	choices = 12
)

// staysWithPlant answers what is asked of the wrong console.
func staysWithPlant(v *visit) {
	v.problem(http.StatusForbidden, v.tongue.Say("这里是片区的控制台，只能看。处理告警、复测、点检、排班和保存期都在厂区自己的控制台上做。",
		"This is the console of a district: it shows. Alerts, second readings, shift checks, plans and retention are seen to on the console of the plant."))
}

// siteTile is a site among the others.
type siteTile struct {
	store.PlantSite
	State  store.SiteState
	People int // a minute
	Open   int // alerts that are not closed
}

// GatesWell is how many of its gates are, as text: of a silent plant nobody knows.
func (t siteTile) GatesWell() string {
	if t.State == store.SiteSilent {
		return "?"
	}
	return strconv.Itoa(t.Gates - t.Bad)
}

// onlyOf has the tile tell of some gates and no others.
func (t *siteTile) onlyOf(gates []tile, now time.Time) {
	t.Gates, t.Bad = 0, 0
	for _, g := range gates {
		if !g.OutOfUse() {
			t.Gates++
		}
		if g.State == "down" || len(g.Faults) > 0 {
			t.Bad++
		}
	}
	t.State = t.PlantSite.State(now)
}

// fallSilent has nobody take a gate to be as it was said to be.
func (t *tile) fallSilent() { t.State, t.Silent = "unknown", true }

// siteNews is what is known of all sites, and when it was looked at.
type siteNews struct {
	sites         []store.PlantSite
	people        map[string]int
	at, peopledAt time.Time
}

// lookAtSites takes a snapshot of a district. What of it takes long is as old as it may be.
func (p *Pages) lookAtSites(ctx context.Context) (*snapshot, error) {
	now := &snapshot{at: time.Now(), pages: map[mqtt.Gate]nowPage{}}
	alerts, err := p.store.OpenAlertsOfSites(ctx, mostOfSite, mostOpen)
	if err != nil {
		return nil, err
	}
	listed := min(len(alerts), maxListed)
	if now.alerts, err = p.withEvidence(ctx, alerts[:listed], now.at); err != nil {
		return nil, err
	}
	for _, a := range alerts[listed:] {
		now.alerts = append(now.alerts, openAlert{Alert: a})
	}
	p.mu.Lock()
	news := p.sites
	p.mu.Unlock()
	if now.at.Sub(news.at) >= sitesEvery {
		news.at = now.at
		if news.sites, err = p.store.PlantSites(ctx); err != nil {
			return nil, err
		}
	}
	if now.at.Sub(news.peopledAt) >= peopleEvery {
		news.peopledAt = now.at
		if news.people, err = p.store.SitePeople(ctx, now.at); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	p.sites = news
	p.mu.Unlock()
	if now.open, err = p.store.SiteAlerts(ctx); err != nil {
		return nil, err
	}
	for _, site := range news.sites {
		now.sites = append(now.sites, siteTile{site, site.State(now.at), news.people[site.Name], now.open[site.Name]})
	}
	slices.SortStableFunc(now.sites, func(a, b siteTile) int {
		return slices.Index(store.SiteStates, a.State) - slices.Index(store.SiteStates, b.State)
	})
	return now, nil
}

// makeSitesPage is what a visitor sees of a snapshot of a district.
func (p *Pages) makeSitesPage(now *snapshot, account store.Account) nowPage {
	var page nowPage
	scope := account.Scope
	for _, a := range now.alerts {
		if account.Sees(a.Gate) {
			page.Alerts = append(page.Alerts, a)
		}
	}
	for _, site := range now.sites {
		if scope.Site == "" || scope.Site == site.Name {
			page.Sites = append(page.Sites, site)
			page.Bad += site.Bad
		}
	}
	for site, open := range now.open {
		if scope.Site == "" || scope.Site == site {
			page.Open += open
		}
	}
	if scope.Name != "" { // whose site is more than they see
		page.Open, page.Bad = len(page.Alerts), 0
	}
	if hears, since := p.hears(); !hears {
		page.Unheard = since
		if since.IsZero() {
			page.Unheard = p.started
		}
	}
	alerts, sites := fnv.New64a(), fnv.New64a()
	fmt.Fprintln(alerts, page.Open)
	for _, a := range page.Alerts {
		fmt.Fprintln(alerts, a.Event, a.Version, a.Times, a.Overdue(now.at), a.Side.EN)
	}
	for _, t := range page.Sites {
		fmt.Fprintln(sites, t.Name, t.State, t.People, t.Gates, t.Bad, t.Open, t.Waiting, t.Version, t.Refused)
	}
	fmt.Fprintln(alerts, page.Unheard.IsZero())
	fmt.Fprintln(sites, page.Unheard)
	page.Versions = map[string]string{
		"alerts": strconv.FormatUint(alerts.Sum64(), 36), "sites": strconv.FormatUint(sites.Sum64(), 36),
		"gates": strconv.FormatInt(now.at.UnixNano()/int64(gatesEvery), 36),
	}
	page.message = page.quietMessage(p.build)
	return page
}

// sitesPage is all sites that a visitor sees, or those that they look for.
type sitesPage struct {
	nowPage
	Query          string
	Found          []siteTile // on this page
	All            int        // that fit
	Before, After  string     // addresses of the pages beside; empty where there is none
	First, Last    int
	Well, NotWell  int // sites in all
	Gates, BadGate int
}

func (v *visit) showSites(all nowPage) {
	page := sitesPage{nowPage: all, Query: strings.TrimSpace(v.r.FormValue("q"))}
	var fit []siteTile
	for _, site := range all.Sites {
		if site.State == store.SiteWell {
			page.Well++
		} else {
			page.NotWell++
		}
		page.Gates, page.BadGate = page.Gates+site.Gates, page.BadGate+site.Bad
		if strings.Contains(strings.ToLower(site.Name), strings.ToLower(page.Query)) {
			fit = append(fit, site)
		}
	}
	page.All = len(fit)
	number, err := strconv.Atoi(v.r.FormValue("page"))
	if err != nil || number < 1 || (number-1)*sitesShown >= len(fit) {
		number = 1
	}
	from := (number - 1) * sitesShown
	to := min(from+sitesShown, len(fit))
	page.Found, page.First, page.Last = fit[from:to], from+1, to
	at := func(number int) string {
		return "/?" + url.Values{"q": {page.Query}, "page": {strconv.Itoa(number)}}.Encode() + "#sites"
	}
	if number > 1 {
		page.Before = at(number - 1)
	}
	if to < len(fit) {
		page.After = at(number + 1)
	}
	v.show("sites", page)
}

// sitePage is one site with its gates.
type sitePage struct {
	SiteTile siteTile
	nowPage
	Part bool // the visitor sees a part of its gates
}

// Listed are the newest open alerts, and Unlisted is how many there are beside them.
func (p sitePage) Listed() []openAlert { return p.Alerts }
func (p sitePage) Unlisted() int       { return p.nowPage.Open - len(p.Alerts) }

func showSite(v *visit) {
	site := v.r.PathValue("site")
	now, err := v.snapshot()
	if err == nil && !slices.ContainsFunc(now.sites, func(s siteTile) bool { return s.Name == site }) { // it may be new
		v.mu.Lock()
		v.sites = siteNews{}
		v.mu.Unlock()
		now, err = v.look(v.ctx())
	}
	if err != nil {
		v.fail(err)
		return
	}
	all := v.pageOf(now, v.account)
	i := slices.IndexFunc(all.Sites, func(s siteTile) bool { return s.Name == site })
	if i < 0 {
		v.missing()
		return
	}
	v.showSiteOf(all, all.Sites[i])
}

// showOwnSite is the page of the one site that a visitor sees, whether anything came from it or not.
func (v *visit) showOwnSite(all nowPage) {
	own := siteTile{PlantSite: store.PlantSite{Name: v.account.Scope.Site}, State: store.SiteSilent}
	if len(all.Sites) > 0 {
		own = all.Sites[0]
	}
	v.showSiteOf(all, own)
}

func (v *visit) showSiteOf(all nowPage, is siteTile) {
	name := is.Name
	page := sitePage{SiteTile: is, nowPage: all, Part: v.account.Scope.Name != ""}
	scope := mqtt.Gate{Site: name, Name: v.account.Scope.Name}
	alerts, err := v.store.NewestOpenAlerts(v.ctx(), scope, maxListed)
	if err == nil {
		page.nowPage.Alerts, err = v.withSameEvidence(alerts)
	}
	if err == nil {
		page.nowPage.Gates, err = v.tiles(name)
	}
	if err != nil {
		v.fail(err)
		return
	}
	page.nowPage.Open = max(page.SiteTile.Open, len(alerts))
	if page.Part {
		page.nowPage.Open = len(alerts)
		page.SiteTile.onlyOf(page.Gates, v.now)
	}
	if page.SiteTile.State == store.SiteSilent {
		for i := range page.Gates {
			page.Gates[i].fallSilent()
		}
	}
	v.show("site", page)
}

// withSameEvidence reads what alerts rest on, where the snapshot of all has not done so.
func (v *visit) withSameEvidence(alerts []store.Alert) ([]openAlert, error) {
	v.mu.Lock()
	known := v.evidences
	v.mu.Unlock()
	open := make([]openAlert, len(alerts))
	for i, a := range alerts {
		rests, ok := known[a.Latest]
		if !ok {
			var err error
			if rests, err = v.evidenceOf(v.ctx(), a.Latest); err != nil {
				return nil, err
			}
		}
		open[i] = openAlert{a, rests}
	}
	return open, nil
}

// tiles are the gates of a site that the visitor sees.
func (v *visit) tiles(site string) ([]tile, error) {
	gates, err := v.store.SiteGates(v.ctx(), site, v.now)
	if err != nil {
		return nil, err
	}
	faults, err := v.store.SiteFaults(v.ctx(), site, v.now)
	var tiles []tile
	for _, g := range gates {
		if v.account.Sees(g.Gate) {
			tiles = append(tiles, tileOf(g, faults))
		}
	}
	slices.SortStableFunc(tiles, func(a, b tile) int { return rankOf[b.State] - rankOf[a.State] })
	return tiles, err
}

// tileOfGate is a gate as its page begins with it; false where the visitor sees none.
func (v *visit) tileOfGate(gate mqtt.Gate) (tile, map[string]string, bool) {
	now, err := v.snapshot()
	var all nowPage
	var tiles []tile
	if err == nil {
		all = v.pageOf(now, v.account)
		if tiles = all.Gates; v.cfg.District {
			tiles, err = v.tiles(gate.Site)
		}
	}
	if err != nil {
		v.fail(err)
		return tile{}, nil, false
	}
	i := slices.IndexFunc(tiles, func(t tile) bool { return t.Gate.Gate == gate })
	if i < 0 {
		v.missing()
		return tile{}, nil, false
	}
	if slices.ContainsFunc(all.Sites, func(s siteTile) bool { return s.Name == gate.Site && s.State == store.SiteSilent }) {
		tiles[i].fallSilent()
	}
	return tiles[i], all.Versions, true
}

// districtFaults are those of all sites that the visitor sees: which are silent, what is wrong with gates, and what was refused.
type districtFaults struct {
	Silent   []siteTile
	Open     []store.Fault // the newest
	More     int
	Refused  []store.RefusedMessage
	Unheard  time.Time
	Versions map[string]string
}

func showDistrictFaults(v *visit) {
	now, err := v.snapshot()
	if err != nil {
		v.fail(err)
		return
	}
	all := v.pageOf(now, v.account)
	page := districtFaults{Unheard: all.Unheard, Versions: all.Versions}
	for _, site := range all.Sites {
		if site.State == store.SiteSilent && len(page.Silent) < faultsShown {
			page.Silent = append(page.Silent, site)
		}
	}
	faults, err := v.store.SiteFaults(v.ctx(), v.account.Scope.Site, v.now)
	if err == nil && v.account.Scope.Name == "" {
		page.Refused, err = v.store.RefusedMessages(v.ctx(), v.account.Scope.Site, refusedShown)
	}
	if err != nil {
		v.fail(err)
		return
	}
	for _, f := range faults {
		switch {
		case !v.account.Sees(f.Gate):
		case len(page.Open) < faultsShown:
			page.Open = append(page.Open, f)
		default:
			page.More++
		}
	}
	v.show("district-faults", page)
}

// plantReport is what a plant's own report of a shift says, beside what was counted here.
type plantReport struct {
	store.PlantShift
	Told     bool
	Counting bool // what differs may be what was heard and is not counted yet
	Differs  []figureBeside
}

// reportLag is for how long what a plant counted in a report may take to be stored here after the report was made.
const reportLag = time.Minute

// figureBeside is a figure that is another one in the plant than here.
type figureBeside struct {
	What        string
	There, Here int64
}

// plantReport compares a shift at all gates to the plant's own report of it; nil where there is nothing to compare.
func (v *visit) plantReport(made reports.Made) (*plantReport, error) {
	if !v.cfg.District || made.Kind != reports.Shift || made.Gate != "" || v.now.Before(made.To) {
		return nil, nil
	}
	shift, told, err := v.store.PlantShift(v.ctx(), made.Site, made.From)
	if err != nil {
		return nil, err
	}
	counted, err := v.store.CountedUntil(v.ctx(), made.Site, v.now)
	if err != nil {
		return nil, err
	}
	report := &plantReport{PlantShift: shift, Told: told, Counting: counted.Before(shift.Made.Add(reportLag))}
	for _, figure := range []figureBeside{
		{v.tongue.Say("筛查", "screened"), shift.People, made.Report.All.People},
		{v.tongue.Word("pass"), shift.Pass, made.Report.All.Pass},
		{v.tongue.Word("alert"), shift.Alert, made.Report.All.Alert},
		{v.tongue.Say("确认", "confirmed"), shift.Confirmed, made.Report.All.Confirmed},
		{v.tongue.Word("inconclusive"), shift.Inconclusive, made.Report.All.Inconclusive},
	} {
		if told && figure.There != figure.Here {
			report.Differs = append(report.Differs, figure)
		}
	}
	return report, nil
}

// SiteAddress is where the page of a site is.
func (page) SiteAddress(site string) string { return "/sites/" + url.PathEscape(site) }

// Few tells whether so many sites are few enough for a row of buttons.
func (page) Few(sites []string) bool { return len(sites) <= choices }
